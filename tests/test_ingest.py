"""Ingest: a file is loaded exactly once, and each of its records is loaded or in quarantine."""

# As text, annotations of fixtures do not hold the engine's types until the interpreter ends: it would tell of leaks.
from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from textwrap import dedent

import dagster as dg
import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration import feeds, ingest
from orchestration.feeds import Feed, readers
from orchestration.file_ledger import prepare
from orchestration.landing import unclaimed
from orchestration.loading import FeedLoad, LandingMissing, load_feed
from orchestration.resources import Warehouse

FEEDS = {feed.name: feed for feed in feeds.declared()}
FX, USAGE, INVOICES = FEEDS["fx_rates__native"], FEEDS["usage__native"], FEEDS["carrier_invoices__native"]
FX_HEADER = "rate_date,base_currency,quote_currency,rate,source"
REAL_DECK = "rates/asterisell_international_call_rates_it_decimalcomma.csv"
SAMPLES = Path(__file__).parents[2] / "shared" / "data"


def sample(name: str) -> Path:
    """A file as a carrier or vendor really sends it; these are not part of the project."""
    if not (SAMPLES / name).exists():
        pytest.skip(f"no {name} beside the checkout: real files are tested only where they lie")
    return SAMPLES / name


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    for feed in FEEDS.values():
        (tmp_path / "landing" / feed.folder).mkdir(parents=True)
    return tmp_path / "landing"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        prepare(connection)
        yield connection


def drop(landing: Path, name: str, content: str | bytes, feed: Feed = FX) -> Path:
    path = landing / feed.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fx(*rates: str) -> str:
    """A file of exchange rates: one line per rate, the day numbered through."""
    lines = [f"2026-10-{day:02},EUR,USD,{rate},ECB" for day, rate in enumerate(rates, start=1)]
    return "\n".join([FX_HEADER, *lines]) + "\n"


