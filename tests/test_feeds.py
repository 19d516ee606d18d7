"""Feeds: declarations say what the documents promise, and a mistake in one is told, not guessed around."""

import re
from pathlib import Path

import duckdb
import pytest

from orchestration import feeds, loading
from orchestration.feeds import FeedDeclarationError, load_declaration, snake_case

LANDING_PAGE = Path(__file__).parents[1] / "docs" / "landing.md"
SMALL = {
    "kind": "kind: rate_decks",
    "feed": "feed: small",
    "description": "description: One row per prefix.",
    "files": 'files: {"*.csv": csv}',
    "columns": "columns: {Prefix: filled, Rate: filled}",
}


def declare(folder: Path, **changes: str) -> Path:
    """The small declaration with some keys replaced or, where the change is empty, left out."""
    path = folder / "rate_decks__small.yml"
    path.write_text("\n".join((SMALL | changes).values()))
    return path


def test_each_feed_of_the_landing_page_is_declared():
    page = LANDING_PAGE.read_text()
    tree = re.search(r"```\nlanding/\n(.*?)```", page, re.DOTALL).group(1)
    promised = {
        f"{line.split('/')[0].strip()}__{feed.strip()}" for line in tree.splitlines() for feed in line.split("/")[1:-1]
    }
    assert {feed.name for feed in feeds.declared()} == promised


@pytest.mark.parametrize("kind", ["usage", "rate_decks", "carrier_invoices"])
def test_required_columns_of_the_landing_page_are_never_blank(kind: str):
    section = re.search(rf"### `{kind}/native`(.*?)\n###", LANDING_PAGE.read_text(), re.DOTALL).group(1)
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    required = {name for names, word in rows if word.strip() == "yes" for name in re.findall(r"`(\w+)`", names)}
    promised = {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)}
    (feed,) = [feed for feed in feeds.declared() if feed.name == f"{kind}__native"]
    assert set(feed.column_names) == promised
    assert set(feed.filled_columns) == required


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"columns": "columns: {a: filled}\ncolums: {b: filled}"},
            "unknown key: 'colums'; known: kind, feed",
        ),
        ({"csv": "csv: {delimeter: ';'}"}, "unknown key of `csv`: 'delimeter'; known: delimiter"),
        ({"csv": "csv: {header: 'yes'}"}, "`csv.header` must be bool, not 'yes'"),
        ({"csv": "csv: {delimiter: '||'}"}, "`csv.delimiter` is one character"),
        ({"csv": "csv: {encoding: utf-9}"}, "`csv.encoding` 'utf-9' is no encoding"),
        ({"csv": "csv: {quote: '', multiline: true}"}, "`csv.multiline` needs a `csv.quote`"),
        ({"mark": "decimal_mark: ';'"}, '`decimal_mark` is "." or ","'),
        ({"zone": "time_zone: CET+1"}, "`time_zone` 'CET+1' is no IANA zone"),
        ({"money": "money: {sign: minus}"}, "`money.sign` is positive or negative, not 'minus'"),
        ({"money": "money: {amount: price}"}, "`money` names 'price', which is no column"),
        ({"numbers": "phone_numbers: {calling_code: 39}"}, "`phone_numbers.calling_code` is digits in quotes"),
        ({"numbers": "phone_numbers: {calling_code: '39'}"}, "`national_prefix` and `calling_code` go together"),
        ({"hours": "expected_every_hours: daily"}, "`expected_every_hours` is a whole number"),
        ({"totals": "control_totals: {total: rate}"}, "no line of `preamble` or `trailer` names 'total'"),
        (
            {"trailer": "trailer: ['END;(?P<total>.*)']", "totals": "control_totals: {total: amount}"},
            "'total' is the number of `records` or the sum of a column, not 'amount'",
        ),
        ({"extra": "extra: [Rate]"}, "column Rate is both declared and extra"),
        ({"files": 'files: {"*.xml": xml}'}, "`xml.records` says which elements are records"),
        ({"files": 'files: {"*.xlsx": excel}'}, "`excel.sheets` says which sheets to read"),
        ({"files": 'files: {"*.dat": fixed_width}'}, "`fixed_width` says where the columns stand"),
        ({"fixed": "fixed_width: {prefix: [1, 5], rate: [5, 3]}"}, "prefix and rate overlap"),
        ({"fixed": "fixed_width: {prefix: [0, 5], rate: [6, 3]}"}, "`fixed_width.prefix` is [first character, width]"),
        ({"fixed": "fixed_width: {prefix: [1, 5]}"}, "`fixed_width` does not say where rate stands"),
        ({"columns": "columns: {Prefix: needed}"}, "column 'Prefix' is 'needed'; known: filled, present"),
        ({"columns": "columns: {1st: filled}"}, "column '1st' must begin with a letter"),
        ({"columns": "columns: {Rate: filled, RATE: filled}"}, "column rate is declared twice"),
        ({"columns": "columns: {Rate: filled, Rate: present}"}, "`Rate` stands twice"),
        ({"pattern": "file_name_pattern: '(?P<rate>.*)'"}, "column rate is declared twice"),
        (
            {"pattern": "file_name_pattern: '(?P<Rate>.*)'"},
            "groups of `file_name_pattern` are lower snake case",
        ),
        ({"pattern": "file_name_pattern: '(oops'"}, "`file_name_pattern` is no regular expression"),
        ({"files": 'files: {"*.tap": ber}'}, "'*.tap' the format 'ber'; known: csv, jsonl, json, parquet"),
        ({"files": "files: ['*.csv']"}, "`files` maps a pattern to a format"),
        ({"description": ""}, "`description` is missing or empty"),
        ({"feed": "feed: other"}, "the file must be called rate_decks__other.yml"),
        ({"feed": "feed: [small"}, "not readable as YAML"),
    ],
)
def test_a_mistaken_declaration_is_refused_by_file_and_key(tmp_path: Path, changes: dict[str, str], told: str):
    path = declare(tmp_path, **changes)
    with pytest.raises(FeedDeclarationError) as refused:
        load_declaration(path)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("DESTINATION", "destination"),
        ("Price / msg", "price_msg"),
        ("AccountSid", "account_sid"),
        ("PriceInUSD", "price_in_usd"),
        ("event_id", "event_id"),
    ],
)
def test_column_names_become_snake_case(label: str, name: str):
    assert snake_case(label) == name


