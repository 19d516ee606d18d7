"""A run that rates only what changed must leave what a run that rates everything would have left, row for row.

Usage, decks and terms arrive in random order, late and corrected, some runs end in the middle; in the end every table
that is kept from run to run is compared with a full refresh of the same warehouse.
"""

import csv
import json
import os
import random
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from conformance.home import write_csv, write_terms
from conftest import dbt
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from test_rating import FIRST_DAY, random_agreement, random_call, written

from orchestration import feeds, file_ledger, ledger, loading, settings, terms

SEEDS = (1, 2)
EVENTS = 1_500
RUNS = 3
KEPT = (
    "stage.int_events_collected", "rate.int_events_rated", "attribute.int_ratings_grouped",
    "attribute.int_charges_grouped", "attribute.int_usage_summed", "attribute.int_shares_allocated",
    "settle.fct_usage_daily", "settle.fct_margins",
)  # fmt: skip
EVENTS_DONE = ("--select", "path:models/stage", "path:models/rate", "path:models/attribute")
EVERYTHING = (*EVENTS_DONE, "path:models/reconcile", "path:models/settle")


@dataclass
class Arrivals:
    """What is still to come: files by feed and name, and changes of the terms' tables."""

    files: list[tuple[str, str, str]] = field(default_factory=list)
    terms: dict[str, list[dict]] = field(default_factory=dict)
    changes: list = field(default_factory=list)


def columns_of(feed_name: str) -> list[str]:
    return [column.name for feed in feeds.declared() if feed.name == feed_name for column in feed.columns]


def as_csv(rows: list[dict], columns: list[str], folder: Path) -> str:
    write_csv(folder / "piece.csv", columns, rows)
    return (folder / "piece.csv").read_text()