def rates(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    rows = warehouse.execute("select rate from ingest.fx_rates__native order by rate").fetchall()
    return [rate for (rate,) in rows]


def ledger(warehouse: duckdb.DuckDBPyConnection) -> list[tuple]:
    return warehouse.execute(
        """
        select file_name, outcome, record_count, loaded_count, quarantined_count
        from ingest.files order by file_name, loaded_at
        """
    ).fetchall()


def quarantine(warehouse: duckdb.DuckDBPyConnection) -> list[tuple]:
    return warehouse.execute(
        "select line_number, column_name, reason_code, raw_text from ingest.quarantine order by line_number"
    ).fetchall()


def only_failure(load: FeedLoad) -> str:
    (file,) = load.files
    assert (file.outcome, load.rows_loaded) == ("failed", 0)
    return file.message


# --- exactly once -------------------------------------------------------------------------------------------


def test_each_declared_feed_has_its_tables_before_any_file_arrives(warehouse):
    tables = {name for (name,) in warehouse.execute("select table_name from information_schema.tables").fetchall()}
    assert tables == {*FEEDS, "feeds", "files", "quarantine"}
    described = warehouse.execute("describe ingest.rate_decks__az_decimal_comma").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [
        ("destination", "VARCHAR"),
        ("prefix", "VARCHAR"),
        ("rate", "VARCHAR"),
        ("carrier_id", "VARCHAR"),
        ("effective_date", "VARCHAR"),
        ("_file_id", "VARCHAR"),
        ("_record_number", "BIGINT"),
        ("_loaded_at", "TIMESTAMP"),
        ("_extra_columns", "VARCHAR"),
    ]


def test_rows_carry_their_file_their_number_and_the_instant_of_the_load(warehouse, landing):
    drop(landing, "a.csv", fx("1.10", "1.20"))
    load_feed(warehouse, FX, landing, clock=lambda: datetime(2026, 11, 1, 6, 30))
    rows = warehouse.execute(
        """
        select rate_date, rate, _record_number, _loaded_at, _extra_columns, files.file_name
        from ingest.fx_rates__native left join ingest.files as files on _file_id = file_id order by rate
        """
    ).fetchall()
    assert rows == [
        ("2026-10-01", "1.10", 1, datetime(2026, 11, 1, 6, 30), None, "a.csv"),
        ("2026-10-02", "1.20", 2, datetime(2026, 11, 1, 6, 30), None, "a.csv"),
    ]


def test_the_same_file_twice_is_counted_once(warehouse, landing):
    path = drop(landing, "a.csv", fx("1.1", "1.2"))
    first, second = load_feed(warehouse, FX, landing), load_feed(warehouse, FX, landing)
    os.utime(path, (1, 1))
    touched = load_feed(warehouse, FX, landing)
    assert (first.files_loaded, second.files_skipped, touched.files_skipped) == (1, 1, 1)
    assert rates(warehouse) == ["1.1", "1.2"]
    assert ledger(warehouse) == [("a.csv", "loaded", 2, 2, 0)]


def test_a_known_file_is_not_even_opened(warehouse, landing, monkeypatch):
    drop(landing, "a.csv", fx("1.1"))
    load_feed(warehouse, FX, landing)
    monkeypatch.setattr(readers, "survey", lambda *_: pytest.fail("read again"))
    assert load_feed(warehouse, FX, landing).files_skipped == 1


@pytest.mark.parametrize("zipped", [False, True])
def test_a_renamed_or_zipped_copy_is_a_duplicate_recorded_once(warehouse, landing, zipped: bool):
    drop(landing, "a.csv", fx("1.1"))
    load_feed(warehouse, FX, landing)
    name, content = ("b.csv.gz", gzip.compress(fx("1.1").encode())) if zipped else ("b.csv", fx("1.1"))
    drop(landing, name, content)
    first, second = load_feed(warehouse, FX, landing), load_feed(warehouse, FX, landing)
    assert (first.files_duplicate, second.files_duplicate, second.files_skipped) == (1, 0, 2)
    assert first.messages == (f"fx_rates/native/{name}: has the content of a.csv; not loaded again",)
    assert rates(warehouse) == ["1.1"]
    assert ledger(warehouse) == [("a.csv", "loaded", 1, 1, 0), (name, "duplicate", None, 0, 0)]
    loaded, original = warehouse.execute(
        "select max(file_id) filter (outcome = 'loaded'), max(duplicate_of_file_id) from ingest.files"
    ).fetchone()
    assert loaded == original


def test_changed_content_under_an_old_name_is_a_new_file_and_both_are_kept(warehouse, landing):
    drop(landing, "a.csv", fx("1.1"))
    load_feed(warehouse, FX, landing)
    drop(landing, "a.csv", fx("1.1", "1.2"))
    assert load_feed(warehouse, FX, landing).files_loaded == 1
    assert rates(warehouse) == ["1.1", "1.1", "1.2"]
    assert ledger(warehouse) == [("a.csv", "loaded", 1, 1, 0), ("a.csv", "loaded", 2, 2, 0)]
    assert warehouse.execute("select count(distinct _file_id) from ingest.fx_rates__native").fetchone() == (2,)


def test_a_load_killed_before_its_commit_leaves_nothing_and_is_repeated_whole(tmp_path: Path):
    """A real process, killed when 300,000 rows are written and the ledger is not."""
    landing, database = tmp_path / "landing", tmp_path / "warehouse.duckdb"
    (landing / USAGE.folder).mkdir(parents=True)
    big = landing / USAGE.folder / "big.csv"
    columns = ", ".join(f"'{name}-' || i as {name}" for name in USAGE.column_names)
    duckdb.execute(f"copy (select {columns} from range(300000) as t(i)) to '{big}' (header true)")
    program = f"""
        import duckdb, time
        from pathlib import Path
        from orchestration import feeds, file_ledger, loading
        def die_here(*_, **__):
            print("rows are written", flush=True)
            time.sleep(60)
        file_ledger.write_line = die_here
        feed, = [feed for feed in feeds.declared() if feed.name == "usage__native"]
        loading.load_feed(duckdb.connect("{database}"), feed, Path("{landing}"))
    """
    root = str(Path(__file__).parents[1])
    child = subprocess.Popen([sys.executable, "-c", dedent(program)], cwd=root, stdout=subprocess.PIPE, text=True)
    assert any("rows are written" in line for line in child.stdout), "the child ended before the kill"
    child.kill()
    child.communicate()
    with duckdb.connect(str(database)) as connection:
        count = "select count(*), count(distinct event_id), max(_record_number) from ingest.usage__native"
        assert connection.execute(count).fetchone() == (0, 0, None)
        assert ledger(connection) == []
        assert load_feed(connection, USAGE, landing).rows_loaded == 300_000
        assert load_feed(connection, USAGE, landing).files_skipped == 1
        assert connection.execute(count).fetchone() == (300_000, 300_000, 300_000)


def test_a_file_that_changes_while_it_is_read_is_not_loaded_by_halves(warehouse, landing, monkeypatch):
    path = drop(landing, "a.csv", fx("1.1"))
    os.utime(path, (1, 1))
    look = readers.survey

    def look_and_change(*arguments):
        seen = look(*arguments)
        path.write_text(fx("9.9"))
        return seen

    with monkeypatch.context() as patched:
        patched.setattr(readers, "survey", look_and_change)
        assert "changed while it was read" in only_failure(load_feed(warehouse, FX, landing))
    assert rates(warehouse) == []
    load_feed(warehouse, FX, landing)
    assert rates(warehouse) == ["9.9"]


# --- files that cannot be read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "a.csv: the file is empty (0 bytes)"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "the file is empty (0 bytes)"),
        ("a.csv", b"\n\n", "the file has only blank lines"),
        (
            "a.csv",
            b"rate_date,rate\n2026-10-01,1\n",
            "required column missing: base_currency, quote_currency, source",
        ),
        (
            "a.csv",
            b"rate_date,rate\n2026-10-01,1\n",
            "The file has: rate_date, rate. Add it to the file, or correct fx_",
        ),
        ("a.csv", f"{FX_HEADER},Rate\n".encode(), "column twice in the header: rate"),
        ("a.csv", fx("1").replace(",", ";").encode(), f"The file has: {FX_HEADER.replace(',', ';')}"),
        (
            "a.csv",
            fx("1", "2").replace("EUR", "€UR").encode("cp1252"),
            "line 2 is not utf-8 text (byte 0x80)",
        ),
        ("a.csv", fx("1").encode("utf-16"), "line 1 is not utf-8 text (byte 0xff)"),
        ("a.csv", fx("1\x1f").encode(), "line 2 holds the control character 0x1f"),
        ("a.csv.gz", gzip.compress(fx("1", "2").encode(), mtime=0)[:-9], "the gzip file is damaged or cut short"),
        ("a.csv.gz", fx("1").encode(), "the gzip file is damaged or cut short (Not a gzipped file"),
    ],
)
def test_a_file_that_is_not_what_its_feed_declares_fails_alone(warehouse, landing, name, content, told):
    drop(landing, name, content)
    drop(landing, "b.csv", fx("1.2"))
    load = load_feed(warehouse, FX, landing)
    failed, loaded = load.files
    assert (failed.outcome, loaded.outcome) == ("failed", "loaded")
    assert told in failed.message
    assert rates(warehouse) == ["1.2"]
    assert ledger(warehouse)[0][:2] == (name, "failed")


