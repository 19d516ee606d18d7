"""What sqlfluff sees in place of the project's macros: a call of a macro is written as a call of a SQL function.

So the rules judge the text of a model and not what a macro expands to; it also saves minutes, since one rounding
expands to 100 lines. Macros that stand for a type or a query are named here one by one.
"""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import yaml

PROJECT = Path(__file__).resolve().parents[2]
MACROS_DIR = PROJECT / "macros"
VARS = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]


def as_function(name: str) -> Callable[..., str]:
    return lambda *arguments, **named: f"{name}({', '.join(map(str, [*arguments, *named.values()]))})"


for path in MACROS_DIR.rglob("*.sql"):
    for macro in re.findall(r"{% macro (\w+)\(", path.read_text()):
        globals()[macro] = as_function(macro)


def var(name: str) -> object:
    return VARS[name]


def exact_amount() -> str:
    return "decimal(38, 12)"


def quoted(name: str) -> str:
    return f'"{name}"'


def parse_wall_clock(text: str, format: str, time_zone: str) -> str:
    return f"parse_wall_clock({text}, '{format}', {time_zone})"


def allocate(source: str, **_: object) -> str:
    return f"select * from {source}"


def pair_calls(calls: str, *_: object, **__: object) -> str:
    return f"pairs_found as (select call_number as event_number, call_number as cdr_number from {calls})"


def events_with_charges(events: str, **_: object) -> str:
    return f"charges_found as (select * from {events})"


def round_parts(source: str, **_: object) -> str:
    return f"select * from {source}"


def share_steps() -> list[int]:
    return [1, 2, 3, 4, 5]


def line_sums(priced: str, keys: list[str]) -> str:
    return f"select * from {priced}"


def lines_reproduced(lines: str, used: str) -> str:
    return f"select {lines}.* from {lines} inner join {used} on {lines}.invoice_line_id = {used}.invoice_line_id"


def sum_of_groups(events: str) -> str:
    return f"select rating_group_id, charge_group_id, count(*) as event_count from {events} group by all"


def code_levels() -> range:
    return range(17, -1, -1)


def is_incremental() -> bool:
    return True


def rates_anew() -> bool:
    return False


def last_run(model: str) -> str:
    return f"rate.{model}"


def every_event() -> str:
    return "*"


def days_reported() -> str:
    return "select usage_date, fingerprint from days_reported"


def reads_records_together(feed: str) -> bool:
    return False


def files_with_news(feed: str, records: str, known: str) -> str:
    return f"select file_id from {records}"


def intervals_changed(compared: str, keys: list[str]) -> str:
    return f"select {', '.join(keys)}, from_at, until_at from {compared}"


adapter = SimpleNamespace(get_columns_in_relation=lambda relation: [SimpleNamespace(name="column_of_terms")])