def arrivals(dice: random.Random, folder: Path) -> Arrivals:
    """A month of six carriers in pieces: usage with corrections, deck by deck, e-mails word by word, other terms."""
    agreements = [random_agreement(dice, number) for number in range(6)]
    files = written(agreements, [random_call(dice, number, agreements) for number in range(EVENTS)])
    come = Arrivals(terms={name: rows for name, rows in files.rows.items() if name not in ("usage", "decks")})
    pieces: list[list[dict]] = [[] for _ in range(8)]
    for row in files.rows["usage"]:
        place = dice.randrange(8)
        pieces[place].append(row)
        if dice.random() < 0.1:  # said again: another length, another day, or no end yet
            later = datetime.fromisoformat(row["started_at"]) + timedelta(days=dice.choice([0, 0, 5]))
            pieces[dice.randrange(8)].append(
                row
                | {"quantity": dice.randint(0, 900), "started_at": later.strftime("%Y-%m-%dT%H:%M:%SZ"),
                   "status": dice.choice(["answered", "busy", "pending"]),
                   "received_at": (later + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")})  # fmt: skip
    for number, rows in enumerate(pieces):
        text = as_csv(rows, columns_of("usage__native"), folder)
        come.files.append(("usage/native", f"usage-{number}.csv", text))
    decks: dict[tuple, list[dict]] = {}
    for row in files.rows["decks"]:
        # Networks are amended by files of their own: else the dial codes beside them would touch most of their events.
        part = "networks" if row["mcc"] and row["deck_kind"] == "amendment" else "codes"
        decks.setdefault((row["carrier_id"], row["deck_version"], part), []).append(row)
    for (carrier, version, part), rows in decks.items():
        text = as_csv(rows, columns_of("rate_decks__native"), folder)
        come.files.append(("rate_decks/native", f"{carrier}-{version}-{part}.csv", text))
    first = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    for number, words in enumerate((("processed",), ("deferred", "delivered"), ("processed", "bounce"))):
        said = [
            {"sg_message_id": f"m{message}", "email": "anna@mail.example", "event": word,
             "timestamp": int((first + timedelta(days=message, hours=dice.randint(0, 40))).timestamp())}
            for message in range(6) for word in words
        ]  # fmt: skip
        come.files.append(("usage/sendgrid", f"a_mails-{number}.jsonl", "\n".join(map(json.dumps, said))))

    come.files += items_and_participants(dice, [row["event_id"] for row in files.rows["usage"]], folder)

    def change(table: str, key: str, value: str, **new: object) -> object:
        def apply(tables: dict[str, list[dict]]) -> None:
            tables[table] = [row | new if row[key] == value else row for row in tables[table]]

        return apply

    def leave(table: str, key: str, value: str) -> object:
        def apply(tables: dict[str, list[dict]]) -> None:
            tables[table] = [row for row in tables[table] if row[key] != value]

        return apply

    def follow(tables: dict[str, list[dict]]) -> None:
        """An agreement ends in the middle of the month, another one follows with other terms."""
        (old,) = (row for row in tables["agreements"] if row["agreement_id"] == "carrier-02")
        (old_terms,) = (row for row in tables["rating_terms"] if row["agreement_id"] == "carrier-02")
        middle = FIRST_DAY + timedelta(days=8)
        tables["agreements"].append(old | {"agreement_id": "next-02", "valid_from_date": middle})
        tables["rating_terms"].append(old_terms | {"agreement_id": "next-02", "minimum_quantity": 60})
        old["valid_until_date"] = middle

    come.terms |= {
        "accounts": [
            {"account_id": name, "partner_id": "p", "valid_from_date": "2020-01-01"} for name in ("a", "of-items")
        ],
        "participation_rules": [
            {"participation_id": "all", "participant_partner_id": "friend", "participant_role": "referrer",
             "valid_from_date": "2020-01-01"}
        ],
        "revenue_shares": [
            {"rule_id": "shares", "seller_partner_id": "p", "service": service, "share_ratio": "0.1",
             "participant_role": role, "valid_from_date": "2020-01-01"}
            for service in ("voice", "video") for role in ("referrer", "reseller")
        ],
        "plans": [{"plan_id": "items", "partner_id": "p", "service": "video", "direction": "outbound",
                   "country_code": "*", "valid_from_date": "2020-01-01", "pricing_model": "lines",
                   "quantity_unit": "participant_second", "minimum_quantity": 0, "increment_quantity": 0,
                   "priced_per_quantity": 1, "charged_on": "submitted"},
                  {"plan_id": "plan", "partner_id": "p", "service": "voice", "direction": "outbound",
                   "country_code": "*", "valid_from_date": "2020-01-01", "pricing_model": "per_unit",
                   "quantity_unit": "second", "minimum_quantity": 1, "increment_quantity": 1,
                   "priced_per_quantity": 60, "charged_on": "answered"}],
        "plan_tiers": [{"plan_id": "plan", "tier_number": 1, "unit_amount": "0.1", "flat_amount": 0}],
    }  # fmt: skip
    come.terms["parties"] += [
        {"party_id": name, "party_name": name, "country_code": "DE", "is_carrier": "false", "is_partner": "true"}
        for name in ("p", "friend", "chain")
    ]
    come.terms["agreements"].append(
        {"agreement_id": "p", "party_id": "p", "party_role": "partner", "valid_from_date": "2020-01-01",
         "currency": "EUR", "time_zone": "Asia/Tokyo", "rounding_mode": "half_up", "payment_days": 30,
         "line_rounding_decimals": 2, "tax_ratio": 0})  # fmt: skip
    come.changes = [
        change("rating_terms", "agreement_id", "carrier-00", increment_quantity=60, charged_on="submitted"),
        change("rating_terms", "agreement_id", "carrier-01", free_quantity=3000, increment_rounding_mode=None,
               increment_rounding_decimals=None),
        follow,
        leave("parties", "party_id", "carrier-03"),
        change("agreements", "agreement_id", "carrier-04", currency="XXX"),  # refused: no such currency
        change("plans", "plan_id", "plan", increment_quantity=60),
        change("participation_rules", "participation_id", "all", account_id="of-items"),
    ]  # fmt: skip
    return come


def items_and_participants(dice: random.Random, calls: list[str], folder: Path) -> list[tuple[str, str, str]]:
    """Priced items, some of which are refunded by another file, and who took part in some calls and items."""
    items: list[list[dict]] = [[] for _ in range(3)]
    for number in range(60):
        at = datetime.combine(FIRST_DAY, datetime.min.time(), UTC) + timedelta(days=number % 9, hours=number % 20)
        item = {"event_id": f"item-{number}", "service": "video", "direction": "outbound", "account_id": "of-items",
                "carrier_id": "carrier-05", "started_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "status": "succeeded",
                "quantity": "60", "quantity_unit": "participant_second", "amount": dice.randint(1, 99),
                "amount_currency": "EUR", "received_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
        dice.choice(items).append(item)
        if number % 3 == 0:
            back = {"event_id": f"back-{number}", "amount": -item["amount"], "refund_of": item["event_id"]}
            dice.choice(items).append(item | back)
    named = [
        {"event_feed": "native", "event_id": event, "participant_partner_id": "chain", "participant_role": role}
        for event in [*dice.sample(calls, 40), *(f"item-{number}" for number in range(0, 60, 4))]
        for role in ("referrer", "reseller")
    ]
    return [
        *(("usage/native", f"items-{number}.csv", as_csv(rows, columns_of("usage__native"), folder))
          for number, rows in enumerate(items)),
        *(("event_participants/native", f"named-{number}.csv",
           as_csv(named[number::2], columns_of("event_participants__native"), folder)) for number in range(2)),
    ]  # fmt: skip


class Warehouse:
    """A home that runs come and go over."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, settings.Home(folder / "home")
        self.terms = folder / "terms"
        self.terms.mkdir()
        self.home.warehouse.parent.mkdir(parents=True)
        self.home.landing.mkdir()
        os.environ.update(TOLLGATE_WAREHOUSE=str(self.home.warehouse), TOLLGATE_TERMS=str(self.terms))
        self.manifest = None

    def write_terms(self, tables: dict[str, list[dict]]) -> None:
        write_terms(self.terms, tables)
        terms.check()

    def land(self, files: list[tuple[str, str, str]]) -> None:
        for place, name, text in files:
            (self.home.landing / place).mkdir(parents=True, exist_ok=True)
            (self.home.landing / place / name).write_text(text)
        with duckdb.connect(str(self.home.warehouse)) as connection:
            file_ledger.prepare(connection)
            ledger.prepare(connection, self.home.published)
            for feed in feeds.declared():
                load = loading.load_feed(connection, feed, self.home.landing)
                assert not load.files_failed and not load.rows_quarantined, load.messages

    def run(self, *options: str) -> None:
        if self.manifest is None:
            self.manifest = dbt(self.folder, "parse").result
            selected = EVERYTHING
        else:
            selected = (*EVERYTHING, "--exclude", "path:models/stage,config.materialized:view")  # they are there
        for command, given in (("seed", ()), ("run", options or selected)):
            built = dbt(self.folder, command, *given, manifest=self.manifest)
            assert built.success, built.exception or [one.message for one in built.result if one.status == "error"]
        DuckDBConnectionManager.close_all_connections()  # else what it wrote is not yet in the file that is copied

    def rows(self, warehouse: Path, table: str) -> list[tuple]:
        with duckdb.connect(str(warehouse)) as connection:
            return connection.execute(f"select * from {table} order by all").fetchall()

    def ask(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.home.warehouse)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def warehouse(tmp_path: Path):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TOLLGATE_WAREHOUSE", "TOLLGATE_TERMS"):
            patch.setenv(name, "")
        patch.setenv("TOLLGATE_QUIET_SECONDS", "0")
        yield Warehouse(tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_rating_what_changed_leaves_what_rating_everything_leaves(warehouse: Warehouse, seed: int):
    dice = random.Random(seed)
    come = arrivals(dice, warehouse.folder)
    batches: list[list] = [[] for _ in range(RUNS)]
    for arrival in [*come.files, *come.changes]:
        batches[dice.randrange(RUNS)].append(arrival)
    warehouse.write_terms(come.terms)
    seldom = []
    for number, batch in enumerate(batches):
        for change in filter(callable, batch):
            change(come.terms)
        warehouse.write_terms(come.terms)
        warehouse.land([arrival for arrival in batch if not callable(arrival)])
        if number == 1:  # killed after the events were rated: nothing of it may be forgotten
            begun = ("int_events_collected", "int_events_touched", "int_events_repeated", "path:models/rate")
            warehouse.run("--select", *begun)
        if number == 2:  # killed before the marts, when all that depends on single events was done
            warehouse.run(*EVENTS_DONE)
        warehouse.run()
        (affected, everything), (events,) = (
            warehouse.ask("select count(*), count_if(event_id = '*') from rate.int_events_affected")[0],
            warehouse.ask("select count(*) from rate.int_events_rated")[0],
        )
        seldom.append(bool(everything) or affected < events)
        assert bool(everything) == (number == 0)
    assert any(seldom[1:3]), "each run rated everything, so nothing was proved"
    (by_network, by_origin) = warehouse.ask("""
        select count(mcc), count(origin_code)
        from rate.int_events_rated join rate.int_rate_decks_resolved using (deck_row_id)
    """)[0]
    assert min(by_network, by_origin) > 20, "hardly a network or an origin decided a price"
    require_as_made_anew(warehouse)


def require_as_made_anew(warehouse: Warehouse) -> None:
    anew = warehouse.folder / "anew" / warehouse.home.warehouse.name
    anew.parent.mkdir()
    shutil.copy(warehouse.home.warehouse, anew)
    os.environ["TOLLGATE_WAREHOUSE"] = str(anew)
    warehouse.run("--full-refresh", *EVERYTHING)
    for table in KEPT:
        kept, made_anew = warehouse.rows(warehouse.home.warehouse, table), warehouse.rows(anew, table)
        assert len(kept) > 100 or not table.startswith(("stage.", "rate."))
        different = set(kept) ^ set(made_anew)
        assert kept == made_anew, f"{table}: {len(different)} rows, such as {sorted(map(str, different))[:6]}"


def test_a_run_without_news_rates_nothing_and_an_amendment_only_its_own_numbers(warehouse: Warehouse):
    come = arrivals(random.Random(3), warehouse.folder)
    # Two amendments: one of dial codes (not that of every destination), one of networks.
    held_back = {"carrier-05-4-codes.csv": "carrier-05", "carrier-02-4-networks.csv": "carrier-02"}
    last = {
        held_back[name]: [row for row in csv.DictReader(text.splitlines()) if row["dial_code"] or row["mcc"]]
        for _, name, text in come.files
        if name in held_back
    }
    warehouse.write_terms(come.terms)
    warehouse.land([file for file in come.files if file[1] not in held_back])
    warehouse.run()
    warehouse.run()
    assert warehouse.ask("select * from rate.int_events_affected") == []
    assert warehouse.ask("select * from attribute.int_days_affected") == []
    columns = columns_of("rate_decks__native")
    warehouse.land(
        [("rate_decks/native", f"{name}.csv", as_csv(rows, columns, warehouse.folder)) for name, rows in last.items()]
    )
    warehouse.run()
    own = []
    for carrier, rows in last.items():
        codes = [f"starts_with(destination, '{row['dial_code']}')" for row in rows if not row["mcc"]]
        networks = [f"mcc = '{row['mcc']}' and mnc = '{row['mnc']}'" for row in rows if row["mnc"]]
        countries = [f"mcc = '{row['mcc']}'" for row in rows if row["mcc"] and not row["mnc"]]
        own.append(f"carrier_id = '{carrier}' and ({' or '.join([*codes, *networks, *countries])})")
    ((strangers,), touched) = (
        warehouse.ask(f"""
            select count(*) from rate.int_events_affected join stage.int_events_deduplicated using (event_id)
            join rate.int_events_rated using (event_id, carrier_id)
            where not ({" or ".join(own)})
                and not (carrier_id in ('carrier-05', 'carrier-02') and rating_status = 'unrated')
                and cause <> 'shared_allowance'""")[0],
        warehouse.ask("""
            select carrier_id, count(*) from rate.int_events_affected join rate.int_events_rated using (event_id)
            where cause = 'price' and rating_status = 'rated' group by carrier_id"""),
    )
    assert strangers == 0
    assert {carrier for carrier, events in touched if events > 10} == set(last)


def test_new_events_are_added_to_the_groups_of_their_days_and_nothing_else_is_summed_again(warehouse: Warehouse):
    come = arrivals(random.Random(4), warehouse.folder)
    warehouse.write_terms(come.terms)
    warehouse.land(come.files)
    warehouse.run()
    with_allowance = {row["agreement_id"] for row in come.terms["rating_terms"] if row.get("free_quantity")}
    carriers = {row["party_id"] for row in come.terms["agreements"] if row["agreement_id"] not in with_allowance}
    usage = next(text for _, name, text in come.files if name == "usage-0.csv")
    rows = [row for row in csv.DictReader(usage.splitlines()) if row["carrier_id"] in carriers]
    late = [row | {"event_id": f"late-{number}"} for number, row in enumerate(rows)]
    text = as_csv(late, columns_of("usage__native"), warehouse.folder)
    warehouse.land([("usage/native", "late.csv", text)])
    warehouse.run()
    ((days, added_to),) = warehouse.ask("select count(*), count_if(is_added_to) from attribute.int_days_affected")
    assert days == added_to > 1
    shown = warehouse.ask("select change_to_report, count(*) from attribute.int_days_fingerprinted group by all")
    assert dict(shown).get("rows") == days and "day" not in dict(shown)
    assert warehouse.ask("select sum(event_count) from attribute.int_usage_added") == [(len(late),)]
    require_as_made_anew(warehouse)