def test_a_line_longer_than_the_engine_reads_fails_its_file_with_a_short_message(warehouse, landing):
    drop(landing, "a.csv", fx("1", "9" * 3_000_000))
    message = only_failure(load_feed(warehouse, FX, landing))
    assert "CSV Error on Line: 3. Nothing of it is loaded; a line may have at most 2 MB." in message
    assert len(message) < 200


def test_a_bit_flipped_in_a_zipped_file_is_noticed(warehouse, landing):
    """The engine does not check the sum of a gzip file: without our look a rate would change in silence."""
    stored = io.BytesIO()
    with gzip.GzipFile(fileobj=stored, mode="wb", compresslevel=0) as stream:
        stream.write(fx("1.111").encode())
    drop(landing, "a.csv.gz", stored.getvalue().replace(b"1.111", b"9.111"))
    assert "damaged" in only_failure(load_feed(warehouse, FX, landing))


def test_a_failed_file_is_tried_again_and_keeps_one_line_in_the_ledger(warehouse, landing):
    drop(landing, "a.csv", "")
    load_feed(warehouse, FX, landing)
    assert load_feed(warehouse, FX, landing).files_failed == 1
    assert ledger(warehouse) == [("a.csv", "failed", None, 0, 0)]
    drop(landing, "a.csv", fx("1.1"))
    load_feed(warehouse, FX, landing)
    assert ledger(warehouse) == [("a.csv", "loaded", 1, 1, 0)]


def test_a_failed_file_that_was_taken_away_is_forgotten(warehouse, landing):
    gone, kept = drop(landing, "a.csv", ""), drop(landing, "b.csv", "")
    load_feed(warehouse, FX, landing)
    gone.unlink()
    load_feed(warehouse, FX, landing, is_wanted=lambda path: False)
    assert ledger(warehouse) == [(kept.name, "failed", None, 0, 0)]


