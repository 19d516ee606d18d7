"""Which file counts: versions, copies, corrections and half files, as they come in an ordinary month.

Belongs here: what ingest makes of several files, or of a file whose name or frame says something. Does not belong here:
how one format is read (`test_ingest.py`, `test_feeds_whole.py`).
"""

import gzip
import json
import os
import zipfile
from pathlib import Path

import duckdb
import pytest

from orchestration import feeds
from orchestration.feeds import Feed, load_declaration
from orchestration.file_ledger import FileLoad
from orchestration.loading import load_feed
from orchestration.replay import replay_quarantine

HEADER = "rate_date,base_currency,quote_currency,rate,source\n"


def rate(value: str) -> str:
    return f"{HEADER}2026-10-01,EUR,USD,{value},ECB\n"


class Folder:
    """One feed's folder in a landing, and a warehouse of its own."""

    def __init__(self, feed: Feed, root: Path) -> None:
        self.feed, self.root = feed, root / "landing"
        (self.root / feed.folder).mkdir(parents=True)
        self.connection = duckdb.connect()
        self.written = 1_790_000_000

    def drop(self, name: str, content: str | bytes, written_at: int | None = None) -> Path:
        path = self.root / self.feed.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.written += 60
        os.utime(path, (written_at or self.written,) * 2)
        return path

    def load(self) -> dict[str, FileLoad]:
        return {load.file_name: load for load in load_feed(self.connection, self.feed, self.root).files}

    def newest(self, column: str) -> str:
        """The value that staging takes: of the row loaded last."""
        query = f"select {column} from ingest.{self.feed.name} order by _loaded_at desc limit 1"
        return self.connection.execute(query).fetchone()[0]


def shipped(name: str) -> Feed:
    (feed,) = [feed for feed in feeds.declared() if feed.name == name]
    return feed


@pytest.fixture
def rates(tmp_path: Path) -> Folder:
    return Folder(shipped("fx_rates__native"), tmp_path)


@pytest.fixture
def framed(tmp_path: Path) -> Folder:
    """A list of calls with totals before it."""
    path = tmp_path / "usage__framed.yml"
    path.write_text(
        """
        kind: usage
        feed: framed
        description: One row per call.
        files: {"*.csv": csv}
        preamble: ['Calls;(?P<calls>.*)', 'Total;(?P<total>.*)']
        control_totals: {calls: records, total: price}
        csv: {delimiter: ";"}
        decimal_mark: ","
        columns: {call: filled, price: present, agent: filled}
        """
    )
    return Folder(load_declaration(path), tmp_path)


def test_a_version_that_comes_back_counts_again(rates: Folder):
    rates.drop("a.csv", rate("1.1"))
    rates.load()
    rates.drop("a.csv", rate("1.2"))
    rates.load()
    rates.drop("a.csv", rate("1.1"))
    returned = rates.load()["a.csv"]
    assert (returned.outcome, returned.message) == (
        "loaded",
        "a.csv: version 3 of this name (its content was there before); all versions are kept",
    )
    assert rates.newest("rate") == "1.1"
    assert rates.load()["a.csv"].outcome == "skipped"


def test_a_version_that_comes_back_with_its_old_time_counts_again(rates: Folder):
    rates.drop("a.csv", rate("1.1"), written_at=1_790_000_000)
    rates.load()
    rates.drop("a.csv", rate("1.2"))
    rates.load()
    rates.drop("a.csv", rate("1.1"), written_at=1_790_000_000)
    assert rates.load()["a.csv"].outcome == "loaded"
    assert rates.newest("rate") == "1.1"


def test_a_correction_counts_whatever_its_name(rates: Folder):
    rates.drop("rates.csv", rate("1.1"))
    rates.drop("rates corrected.csv", rate("1.2"))
    rates.load()
    assert rates.newest("rate") == "1.2"


def test_equal_decks_of_two_carriers_are_two_decks(tmp_path: Path):
    decks = Folder(shipped("rate_decks__az_decimal_comma"), tmp_path)
    deck = 'DESTINATION,PREFIX,RATE\nAlbania,355,"0,1"\n'
    for name in ("acme_2026-10-01.csv", "beta_2026-10-01.csv", "acme_2026-11-01.csv"):
        decks.drop(name, deck)
    decks.drop("beta_2026-10-01.csv.gz", gzip.compress(deck.encode()))
    outcomes = {name: load.outcome for name, load in decks.load().items()}
    assert outcomes.pop("beta_2026-10-01.csv.gz") == "duplicate"
    assert set(outcomes.values()) == {"loaded"}


def test_totals_before_the_records_are_held_against_them(framed: Folder):
    head = "Calls;{}\nTotal;{}\ncall;price;agent\n"
    framed.drop("good.csv", head.format(2, "3,00") + "c1;1,00;a\nc2;2,00;b\n")
    framed.drop("few.csv", head.format(3, "3,00") + "c3;1,00;a\nc4;2,00;b\n")
    framed.drop("sum.csv", head.format(2, "9,00") + "c5;1,00;a\nc6;2,00;b\n")
    framed.drop("mark.csv", head.format(2, "1.003,00") + "c7;1,00;a\nc8;2,00;b\n")
    loads = framed.load()
    assert {name: load.outcome for name, load in loads.items()} == {
        "good.csv": "loaded",
        "few.csv": "failed",
        "sum.csv": "failed",
        "mark.csv": "failed",
    }
    assert "calls says 3, records is 2" in loads["few.csv"].message
    assert "total says 9,00, the sum of price is 3" in loads["sum.csv"].message
    assert "'1.003,00', which is no number" in loads["mark.csv"].message


