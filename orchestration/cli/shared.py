"""What the commands have in common: where they speak, how they end, what they must find before they begin.

Belongs here: the console and JSON, exit codes, options that several commands have, the lock of the warehouse. Does not
belong here: any command.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import duckdb
from rich.console import Console

from orchestration import figures, settings
from orchestration.lock import WarehouseBusy, no_run, only_run, why_busy

IN_JSON = "in_json"
"""The option of every command that answers; its other half is `answer`."""

# --- Speaking -------------------------------------------------------------------------------------


def console() -> Console:
    """Where a person reads. Beside an answer in JSON, which alone is on the standard output, that is the other one."""
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get(IN_JSON):
        return Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    # A pipe has no width: wide enough that no amount is cut.
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)


def tell(line: str) -> None:
    """A line as it is: not cut, not coloured, nothing in it taken for markup."""
    console().print(line, highlight=False, soft_wrap=True, markup=False)


def json_option(command: Callable) -> Callable:
    return click.option("--json", IN_JSON, is_flag=True, help="Answer in JSON, amounts as text.")(command)


def answer(facts: Any) -> None:
    """The answer of a command in JSON."""
    click.echo(figures.as_json(facts))


def fail(message: str) -> NoReturn:
    """It could not be done."""
    click.echo(f"tollgate: {message}", err=True)
    raise SystemExit(1)


def stop(message: str) -> NoReturn:
    """The call or the set-up is wrong."""
    click.echo(f"tollgate: {message}", err=True)
    raise SystemExit(2)


# --- Options and arguments ------------------------------------------------------------------------


def month(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    """The first day of a month that is written as 2026-10."""
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m").date()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no month; write it as 2026-10") from None


def day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    """A day that is written as 2026-10-31."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day; write it as 2026-10-31") from None


def instant(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """In UTC."""
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no instant; write it as 2026-10-20 or 2026-10-20T08:00:00Z") from None
    return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read


def completed_from(column: str, table: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes a word in the shell from what is published."""

    def completed(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
        try:
            with duckdb.connect(str(settings.home().published / "settlement.duckdb"), read_only=True) as published:
                query = f"select distinct {column} from settle.{table} where starts_with({column}, $1) order by 1"
                return [word for (word,) in published.execute(query, [begun]).fetchall()]
        except duckdb.Error:
            return []

    return completed


# --- What must be there ---------------------------------------------------------------------------


def check_settings() -> None:
    """What is set wrongly stops the command before it does anything, not each feed when its turn comes."""
    try:
        settings.quiet_seconds()
    except settings.SettingError as error:
        stop(str(error))


def check_warehouse(home: settings.Home) -> None:
    """There is something to work on: some run has been here."""
    if not home.warehouse.exists():
        stop(f"{home.root} holds no warehouse yet: run `tollgate run`")


def check_carrier(warehouse: duckdb.DuckDBPyConnection, carrier: str) -> None:
    from orchestration import deck_findings

    try:
        known = deck_findings.carriers(warehouse)
    except duckdb.CatalogException:
        stop("no run has read the terms yet: run `tollgate run`")
    if carrier not in known:
        stop(f"{carrier!r} is no carrier of the terms; they know {', '.join(known)}")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


@contextmanager
def alone(home: settings.Home, is_reading: bool = False) -> Iterator[None]:
    """Nobody else works on the warehouse; a second run would fail in the middle, so it does not begin."""
    try:
        with no_run(home) if is_reading else only_run(home):
            duckdb.connect(str(home.warehouse), read_only=is_reading).close()
            yield
    except WarehouseBusy as error:
        fail(str(error))
    except duckdb.IOException as error:
        fail(why_busy(home, error))


@contextmanager
def reading(home: settings.Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse as the last run left it; who reads it must not stand in the way of one that is under way."""
    check_warehouse(home)
    try:
        connection = duckdb.connect(str(home.warehouse), read_only=True)
    except duckdb.IOException as error:
        fail(why_busy(home, error))
    with connection:
        yield connection