def test_a_corrected_declaration_loads_the_file_that_failed_under_the_old_one(warehouse, landing, tmp_path):
    drop(landing, "a.csv", fx("1.1").replace("ECB", "Österreich").encode("latin-1"))
    assert "not utf-8" in only_failure(load_feed(warehouse, FX, landing))
    corrected = tmp_path / "fx_rates__native.yml"
    corrected.write_text(FX.declaration.read_text() + "csv: {encoding: latin-1}\n")
    assert load_feed(warehouse, feeds.load_declaration(corrected), landing).files_loaded == 1
    assert warehouse.execute("select source from ingest.fx_rates__native").fetchall() == [("Österreich",)]
    assert ledger(warehouse) == [("a.csv", "loaded", 1, 1, 0)]


def test_a_header_alone_is_a_loaded_file_without_records(warehouse, landing):
    drop(landing, "a.csv", FX_HEADER)
    drop(landing, "b.csv", FX_HEADER + "\r\n\r\n")
    assert load_feed(warehouse, FX, landing).files_loaded == 2
    assert ledger(warehouse) == [("a.csv", "loaded", 0, 0, 0), ("b.csv", "loaded", 0, 0, 0)]


def test_a_missing_landing_says_what_to_do(warehouse, tmp_path):
    with pytest.raises(LandingMissing, match=r"no landing folder .*nowhere\. Create it and drop files into"):
        load_feed(warehouse, FX, tmp_path / "nowhere")


def test_what_no_feed_claims_is_named_and_unfinished_files_wait(warehouse, landing):
    left = [
        drop(landing, "rates.xlsx", "x"),
        drop(landing, "notes.txt", "x"),
        landing / "readme.txt",
        landing / "usage" / "unknown_vendor",
        landing / "invoices",
    ]
    left[2].write_text("x")
    for folder in left[3:]:
        folder.mkdir()
        (folder / "a.csv").write_text("x")
    for name in (".hidden.csv", "a.csv.part", "a.csv.tmp"):
        drop(landing, name, fx("1.1"))
    assert unclaimed(landing) == sorted(left)
    load = load_feed(warehouse, FX, landing)
    assert load.files == ()
    assert load.unclaimed == tuple(path.relative_to(landing) for path in sorted(left[:2]))
    assert load.messages[0] == "fx_rates/native/notes.txt: no pattern of fx_rates__native.yml claims it"


# --- records that cannot be read ----------------------------------------------------------------------------


def test_broken_records_are_set_aside_with_line_reason_and_text(warehouse, landing):
    lines = [
        FX_HEADER,
        "2026-10-01,EUR,USD,1.1,ECB",
        "",
        "2026-10-02,EUR,USD,1,2,ECB",
        '2026-10-03,"EUR,USD,1.3,ECB',
        "2026-10-04,EUR,USD",
        "2026-10-05, ,,1.5,ECB",
        '2026-10-06,"EUR"x,USD,1.6,ECB',
        '2026-10-07,"E""U,R",USD,1.7,ECB',
        '2026-10-08, "EUR" ,US"D, 1.8 ,ECB',
    ]
    drop(landing, "a.csv", "\r\n".join(lines))
    load = load_feed(warehouse, FX, landing)
    assert quarantine(warehouse) == [
        (4, None, "wrong_column_count", lines[3]),
        (5, None, "unreadable_row", lines[4]),
        (6, None, "wrong_column_count", lines[5]),
        (7, "base_currency", "required_value_missing", lines[6]),
        (8, None, "unreadable_row", lines[7]),
    ]
    rows = warehouse.execute(
        "select base_currency, quote_currency, rate, _record_number from ingest.fx_rates__native order by 4"
    ).fetchall()
    assert rows == [("EUR", "USD", "1.1", 1), ('E"U,R', "USD", "1.7", 7), ("EUR", 'US"D', " 1.8 ", 8)]
    assert ledger(warehouse) == [("a.csv", "loaded", 8, 3, 5)]
    assert load.messages == (
        "fx_rates/native/a.csv: 5 of 8 records are in quarantine "
        "(required_value_missing 1, unreadable_row 2, wrong_column_count 2)",
    )


