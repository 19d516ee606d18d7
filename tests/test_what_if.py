"""`tollgate what-if` and `tollgate decks`: a deck's cost on real traffic before it takes effect, and what is odd in it.

Belongs here: that the answer is what the deck would really do, to the last digit, and that the home stays as it is.
Does not belong here: rating itself (test_rating), each finding by itself (unit tests beside the models).
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from orchestration import cli, deck_findings, feeds, file_ledger, ledger, loading
from orchestration.dbt_run import dbt, succeeded
from orchestration.lock import only_run
from orchestration.settings import Home
from orchestration.what_if import deck as what_if_deck
from orchestration.what_if import deck_report
from simulation import write_month

OCTOBER = date(2026, 10, 1)
DECK_HEADER = (
    "carrier_id,service,direction,deck_version,deck_kind,received_at,effective_date,dial_code,destination_name,"
    "change_type,rate_amount,rate_currency,rate_per_quantity,rate_unit"
)
USAGE_HEADER = (
    "event_id,service,direction,account_id,carrier_id,origin,destination,started_at,status,quantity,quantity_unit,"
    "received_at"
)

FULL, NEXT, NOTICE = (
    "a,full,2026-08-20T09:00:00Z,2026-09-01",
    "b,full,2026-09-20T09:00:00Z,2026-10-01",
    "c,amendment,2026-10-12T09:00:00Z,2026-10-15",
)
ODD_DECK = f"""
{FULL},49,Germany,,0.02,USD,60,second,,,,
{FULL},4915,Mobile,,0.05,USD,60,second,,,,
{FULL},352,Luxembourg,,0.05,USD,60,second,,,,
{NEXT},49,Germany,,0.02,USD,60,second,,,,
{NEXT},33,France,,0.02,USD,60,second,mon,08:00,18:00,
{NEXT},34,Spain,,0.02,USD,60,second,,,,30
{NEXT},39,Italy,,0.02,USD,60,second,,,,
{NEXT},39,Italy,,0.03,USD,60,second,,22:00,24:00,
{NEXT},41,Switzerland,,0.02,USD,60,second,,,,
{NEXT},41,Switzerland,,0.03,USD,60,second,,,,
{NEXT},43,Austria,,0.02,USD,60,second,,,,
{NEXT},43,Austria,closed,,,,,,,,
{NEXT},210,Nowhere,,0.02,USD,60,second,,,,
{NEXT},4420,London,,0.02,USD,60,second,,,,
{NEXT},4421,London,,0.02,USD,60,second,,,,
{NEXT},4422,London,,0.0004,USD,1,second,,,,
{NEXT},4423,London,,0.3,USD,60,second,,,,
{NOTICE},49,Germany,increase,0.021,USD,60,second,,,,
{NOTICE},45,Denmark,increase,0.02,USD,60,second,,,,
{NOTICE},46,Sweden,new,0.02,USD,60,second,,,,
{NOTICE},47,Norway,closed,,,,,,,,
"""


RATINGS_AND_FINDINGS = ("+int_events_rated", "+int_deck_findings_raised")


def settle(home: Home, manifest: object, models: tuple[str, ...] = RATINGS_AND_FINDINGS) -> None:
    """What a run leaves for this question: raw tables, staged events, and the models that are asked for."""
    home.warehouse.parent.mkdir(parents=True)
    with duckdb.connect(str(home.warehouse)) as connection:
        file_ledger.prepare(connection)
        ledger.prepare(connection, home.published)
        for feed in feeds.declared():
            loading.load_feed(connection, feed, home.landing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_WAREHOUSE", str(home.warehouse))
        selected = ("resource_type:seed", *models)
        tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        succeeded(dbt(home.root, "build", "--select", *selected, *tests, manifest=manifest))


@pytest.fixture(scope="module")
def demo(dbt_project, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A simulated month. Read only."""
    home = Home(tmp_path_factory.mktemp("demo") / "home")
    write_month(home.landing, home.simulation / "truth.json", month="2026-10", events=5000, seed=7)
    settle(home, dbt_project.parsed)
    return home