def test_a_replay_does_not_make_a_file_whole_that_does_not_foot(framed: Folder, tmp_path: Path):
    framed.drop("calls.csv", "Calls;2\nTotal;9,00\ncall;price;agent\nc1;1,00;a\nc2;2,00;\n")
    assert framed.load()["calls.csv"].quarantined_count == 1
    declaration = framed.feed.declaration
    declaration.write_text(declaration.read_text().replace("agent: filled", "agent: present"))
    (done,) = replay_quarantine(framed.connection, load_declaration(declaration), framed.root)
    assert "total says 9,00" in done.message
    assert framed.connection.execute("select count(*) from ingest.quarantine").fetchone() == (1,)


def test_a_replay_after_a_mended_declaration_loads_each_record_once(framed: Folder):
    framed.drop("calls.csv", "Calls;2\nTotal;3,00\ncall;price;agent\nc1;1,00;a\nc2;2,00;\n")
    framed.load()
    declaration = framed.feed.declaration
    declaration.write_text(declaration.read_text().replace("agent: filled", "agent: present"))
    mended = load_declaration(declaration)
    replays = [replay_quarantine(framed.connection, mended, framed.root) for _ in range(2)]
    assert [(done.loaded_count, done.quarantined_count) for done in replays[0]] == [(1, 0)]
    assert replays[1] == []
    rows = framed.connection.execute("select call, _record_number from ingest.usage__framed order by 2").fetchall()
    assert rows == [("c1", 1), ("c2", 2)]
    assert framed.connection.execute(
        "select loaded_count, quarantined_count, message from ingest.files"
    ).fetchall() == [(2, 0, None)]


def test_a_zip_that_holds_a_name_twice_is_refused(rates: Folder):
    path = rates.drop("rates.zip", b"")
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.csv", rate("1.1"))
        archive.writestr("a.csv", rate("1.2"))
    load = rates.load()["rates.zip"]
    assert (load.outcome, "a.csv more than once" in load.message) == ("failed", True)


def test_a_damaged_member_and_a_name_in_another_code_page_do_not_stop_the_others(rates: Folder):
    path = rates.drop("bad.zip", b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", HEADER + "".join(f"2026-10-01,EUR,USD,{i},x\n" for i in range(500)))
    content = path.read_bytes()
    for position in range(60, 400, 7):
        rates.drop(
            f"bad{position}.zip", content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        )
    path.unlink()
    (rates.root / rates.feed.folder / os.fsdecode(b"f\xfcr.csv")).write_text(rate("1.3"))
    rates.drop("good.csv", rate("1.4"))
    loads = rates.load()
    assert loads["good.csv"].outcome == "loaded"
    assert "its name is not UTF-8" in loads["f\\xfcr.csv"].message
    assert {load.outcome for name, load in loads.items() if name.startswith("bad")} <= {"failed", "loaded", "duplicate"}


def test_a_line_of_fixed_width_that_was_cut_is_no_smaller_amount(tmp_path: Path):
    path = tmp_path / "usage__cards.yml"
    path.write_text(
        """
        kind: usage
        feed: cards
        description: One row per call.
        files: {"*.txt": fixed_width}
        fixed_width: {call: [1, 4], amount: [5, 8]}
        columns: {call: filled, amount: filled}
        """
    )
    cards = Folder(load_declaration(path), tmp_path)
    cards.drop("cards.txt", "000100012345\n00020001234\n0003000123459\n")
    load = cards.load()["cards.txt"]
    assert (load.loaded_count, load.quarantined_count) == (2, 1)
    assert "line_too_short 1" in load.message and "new columns, kept in _extra_columns: characters 13-" in load.message


def test_floats_of_a_parquet_file_never_pass_for_amounts(rates: Folder):
    path = rates.drop("rates.parquet", b"")
    path.unlink()
    feed = shipped("usage__native")
    columns = ", ".join(f"'x' as {column.name}" for column in feed.columns if column.name != "quantity")
    usage = Folder(feed, rates.root.parent / "usage")
    target = usage.root / feed.folder / "usage.parquet"
    usage.connection.execute(f"copy (select {columns}, 0.1::double as quantity) to '{target}'")
    load = usage.load()["usage.parquet"]
    assert (load.outcome, "quantity is a column of floats" in load.message) == ("failed", True)


def test_what_is_dropped_does_not_come_in_by_quarantine(tmp_path: Path):
    messages = Folder(shipped("usage__twilio_messages"), tmp_path)
    fields = {column.source_name: "x" for column in messages.feed.columns}
    messages.drop("m.jsonl", "\n".join(json.dumps(fields | {"sid": sid, "body": "secret"}) for sid in ("SM1", "")))
    assert messages.load()["m.jsonl"].quarantined_count == 1
    (raw_text,) = messages.connection.execute("select raw_text from ingest.quarantine").fetchone()
    assert "secret" not in raw_text and json.loads(raw_text)["status"] == "x"