def test_mixed_line_ends_a_byte_order_mark_and_columns_in_another_order_lose_nothing(warehouse, landing):
    header = "\ufeffSOURCE,Rate, quote_currency,Base Currency,rate_date"
    drop(landing, "a.csv", f"{header}\r\nECB,1.1,USD,EUR,d\nECB,1.2,USD,EUR,d\r\n")
    drop(landing, "b.csv", fx("1.3", "1.4").replace("\n", "\r"))
    assert load_feed(warehouse, FX, landing).rows_loaded == 4
    assert rates(warehouse) == ["1.1", "1.2", "1.3", "1.4"]


def test_undeclared_columns_are_kept_as_json(warehouse, landing):
    drop(landing, "a.csv", f"{FX_HEADER},Note,,Note\nd,EUR,USD,1.1,ECB,x,,y\n")
    load_feed(warehouse, FX, landing)
    (extra,) = warehouse.execute("select _extra_columns from ingest.fx_rates__native").fetchone()
    assert json.loads(extra) == {"Note#6": "x", "#7": None, "Note#8": "y"}


def test_a_file_name_with_the_signs_of_a_pattern_is_one_file(warehouse, landing):
    drop(landing, "rates[1]*?.csv", fx("1.1"))
    drop(landing, "rates1.csv", fx("1.2"))
    assert load_feed(warehouse, FX, landing).rows_loaded == 2
    assert rates(warehouse) == ["1.1", "1.2"]


PRINTABLE = st.text(alphabet="ab1,\";é€' \t", max_size=6)
BROKEN_LINES = ("a,b", "a,b,c,d,e,f", '"never closed,b,c,d,e', '"x"y,b,c,d,e', "[]", '"', ",,,,,")


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(
        st.one_of(st.lists(PRINTABLE, min_size=5, max_size=5), st.sampled_from(BROKEN_LINES), st.just("")),
        max_size=8,
    ),
    line_end=st.sampled_from(["\n", "\r\n"]),
    is_ended=st.booleans(),
)
def test_no_record_is_lost_whatever_stands_in_the_file(lines, line_end, is_ended):
    """Rows loaded are those that were written whole, value for value; all other lines are in quarantine."""
    written = [line if isinstance(line, str) else csv_line(line) for line in lines]
    whole = [line for line in lines if not isinstance(line, str) and all(value.strip(" \t") for value in line)]
    with fresh() as (connection, landing):
        drop(landing, "a.csv", line_end.join([FX_HEADER, *written]) + line_end * is_ended)
        load = load_feed(connection, FX, landing)
        rows = connection.execute(
            "select * exclude (_file_id, _record_number, _loaded_at, _extra_columns) "
            "from ingest.fx_rates__native order by _record_number"
        ).fetchall()
    assert load.files_loaded == 1, load.messages
    assert rows == [tuple(line) for line in whole]
    assert load.rows_quarantined == sum(line != "" for line in written) - len(whole)


@settings(max_examples=25, deadline=None)
@given(descriptions=st.lists(st.text(alphabet='ab,"\n é', max_size=8), min_size=1, max_size=5))
def test_line_ends_inside_quotes_break_no_invoice(descriptions):
    header = [column.source_name for column in INVOICES.columns]
    lines = [[text if name == "description" else "x" for name in header] for text in descriptions]
    content = "\n".join(map(csv_line, [header, *lines]))
    with fresh() as (connection, landing):
        drop(landing, "a.csv", content, INVOICES)
        load_feed(connection, INVOICES, landing)
        rows = connection.execute(
            "select coalesce(description, '') from ingest.carrier_invoices__native order by _record_number"
        ).fetchall()
    assert [text for (text,) in rows] == descriptions


def test_one_quote_too_many_costs_its_own_invoice_line_only(warehouse, landing):
    header = [column.source_name for column in INVOICES.columns]
    good = [csv_line([f"{name}\n{number}" for name in header]) for number in range(3)]
    broken = ",".join(["x"] * (len(header) - 1)) + ',"'
    drop(landing, "a.csv", "\r\n".join([csv_line(header), good[0], broken, good[1], good[2]]), INVOICES)
    load = load_feed(warehouse, INVOICES, landing)
    assert (load.rows_loaded, load.rows_quarantined) == (3, 1)
    assert quarantine(warehouse) == [(2 + good[0].count("\n") + 1, None, "unreadable_row", broken)]