@pytest.fixture(scope="module")
def changing(dbt_project, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A month in which nordlink's deck is replaced on the 15th, and one code of it amended on the 20th; and a deck of
    atlantic-voice that is odd in every way."""
    home = Home(tmp_path_factory.mktemp("changing") / "home")
    decks = [
        deck_row("a", "full", "2026-08-20", "2026-09-01", "49", "Germany", "0.06"),
        deck_row("a", "full", "2026-08-20", "2026-09-01", "33", "France", "0.12"),
        deck_row("b", "full", "2026-10-01", "2026-10-15", "49", "Germany", "0.18"),
        deck_row("b", "full", "2026-10-01", "2026-10-15", "33", "France", "0.24"),
        deck_row("c", "amendment", "2026-10-10", "2026-10-20", "33", "France", "0.30"),
    ]
    calls = [
        call(f"{country} {day}", number, f"2026-10-{day:02}T10:00:00Z")
        for country, number in (("de", "4930123456"), ("fr", "33123456789"), ("es", "34912345678"))
        for day in (2, 16, 25)
    ]
    # In Berlin this is the first of November, and no call of the month.
    calls.append(call("de november", "4930123456", "2026-10-31T23:30:00Z"))
    write(home.landing / "rate_decks/native/decks.csv", DECK_HEADER, decks)
    write(home.landing / "usage/native/calls.csv", USAGE_HEADER, calls)
    odd = [f"atlantic-voice,voice,outbound,{row}" for row in ODD_DECK.split()]
    write(home.landing / "rate_decks/native/odd.csv", f"{DECK_HEADER},days,starts_at,ends_at,from_quantity", odd)
    settle(home, dbt_project.parsed)
    return home


def deck_row(version: str, kind: str, received: str, first_day: str, code: str, name: str, rate: str) -> str:
    change = "closed" if rate == "closed" else ""
    price = ",,," if change else f"{rate},EUR,60,second"
    return f"nordlink,voice,outbound,{version},{kind},{received}T09:00:00Z,{first_day},{code},{name},{change},{price}"


def call(event_id: str, number: str, started_at: str) -> str:
    return f"{event_id},voice,outbound,a,nordlink,49301,{number},{started_at},answered,60,second,2026-11-02T00:00:00Z"


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows, ""]))
    return path


def query(home: Home, sql: str) -> list[tuple]:
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def rounded(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def costs(answer: what_if_deck.Answer) -> dict[str | None, tuple[int, Decimal, Decimal]]:
    return {line.code_name: (line.event_count, line.cost_before, line.cost_after) for line in answer.lines}


# --- a simulated month ----------------------------------------------------------------------------------------------


def test_a_doubled_rate_costs_what_a_pencil_says_and_no_other_code_moves(demo, dbt_project, tmp_path):
    [(code, name, rate)] = query(
        demo,
        """
        select dial_code, destination_name, rate_amount
        from (
            select rated.*, decks.dial_code
            from rate.int_events_rated as rated join rate.int_rate_decks_resolved as decks using (deck_row_id)
        )
        where carrier_id = 'ponte-wholesale' and rating_status = 'rated' and carrier_local_date between '2026-10-01'
            and '2026-10-31'
        group by all order by count(*) desc, dial_code limit 1
        """,
    )
    row = (
        "ponte-wholesale,voice,outbound,v11,amendment,2026-10-20T09:00:00Z,2026-11-01,"
        f"{code},{name},increase,{rate * 2},EUR,60,second"
    )
    answer = what_if_deck.ask(demo, write(tmp_path / "deck.csv", DECK_HEADER, [row]), manifest=dbt_project.parsed)
    seconds = query(
        demo,
        f"""
        select billed_quantity from rate.int_events_rated
        where
            deck_row_id in (select deck_row_id from rate.int_rate_decks_resolved where dial_code = '{code}')
            and rating_status = 'rated' and carrier_id = 'ponte-wholesale'
            and carrier_local_date between '2026-10-01' and '2026-10-31'
        """,
    )
    # The agreement rounds each call to five decimals.
    before = sum(rounded(rate * billed / 60, 5) for (billed,) in seconds)
    after = sum(rounded(rate * 2 * billed / 60, 5) for (billed,) in seconds)
    assert len(seconds) >= 5 and answer.month == OCTOBER and answer.carrier_id == "ponte-wholesale"
    assert costs(answer)[code] == (len(seconds), before, after)
    assert {line.code_name for line in answer.lines if line.difference} == {code}
    assert sum(line.difference for line in answer.lines) == after - before
    assert answer.lines[0].rates_after == (what_if_deck.Rate(rate * 2, 60, "EUR", "second"),)
    [total] = json.loads(deck_report.as_json(answer))["totals"]
    assert Decimal(total["difference"]) == after - before and "E" not in total["difference"]
    # Twelve days before its first day: in time. That the code costs twice as much is for the carrier to say.
    assert not [one for one in answer.findings if one.finding == "increase_inside_notice"]
    [(cost, events)] = query(
        demo,
        """
        select sum(rated_cost_amount), count(*) from rate.int_events_rated
        where carrier_id = 'ponte-wholesale' and carrier_local_date between '2026-10-01' and '2026-10-31'
        """,
    )
    assert (sum(line.cost_before for line in answer.lines), answer.event_count) == (cost, events)


def test_the_deck_that_is_in_force_already_changes_no_code(demo, dbt_project):
    """The very file that landed: its rows are not counted twice either."""
    deck = demo.landing / "rate_decks/az_decimal_comma/ponte-wholesale_2026-10-01.csv"
    answer = what_if_deck.ask(demo, deck, "az_decimal_comma", manifest=dbt_project.parsed)
    assert len(answer.lines) > 50
    assert all(line.difference == 0 and line.rates_before == line.rates_after for line in answer.lines)
    assert not answer.changes and not answer.quarantined and not answer.refused
    assert answer.decks[0].received_at is None, "the file does not say when it came"
    [(found,)] = query(demo, "select count(*) from rate.int_deck_findings_raised where carrier_id = 'ponte-wholesale'")
    assert answer.finding_counts.total() == found > 0


def test_the_command_tells_totals_and_bad_rows_and_leaves_nothing_behind(demo, tmp_path):
    rows = [
        "gulf-connect,voice,outbound,v11,amendment,2026-10-28T09:00:00Z,2026-11-01,49,Germany,,0.05,KWD,60,second",
        "gulf-connect,voice,outbound,v11,amendment,2026-10-28T09:00:00Z,2026-11-01,1,United States,,abc,KWD,60,second",
        "gulf-connect,voice,outbound",
    ]
    deck = write(tmp_path / "amends.csv", DECK_HEADER, rows)
    before = hashlib.sha256(demo.warehouse.read_bytes()).hexdigest()
    (tmp_path / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_")}
    environment |= {"TOLLGATE_HOME": str(demo.root), "TMPDIR": str(tmp_path / "tmp")}
    command = [str(Path(sys.executable).parent / "tollgate"), "what-if", "--deck", str(deck)]
    told = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert told.returncode == 0, told.stdout + told.stderr
    for said in (
        "events of 2026-10, as if amends.csv had been in force from 2026-10-01",
        "its own first day is 2026-11-01, and it was received 2026-10-28 09:00 UTC",
        "rate_refused",
        "line 4: 3 columns, expected 14",
        "1 row of the file refused: rate_unreadable (first: record 2)",
        "with 4 days of notice, not 7",
        "1 error: increase_inside_notice",
    ):
        assert said in " ".join(told.stdout.split()), f"{said!r} is not in:\n{told.stdout}\n{told.stderr}"
    assert list((tmp_path / "tmp").iterdir()) == []
    assert hashlib.sha256(demo.warehouse.read_bytes()).hexdigest() == before, "the warehouse changed"
    assert sorted(path.name for path in demo.warehouse.parent.iterdir()) == ["tollgate.duckdb", "tollgate.lock"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deck", "nowhere.csv"], "nowhere.csv is no file"),
        (["--deck", "deck.csv", "--feed", "nobodys"], "'nobodys' is no feed of rate decks; known: astpp, "),
        (["--deck", "deck.txt"], "deck.txt: files of rate_decks/native are called *.csv"),
        (["--deck", "deck.csv", "--feed", "astpp"], "the name does not give carrier_id"),
        (["--deck", "empty.csv"], "empty.csv: the file is empty"),
        (["--deck", "header.csv"], "header.csv holds no row"),
        (
            ["--deck", "deck.csv", "--carrier", "nobody"],
            "'nobody' is no carrier of the terms; they know atlantic-voice",
        ),
        (["--deck", "deck.csv", "--month", "October"], "'October' is no month; write it as 2026-10"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_at_once(demo, tmp_path, monkeypatch, options, said):
    for name in ("deck.csv", "deck.txt"):
        write(tmp_path / name, DECK_HEADER, [deck_row("v", "full", "2026-10-20", "2026-11-01", "49", "Germany", "1")])
    write(tmp_path / "header.csv", DECK_HEADER, [])
    (tmp_path / "empty.csv").touch()
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli.main, ["what-if", *options], env={"TOLLGATE_HOME": str(demo.root)})
    assert (told.exit_code, said in told.output) == (2, True), told.output


@pytest.mark.parametrize(
    ("carriers", "carrier", "month", "said"),
    [
        (["nordlink", "twilio"], None, None, "holds decks of nordlink, twilio: say with --carrier which one you mean"),
        (["ghost-tel"], None, None, "'ghost-tel' is no carrier of the terms; they know atlantic-voice"),
        (["twilio"], "nordlink", None, "holds no row of nordlink; it is a deck of twilio"),
        (
            ["nordlink"],
            None,
            date(2026, 8, 1),
            "nordlink has no such usage in 2026-08; it has some in 2026-10 (9 events)",
        ),
        (["twilio"], None, None, "twilio has no usage of voice outbound: there is nothing to compare"),
    ],
)
def test_a_deck_without_a_carrier_or_traffic_is_explained(
    changing, dbt_project, tmp_path, carriers, carrier, month, said
):
    rows = [
        deck_row("v", "full", "2026-10-20", "2026-11-01", "49", "Germany", "1").replace("nordlink", one)
        for one in carriers
    ]
    deck = write(tmp_path / "deck.csv", DECK_HEADER, rows)
    with pytest.raises(what_if_deck.CannotAnswer) as refused:
        what_if_deck.ask(changing, deck, carrier=carrier, month=month, manifest=dbt_project.parsed)
    assert said in str(refused.value)
    assert "TOLLGATE_WAREHOUSE" not in os.environ or "what-if" not in os.environ["TOLLGATE_WAREHOUSE"]


def test_a_question_does_not_get_in_the_way_of_a_run(demo, tmp_path):
    deck = write(
        tmp_path / "deck.csv", DECK_HEADER, [deck_row("v", "full", "2026-10-20", "2026-11-01", "49", "x", "1")]
    )
    command = [str(Path(sys.executable).parent / "tollgate"), "what-if", "--deck", str(deck)]
    with only_run(demo):
        told = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=os.environ | {"TOLLGATE_HOME": str(demo.root), "TMPDIR": str(tmp_path)},
        )
    assert told.returncode == 1 and "another run holds the warehouse" in told.stderr
    assert not list(tmp_path.glob("tollgate-what-if-*"))


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
def test_a_question_that_is_ended_takes_its_copy_along(demo, tmp_path, word):
    deck = write(
        tmp_path / "deck.csv", DECK_HEADER, [deck_row("v", "full", "2026-10-20", "2026-11-01", "49", "x", "1")]
    )
    (tmp_path / "tmp").mkdir()
    asked = subprocess.Popen(
        [str(Path(sys.executable).parent / "tollgate"), "what-if", "--deck", str(deck)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TOLLGATE_HOME": str(demo.root), "TMPDIR": str(tmp_path / "tmp")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    give_up_at = time.monotonic() + 120
    while not list((tmp_path / "tmp").glob("tollgate-what-if-*/home/logs")):  # dbt has begun
        assert asked.poll() is None and time.monotonic() < give_up_at
        time.sleep(0.05)
    asked.send_signal(word)
    _, told = asked.communicate(timeout=120)
    assert (asked.returncode, "stopped; nothing was changed" in told) == (130, True), told
    assert not list((tmp_path / "tmp").glob("tollgate-what-if-*"))


# --- a month in which the decks change ------------------------------------------------------------------------------


def test_an_amendment_counts_for_all_of_the_month_also_where_a_full_deck_begins_in_it(changing, dbt_project, tmp_path):
    rows = [deck_row("d", "amendment", "2026-10-30", "2026-12-01", "33", "France", "0.60")]
    deck = write(tmp_path / "deck.csv", DECK_HEADER, rows)
    answer = what_if_deck.ask(changing, deck, manifest=dbt_project.parsed)
    # One minute each: on the 2nd by the first deck, on the 16th by the second, on the 25th by what amends that.
    assert costs(answer) == {
        "33": (3, Decimal("0.66"), Decimal("1.80")),
        "49": (3, Decimal("0.42"), Decimal("0.42")),
    }
    assert answer.unrated_count == 3 and not answer.changes


def test_a_full_deck_takes_the_place_of_all_others_and_what_it_leaves_out_is_unrated(changing, dbt_project, tmp_path):
    rows = [
        deck_row("d", "full", "2026-10-30", "2026-11-01", "49", "Germany", "0.60"),
        deck_row("d", "full", "2026-10-30", "2026-11-01", "34", "Spain", "0.90"),
    ]
    deck = write(tmp_path / "deck.csv", DECK_HEADER, rows)
    answer = what_if_deck.ask(changing, deck, manifest=dbt_project.parsed)
    assert costs(answer) == {"49": (3, Decimal("0.42"), Decimal("1.80"))}
    assert [(one.becomes, one.reason, one.code_name, one.event_count, one.cost) for one in answer.changes] == [
        ("unrated", "no_rate", "33", 3, Decimal("0.66")),
        ("rated", "no_rate", "34", 3, Decimal("2.70")),
    ]
    assert {(one.finding_reason, one.code_name, one.severity) for one in answer.findings} == {
        ("dropped_from_full_deck", "33", "error"),
        ("increase_inside_notice", "49", "error"),
    }


def test_of_a_code_with_prices_for_several_days_the_last_one_counts(changing, dbt_project, tmp_path):
    rows = [
        deck_row("d", "amendment", "2026-10-01", "2026-11-01", "49", "Germany", "0.60"),
        deck_row("d", "amendment", "2026-10-01", "2026-12-01", "49", "Germany", "0.90"),
        deck_row("d", "amendment", "2026-10-01", "2026-11-01", "33", "France", "closed"),
    ]
    deck = write(tmp_path / "deck.csv", DECK_HEADER, rows)
    answer = what_if_deck.ask(changing, deck, manifest=dbt_project.parsed)
    assert costs(answer) == {"49": (3, Decimal("0.42"), Decimal("2.70"))}
    assert answer.codes_of_several_days == 1
    assert [(one.becomes, one.reason, one.code_name) for one in answer.changes] == [("unrated", "no_rate", "33")]


# --- tollgate decks -------------------------------------------------------------------------------------------------


def test_decks_lists_the_most_severe_findings_first_and_counts_all(demo):
    def told(*options: str) -> str:
        command = [str(Path(sys.executable).parent / "tollgate"), "decks", *options]
        environment = os.environ | {"TOLLGATE_HOME": str(demo.root)}
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        return run.stdout

    # gulf-connect's amendment came three days after its first day.
    rises = query(
        demo,
        """
        select count(*) from rate.int_deck_findings_raised
        where finding = 'increase_inside_notice' and carrier_id = 'gulf-connect' and notice_days = 0
        """,
    )
    lines = told("--limit", "1").splitlines()
    assert lines[0].startswith("gulf-connect, voice outbound, deck voice-outbound-2026-10-10-amendment")
    assert f"{rises[0][0]} errors: increase_inside_notice" in lines
    assert lines[-1].startswith("1 of ")
    assert told("--carrier", "mailpost") == "nothing odd in the decks of mailpost\n"
    asked = CliRunner().invoke(cli.main, ["decks", "--carrier", "nobody"], env={"TOLLGATE_HOME": str(demo.root)})
    assert asked.exit_code == 2 and "'nobody' is no carrier of the terms" in asked.output


def test_each_oddity_of_a_landed_deck_is_found_once_and_said_in_a_sentence(changing):
    with duckdb.connect(str(changing.warehouse), read_only=True) as warehouse:
        found = deck_findings.read(warehouse, 100, "atlantic-voice")
    assert {(one.severity, one.code_name, one.record_number, one.sentence) for one in found} == {
        ("warning", "4915", None, "left out of the full deck and never closed: 49 prices its numbers"),
        ("error", "352", None, "left out of the full deck and never closed: its numbers have no price"),
        ("error", "33", 5, "158 h of the week have no price"),
        ("error", "34", 6, "in 168 h of the week the first seconds of a call have no price"),
        ("error", "39", 8, "two time bands overlap: USD 0.03 per 60 s and 0.02"),
        ("error", "41", 10, "twice in one file: USD 0.03 per 60 s counts, 0.02 does not"),
        ("error", "43", 12, "closed, and priced at 0.02 by the same file: closed"),
        ("warning", "210", 13, "no country has numbers that begin so"),
        ("warning", "4423", 17, "USD 0.3 per 60 s, while its destination costs USD 0.0004 per s (12.5 times)"),
        ("error", "49", 18, "USD 0.021 per 60 s instead of 0.02 (1.05 times), with 3 days of notice, not 7"),
        ("warning", "45", 19, "amends a code that never had a price, and does not call it new"),
        ("warning", "47", 21, "closes a code that never had a price"),
    }
    assert len(found) == 12 and {one.severity for one in found[:7]} == {"error"}