def test_a_zipped_file_is_claimed_wherever_its_text_format_is(tmp_path: Path):
    feed = load_declaration(declare(tmp_path, files='files: {"*.csv": csv, "*.parquet": parquet}'))
    names = ["a.csv", "a.csv.gz", "A.CSV", "a.parquet", "a.parquet.gz", "a.jsonl", "a.xlsx"]
    assert [feed.format_of(name) for name in names] == ["csv", "csv", "csv", "parquet", None, None, None]


def test_a_feed_of_a_known_shape_needs_no_python(tmp_path: Path):
    """Semicolons, single quotes, no header, another code page, columns from the name: YAML is enough."""
    declare(
        tmp_path,
        csv="csv: {delimiter: ';', quote: \"'\", encoding: cp1252, header: false}",
        pattern=r"file_name_pattern: '(?P<carrier_id>[a-z]+)-(?P<effective_date>[0-9-]+)\.csv'",
        columns="columns: {Country Name: filled, Prefix: filled, Rate: filled}",
    )
    (feed,) = feeds.declared(tmp_path)
    folder = tmp_path / "landing" / "rate_decks" / "small"
    folder.mkdir(parents=True)
    (folder / "acme-2026-10-01.csv").write_bytes("Œuvre;225;0,11\n'a;b';'3''9';€1\n".encode("cp1252"))
    (folder / "nameless.csv").write_bytes(b"x;1;2\n")
    with duckdb.connect() as connection:
        load = loading.load_feed(connection, feed, tmp_path / "landing")
        rows = connection.execute(
            "select country_name, prefix, rate, carrier_id, effective_date from ingest.rate_decks__small"
        ).fetchall()
    assert rows == [
        ("Œuvre", "225", "0,11", "acme", "2026-10-01"),
        ("a;b", "3'9", "€1", "acme", "2026-10-01"),
    ]
    assert load.files_failed == 1
    assert "the name does not give carrier_id, effective_date" in load.messages[0]