def csv_line(values: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().removesuffix("\n")


@contextmanager
def fresh() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A warehouse and a landing of their own, for tests that run many times."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        for feed in (FX, INVOICES, USAGE):
            (Path(folder) / feed.folder).mkdir(parents=True)
        yield connection, Path(folder)


# --- JSON Lines and Parquet ---------------------------------------------------------------------------------


def event(**changes: object) -> dict[str, object]:
    return {name: "x" for name in USAGE.column_names} | changes


def test_what_a_customer_wrote_is_not_kept(warehouse, landing):
    messages = next(feed for feed in feeds.declared() if feed.name == "usage__twilio_messages")
    message = dict.fromkeys((column.source_name for column in messages.columns), "x") | {
        "body": "secret",
        "tag": "kept",
    }
    drop(landing, "day.jsonl", json.dumps(message) + "\n", messages)
    load_feed(warehouse, messages, landing)
    assert warehouse.execute("select _extra_columns from ingest.usage__twilio_messages").fetchall() == [
        ('{"tag":"kept"}',)
    ]


def test_json_lines_keep_line_numbers_text_and_undeclared_values(warehouse, landing):
    good = json.dumps(event(event_id="e-1", origin=None, route={"mcc": 262, "cost": 0.10}))
    lines = [good, "", '{"event_id": "e-2"', "[1]", json.dumps(event(status=" ", event_id="e-3")), good]
    drop(landing, "a.jsonl", "\n".join(lines), USAGE)
    load = load_feed(warehouse, USAGE, landing)
    assert (load.rows_loaded, load.rows_quarantined) == (2, 3)
    assert quarantine(warehouse) == [
        (3, None, "invalid_json", lines[2]),
        (4, None, "invalid_json", lines[3]),
        (5, "status", "required_value_missing", lines[4]),
    ]
    rows = warehouse.execute(
        "select event_id, origin, _record_number, _extra_columns from ingest.usage__native order by 3"
    ).fetchall()
    extra = '{"route":{"mcc":"262","cost":"0.1"}}'
    assert rows == [("e-1", None, 1, extra), ("e-1", None, 5, extra)]


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(
        st.from_regex(r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?", fullmatch=True).filter(
            lambda text: text != "-0"
        ),
        min_size=1,
        max_size=5,
    ),
    noise=st.text(alphabet='ab:,[]{}"\\0123.-eE ', max_size=12),
)
def test_a_json_number_never_passes_through_a_float(numbers, noise):
    """Money in JSON is a number: it must arrive with the very digits that were sent."""
    lines = [json.dumps(event(origin=noise, quantity="?")).replace('"?"', number) for number in numbers]
    with fresh() as (connection, landing):
        drop(landing, "a.jsonl", "\n".join(lines), USAGE)
        load_feed(connection, USAGE, landing)
        rows = connection.execute(
            "select quantity, coalesce(origin, '') from ingest.usage__native order by _record_number"
        ).fetchall()
    assert rows == [(number, noise) for number in numbers]


def test_parquet_becomes_the_text_that_a_file_would_hold(warehouse, landing):
    columns = ", ".join(
        f"'x' as {name}" for name in USAGE.column_names if name not in ("quantity", "started_at", "status")
    )
    path = landing / USAGE.folder / "a.parquet"
    warehouse.execute(
        f"""
        copy (
            select
                {columns},
                0.10::decimal(9, 2) as quantity,
                if(i = 1, null, 'answered') as status,
                timestamptz '2026-10-03 14:00:00+02' as started_at,
                i as route
            from range(3) as t(i)
        ) to '{path}'
        """
    )
    drop(landing, "b.parquet", path.read_bytes()[:-50], USAGE)
    good, cut = load_feed(warehouse, USAGE, landing).files
    assert (good.loaded_count, good.quarantined_count, cut.outcome) == (2, 1, "failed")
    assert cut.message == (
        "b.parquet: not readable as Parquet (Invalid Input Error: No magic bytes found at end of file). "
        "Drop a whole copy."
    )
    assert warehouse.execute(
        "select quantity, started_at, _record_number, _extra_columns from ingest.usage__native order by 3"
    ).fetchall() == [
        ("0.10", "2026-10-03T12:00:00Z", 1, '{"route":"0"}'),
        ("0.10", "2026-10-03T12:00:00Z", 3, '{"route":"2"}'),
    ]
    ((line, column, reason, text),) = quarantine(warehouse)
    assert (line, column, reason, json.loads(text)["route"]) == (2, "status", "required_value_missing", "1")


# --- files as carriers and vendors send them ----------------------------------------------------------------


def test_a_real_deck_with_decimal_commas_and_garbled_names_arrives_as_it_came(warehouse, landing):
    feed, deck = (
        FEEDS["rate_decks__az_decimal_comma"],
        sample(REAL_DECK),
    )
    shutil.copy(deck, landing / feed.folder / "carrier_it_2026-10-01.csv")
    load = load_feed(warehouse, feed, landing)
    with deck.open(encoding="utf-8", newline="") as text:
        expected = [(*row, "carrier_it", "2026-10-01") for row in csv.reader(text)][1:]
    rows = warehouse.execute(
        "select destination, prefix, rate, carrier_id, effective_date "
        "from ingest.rate_decks__az_decimal_comma order by _record_number"
    ).fetchall()
    assert (load.rows_loaded, load.rows_quarantined) == (11_894, 0)
    assert rows == expected
    assert [row[0] for row in rows if not row[0].isascii()] == ["Brazil - S¿Paulo"] * 3


def test_a_real_deck_in_another_code_page_fails_and_names_the_line(warehouse, landing):
    feed, deck = (
        FEEDS["rate_decks__az_decimal_comma"],
        sample(REAL_DECK),
    )
    drop(landing, "carrier_it_2026-10-01.csv", deck.read_text("utf-8").encode("latin-1"), feed)
    assert "line 285 is not utf-8 text (byte 0xbf)" in only_failure(load_feed(warehouse, feed, landing))


@pytest.mark.parametrize(
    ("feed_name", "page", "resource"),
    [
        ("usage__twilio_calls", "ListCall.readFullPage1", "calls"),
        ("usage__twilio_messages", "ListMessage.readFullPage1", "messages"),
    ],
)
def test_objects_of_the_vendors_own_examples_arrive_whole(warehouse, landing, feed_name, page, resource):
    feed = FEEDS[feed_name]
    examples = json.loads(sample("formats/twilio_api_v2010_calls_messages_usage_examples.json").read_text())
    objects = examples[page][resource]
    lines = gzip.compress("\n".join(map(json.dumps, objects)).encode())
    drop(landing, "2026-10-01.jsonl.gz", lines, feed)
    load = load_feed(warehouse, feed, landing)
    assert (load.rows_loaded, load.rows_quarantined) == (len(objects), 0)
    rows = warehouse.execute(f"select * from ingest.{feed_name} order by _record_number").fetchall()
    names = [name for name, *_ in warehouse.description]
    for row, sent in zip(rows, objects, strict=True):
        arrived = dict(zip(names, row, strict=True))
        assert {name: arrived[name] for name in feed.column_names} == {name: sent[name] for name in feed.column_names}
        assert set(json.loads(arrived["_extra_columns"])) == set(sent) - {*feed.column_names, *feed.dropped}


# --- the assets ---------------------------------------------------------------------------------------------


def materialize(home: Path, feed: Feed) -> dg.ExecuteInProcessResult:
    (asset,) = [asset for asset in ingest.ingest_assets() if asset.key == dg.AssetKey(["ingest", feed.name])]
    return dg.materialize([asset], resources={"warehouse": Warehouse(root=str(home))}, raise_on_error=False)


def test_a_failed_file_shows_in_the_asset_and_does_not_fail_it(landing):
    drop(landing, "a.csv", "")
    drop(landing, "b.csv", fx("1.1", ""))
    result = materialize(landing.parent, FX)
    (done,) = result.asset_materializations_for_node("ingest__fx_rates__native")
    figures = {name: value.value for name, value in done.metadata.items()}
    assert result.success
    assert "fx_rates/native/a.csv: the file is empty" in figures.pop("messages")
    assert figures.pop("seconds") > 0
    assert figures == {
        "files_loaded": 1,
        "files_skipped": 0,
        "files_duplicate": 0,
        "files_failed": 1,
        "files_waiting": 0,
        "rows_loaded": 1,
        "rows_quarantined": 1,
    }


def test_without_a_landing_the_asset_fails_and_says_what_to_do(tmp_path):
    result = materialize(tmp_path, FX)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert not result.success
    assert "There is no landing folder" in failure.step_failure_data.error.message


def test_each_feed_is_one_asset_that_takes_its_turn_at_the_warehouse():
    assets = ingest.ingest_assets()
    assert [asset.key.path for asset in assets] == [["ingest", name] for name in sorted(FEEDS)]
    assert {asset.op.pool for asset in assets} == {"duckdb"}
