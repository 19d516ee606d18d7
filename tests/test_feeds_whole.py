"""Every declared feed on whole, repacked and damaged files: each record is loaded or in quarantine, digit for digit.

Belongs here: what holds for all feeds and formats, against readers that share nothing with the loader (Python's csv,
json, zipfile, ElementTree, openpyxl, pyarrow), the reading of numbers, and the fast path against the careful one. Does
not belong here: what one feed's values mean (test_feeds_of_*.py), the ledger over time (test_ingest.py).
"""

import csv
import datetime
import gzip
import io
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import Element

import duckdb
import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
import test_feeds_of_rates as rates
import test_feeds_of_switches as switches
import test_feeds_of_vendor_apis as apis
import test_feeds_of_vendor_reports as reports
import xlwt
from conftest import PROJECT, REAL_FILES
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from orchestration import feeds, file_ledger, loading
from orchestration.dbt_run import dbt
from orchestration.feeds import ANY, RECORDS, Column, Feed, readers, snake_case
from orchestration.feeds.unpacking import Body, Part, UnreadableFile

EXAMPLES = 6  # for each of the two or more samples of a feed
LINES_OF_A_SAMPLE = 40
DECLARED = feeds.declared()

# What no declared feed needs yet, but the grammar promises.
OWN = {
    "rate_decks__walled": """
        kind: rate_decks
        feed: walled
        description: A deck between lines that say what it adds up to, in the code page of another time.
        files: {"*.csv": csv}
        csv: {delimiter: ";", encoding: cp1252}
        decimal_mark: ","
        columns: {Code: filled, Destination: filled, Rate: present, Note: optional}
        preamble: ['Deck;(?P<deck_number>.*)', '']
        trailer: ['SUM;(?P<rates>[0-9,.-]+)', 'END;(?P<codes>[0-9]+)']
        control_totals: {codes: records, rates: rate}
        """,
    "usage__punched": """
        kind: usage
        feed: punched
        description: Calls on cards.
        files: {"*.dat": fixed_width}
        columns: {call_id: filled, called: filled, minutes: present, note: optional}
        fixed_width: {call_id: [1, 8], called: [11, 16], minutes: [27, 10], note: [37, 12]}
        preamble: ['HDR(?P<switch>[0-9]{3}).*']
        trailer: ['TRL(?P<calls>[0-9]+) (?P<sum>[0-9.-]+)']
        control_totals: {calls: records, sum: minutes}
        """,
    "usage__wide": """
        kind: usage
        feed: wide
        description: Calls in 16-bit code, quoted otherwise, with line ends inside of quotes.
        files: {"*.txt": csv}
        csv: {delimiter: "\\t", quote: "'", encoding: utf-16, multiline: true}
        columns: {id: filled, Note: present, Amount: present}
        """,
    "rate_decks__bound": """
        kind: rate_decks
        feed: bound
        description: A deck in a workbook, of a country that writes decimal commas.
        files: {"*.xlsx": excel}
        excel: {sheets: "Rates (?P<sheet>.+)"}
        decimal_mark: ","
        columns: {Code: filled, Rate: present, Effective: present}
        """,
    "usage__nested": """
        kind: usage
        feed: nested
        description: Calls deep in an envelope, with values beside them.
        files: {"*.json": json}
        json: {records: data.items}
        columns: {id: filled, leg.from as caller: present, price: present, note: optional}
        document_columns: {account: filled, page: optional}
        """,
}


def own_feeds() -> tuple[Feed, ...]:
    with tempfile.TemporaryDirectory() as folder:
        for name, declaration in OWN.items():
            (Path(folder) / f"{name}.yml").write_text(declaration)
        return feeds.declared(Path(folder))


FEEDS = {feed.name: feed for feed in (*DECLARED, *own_feeds())}


# --- samples ------------------------------------------------------------------------------------------------


class Number(str):
    """A number of a JSON document, by its text."""


@dataclass(frozen=True)
class Table:
    """What a generated file holds: labels as the declaration spells them, paths included, and rows of values."""

    labels: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def with_column(self, label: str, values: list) -> "Table":
        return Table((*self.labels, label), tuple((*row, value) for row, value in zip(self.rows, values, strict=True)))

    def without(self, label: str) -> "Table":
        return self.ordered([other for other in self.labels if other != label])

    def ordered(self, labels: list[str]) -> "Table":
        places = [self.labels.index(label) for label in labels]
        return Table(tuple(labels), tuple(tuple(row[place] for place in places) for row in self.rows))


@dataclass(frozen=True)
class Sample:
    """A file that a feed reads whole, and what it was made of if it was generated."""

    feed: Feed
    file_name: str
    content: bytes
    table: Table | None = None

    @property
    def format(self) -> str:
        """As declared; the two kinds of workbooks are told apart."""
        declared = self.feed.format_of(self.file_name)
        return Path(self.file_name).suffix[1:] if declared == "excel" else declared

    @property
    def is_text(self) -> bool:
        return self.format in feeds.TEXT_FORMATS

    @property
    def encoding(self) -> str:
        return self.feed.csv.encoding if self.format in ("csv", "fixed_width") else "utf-8"

    def of(self, table: Table) -> "Sample":
        return Sample(self.feed, self.file_name, WRITERS[self.format](self.feed, table), table)


TEXTS = (
    "0012.5000",
    "1,175",
    "Zürich; Kloten | €",
    "-0.000001",
    "1.175,5",
    'say "no", again',
    "2026-10-01T03:00:29.476Z",
    "12345678901234567890.10",
    " +39 061 ",
    "1e5",
    "O'Hara",
)
NUMBERS = (Number("1.10"), Number("12345678901234567890"), Number("0.0000010"))
OF_JSON = (*NUMBERS[:1], *TEXTS[:4], *NUMBERS[1:2], True, *NUMBERS[2:], *TEXTS[4:6], ["a", {}])
OF_A_WORKBOOK = (" +41-79", 40, 0.1 + 0.2, *TEXTS[1:4], datetime.date(2026, 11, 1), 1e-05, "0012.5000", *TEXTS[4:6])
SUMMED = ("1.1750", "-0.5", "12.000001")
OF_PARQUET = (*TEXTS[:3], Decimal("1.1000"), 40, True, datetime.datetime(2026, 10, 1, 3, 0, 29, 476000))
STEMS = ("acme_USD_2026-10-01", "123456789012_acme")
SHEETS = ("Rates Mobile", "Rates Landline", "Cover")


def generated(feed: Feed, pattern: str) -> Sample | None:
    """Three records with all columns that the declaration names, under a name that the feed understands.

    None where STEMS has no such name.
    """
    ending = pattern.replace("*", "", 1).replace("*", "1")
    names = [f"{stem}{ending}" if pattern.startswith("*") else f"{ending}{stem}" for stem in STEMS]
    understood = [name for name in names if not feed.file_name_pattern or feed.file_name_pattern.fullmatch(name)]
    if not understood:
        return None
    name = understood[0]
    blank = Sample(feed, name, b"")
    labels = [column.source_name for column in feed.columns]
    if blank.format != "fixed_width" and (feed.csv.header or blank.format != "csv"):
        outer = [label.partition(".")[0] for label in labels]
        extra = feed.extra if feed.extra != ANY else ("Mood",)
        labels += [*(name for name in extra if name not in outer), *feed.dropped]
    values = {"jsonl": OF_JSON, "json": OF_JSON, "parquet": OF_PARQUET, "xlsx": OF_A_WORKBOOK, "xls": OF_A_WORKBOOK}
    rows = [[value(feed, blank, values, row, place) for place in range(len(labels))] for row in range(3)]
    return blank.of(Table(tuple(labels), tuple(map(tuple, rows))))


def value(feed: Feed, sample: Sample, values: dict[str, tuple], row: int, place: int) -> Any:
    """Any value but a blank one; a column that is added up holds numbers, and one of Parquet is of one type."""
    name = feed.columns[place].name if place < len(feed.columns) else ""
    if name in dict(feed.control_totals).values():
        return SUMMED[row].replace(".", feed.decimal_mark)
    choice = values.get(sample.format, TEXTS)
    if sample.format == "parquet":
        found = choice[place % len(choice)]
        return found if row == 0 or isinstance(found, bool | datetime.datetime) else found + type(found)(row)
    found = choice[(3 * place + row) % len(choice)]
    if sample.format == "fixed_width":
        return str(found).replace("€", "E").replace("ü", "ue").strip()[: feed.fixed_width[place][2]].strip()
    if sample.format == "csv" and feed.csv.multiline and place % 3 == 1:
        return f"{found}\nand more"
    if sample.format == "csv" and not feed.csv.quote:
        return found.replace(feed.csv.delimiter, "/")
    return found


def write_csv(feed: Feed, table: Table) -> bytes:
    dialect, text = feed.csv, io.StringIO()
    before, after = around(feed, table)
    text.write("".join(f"{line}\n" for line in before))
    if dialect.quote:
        writer = csv.writer(text, delimiter=dialect.delimiter, quotechar=dialect.quote, lineterminator="\n")
        writer.writerows([table.labels, *table.rows] if dialect.header else table.rows)
    else:
        text.write("".join(dialect.delimiter.join(row) + "\n" for row in table.rows))
    text.write("".join(f"{line}\n" for line in after))
    return text.getvalue().encode(dialect.encoding)


def write_fixed_width(feed: Feed, table: Table) -> bytes:
    before, after = around(feed, table)
    lines = [*before]
    for row in table.rows:
        line = ""
        for (_, first, width), text in zip(feed.fixed_width, row, strict=True):
            gap = "." if first == 11 else " "  # something stands between the first two columns
            line = line.ljust(first - 1, gap) + text.ljust(width)
        lines.append(line.rstrip())
    return "".join(f"{line}\n" for line in [*lines, *after]).encode(feed.csv.encoding)


def around(feed: Feed, table: Table) -> tuple[list[str], list[str]]:
    """The lines before and after the records that the declarations above describe."""
    if not feed.preamble:
        return [], []
    places = [place for place, label in enumerate(table.labels) if snake_case(label) in ("rate", "minutes")]
    total = sum(Decimal(row[place].replace(",", ".")) for place in places for row in table.rows)
    if feed.name == "usage__punched":
        return ["HDR007 of today"], [f"TRL{len(table.rows):05} {total}"]
    return ["Deck;D-7 é", ""], [f"SUM;{total}".replace(".", ","), f"END;{len(table.rows)}"]


def json_text(found: Any, between: str = ", ") -> str:
    """A document with each number as it is given."""
    if isinstance(found, Number):
        return str(found)
    if isinstance(found, dict):
        members = (f"{json.dumps(key)}: {json_text(value, between)}" for key, value in found.items())
        return "{" + between.join(members) + "}"
    if isinstance(found, list):
        return "[" + between.join(json_text(value, between) for value in found) + "]"
    return json.dumps(found, ensure_ascii=False)


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """`context.account` leads into an object."""
    document: dict[str, Any] = {}
    for path, found in values.items():
        *outer, last = path.split(".")
        inner = document
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = found
    return document


def json_objects(table: Table) -> list[dict]:
    return [nested(dict(zip(table.labels, row, strict=True))) for row in table.rows]


def write_jsonl(feed: Feed, table: Table) -> bytes:
    return "".join(json_text(record) + "\n" for record in json_objects(table)).encode()


def write_json(feed: Feed, table: Table) -> bytes:
    beside = {column.source_name: f"of the document {place}" for place, column in enumerate(feed.document_columns)}
    records: Any = json_objects(table)
    for key in reversed(feed.json_records.split(".") if feed.json_records else []):
        records = {"next_page": None, key: records}
    return json_text(records | beside if isinstance(records, dict) else records, ",\n").encode()


def write_xml(feed: Feed, table: Table) -> bytes:
    root = Element("{urn:acme}Document")
    for column in feed.document_columns:
        put(root, column.source_name, f"of the document: {column.name}")
    for path in feed.xml_records:
        *outer, name = path.split("/")
        for row in table.rows:
            parent = root
            for step in outer:
                parent = ElementTree.SubElement(parent, f"{{urn:acme}}{step}")
            record = ElementTree.SubElement(parent, f"{{urn:acme}}{name}")
            for label, text in zip(table.labels, row, strict=True):
                put(record, label, text)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def put(element: Element, path: str, text: str) -> None:
    """Writes a value where a path of the declaration finds it."""
    if path == ".":
        return
    path, _, attribute = path.partition("@")
    for step in path.rstrip("/").split("/"):
        name, *condition = re.fullmatch(r"(\w+)(?:\[(\w+)='(\w+)'\])?", step).groups()
        found = next((child for child in element if matches(child, name, *condition)), None)
        if found is None:
            found = ElementTree.SubElement(element, f"{{urn:acme}}{name}")
            if condition[0]:
                ElementTree.SubElement(found, f"{{urn:acme}}{condition[0]}").text = condition[1]
        element = found
    if attribute:
        element.set(attribute, text)
    else:
        element.text = text


def matches(element: Element, name: str, key: str | None, wanted: str | None) -> bool:
    is_named = element.tag == f"{{urn:acme}}{name}"
    return is_named and (key is None or element.findtext(f"{{urn:acme}}{key}") == wanted)


def sheets_of(feed: Feed, table: Table) -> dict[str, list[list]]:
    """Two sheets that are read, the second of them with blank rows and other records, and one that is not."""
    rows = [list(table.labels), *map(list, table.rows)]
    turned = [[], rows[0], [], *reversed(rows[1:]), rows[-1]]
    return {name: content for name, content in zip(SHEETS, (rows, turned, [["Call us!"]]), strict=True)}


def write_xlsx(feed: Feed, table: Table) -> bytes:
    workbook, content = openpyxl.Workbook(), io.BytesIO()
    workbook.remove(workbook.active)
    for name, rows in sheets_of(feed, table).items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(content)
    return content.getvalue()


def write_xls(feed: Feed, table: Table) -> bytes:
    workbook, content = xlwt.Workbook(encoding="utf-8"), io.BytesIO()
    day = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for name, rows in sheets_of(feed, table).items():
        sheet = workbook.add_sheet(name)
        for number, row in enumerate(rows):
            for place, cell in enumerate(row):
                sheet.write(number, place, cell, day if isinstance(cell, datetime.date) else xlwt.Style.default_style)
    workbook.save(content)
    return content.getvalue()


def write_parquet(feed: Feed, table: Table) -> bytes:
    content = io.BytesIO()
    columns = dict(zip(table.labels, map(list, zip(*table.rows, strict=True)), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(columns), content)
    return content.getvalue()


WRITERS: dict[str, Callable[[Feed, Table], bytes]] = {
    "csv": write_csv,
    "fixed_width": write_fixed_width,
    "jsonl": write_jsonl,
    "json": write_json,
    "xml": write_xml,
    "xlsx": write_xlsx,
    "xls": write_xls,
    "parquet": write_parquet,
}
OF_EACH_PATTERN = [
    sample for feed in FEEDS.values() for pattern, _ in feed.files if (sample := generated(feed, pattern)) is not None
]
GENERATED = list({(sample.feed.name, sample.format): sample for sample in reversed(OF_EACH_PATTERN)}.values())[::-1]


def real() -> Iterator[Sample]:
    """The files that the tests of single feeds know, where they are; of a long one its first lines."""
    twilio = apis.example("twilio_api_v2010_calls_messages_usage_examples.json")
    pages = {f"{folder}/{page}.json": twilio[page] for folder, names in apis.TWILIO_PAGES.items() for page in names}
    pages |= {f"{folder}/{fetched}.jsonl": twilio[fetched] for folder, fetched in apis.TWILIO_FETCHED.items()}
    pages["usage/plivo_calls/page.json"] = {"api_id": "1", "objects": [apis.example("plivo_callGetResponse.json")]}
    pages["usage/telnyx_messages/page.json"] = {"data": [apis.TELNYX_VALUES], "meta": {"total_pages": 1}}
    whole = {name: json.dumps(page, indent=1 if name.endswith(".json") else None) for name, page in pages.items()}
    contents = {name: text.encode() for name, text in whole.items()}
    contents[f"usage/{reports.BANDWIDTH_SAMPLE}"] = reports.bandwidth_sample().encode()
    files = {f"usage/{feed}/{name}": REAL_FILES / "usage" / name for name, feed in switches.SAMPLES.items()}
    files |= {name: REAL_FILES / path for name, path in rates.LANDED.items()}
    files |= {f"usage/{name}": path for name, path in reports.SAMPLES.items()}
    files |= {name: apis.FORMATS / path for name, path in apis.COPIED.items()}
    invoices = sorted((REAL_FILES / "invoices").glob("ubl_peppol_*.xml"))
    files |= {f"carrier_invoices/ubl/real_{path.name}": path for path in invoices}
    contents |= {name: path.read_bytes() for name, path in files.items()}
    for name, content in contents.items():
        kind, folder, file_name = name.split("/")
        feed = FEEDS[f"{kind}__{folder}"]
        if feed.format_of(file_name) == "csv":
            content = b"".join(content.splitlines(keepends=True)[:LINES_OF_A_SAMPLE])
        yield Sample(feed, file_name, content)


REAL = list(real()) if REAL_FILES.is_dir() else []


def each(samples: list[Sample]) -> pytest.MarkDecorator:
    is_real = {id(sample) for sample in REAL}
    ids = [f"{'real-' * (id(sample) in is_real)}{sample.feed.name}-{sample.file_name}" for sample in samples]
    return pytest.mark.parametrize("sample", samples, ids=ids)


def has_labels(sample: Sample) -> bool:
    return sample.format != "fixed_width" and (sample.format != "csv" or sample.feed.csv.header)


LABELLED = [sample for sample in GENERATED if has_labels(sample)]


# --- readers that share nothing with the loader -------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """What one record says: by column of the raw table, and what no column declares. None: not judged.

    must: `loaded`, `quarantined`, or empty where readers may differ.
    """

    must: str = ""
    values: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reading:
    """What one part of a file holds: its records in order, None where this reader cannot say.

    must: `loaded` or `failed`, of the part as a whole; empty where readers may differ.
    """

    must: str = ""
    records: list[Record] | None = None
    totals: dict[str, str] = field(default_factory=dict)


UNREADABLE = Reading("failed")
REFUSED = Record("quarantined")


def read_parts(feed: Feed, file_name: str, content: bytes, table: Table | None = None) -> dict[str | None, Reading]:
    """What a landed file holds, by the name of the part in the ledger."""
    if not file_name.endswith(".zip"):
        return read_file(feed, file_name, content, table)
    found: dict[str | None, Reading] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if feed.format_of(Path(name).name) and name[0] != "."]
            for name in names:
                try:
                    member = archive.read(name)
                except Exception:  # whatever it says of a damaged file
                    if feed.format_of(Path(name).name) == "excel":
                        return {}  # whether the member is named depends on when it is opened
                    found[name] = UNREADABLE
                    continue
                inner = read_file(feed, Path(name).name, member, table)
                found |= {"/".join(filter(None, (name, part))): reading for part, reading in inner.items()}
    except Exception:  # whatever it says of a damaged file
        return {None: UNREADABLE}
    return found if names else {None: UNREADABLE}


def read_file(feed: Feed, file_name: str, content: bytes, table: Table | None) -> dict[str | None, Reading]:
    named = feed.file_name_pattern.fullmatch(file_name) if feed.file_name_pattern else None
    if feed.file_name_pattern and not named:
        return {None: UNREADABLE}
    found = dict(named.groupdict()) if named else {}
    is_odd = False
    if file_name.endswith(".gz"):
        try:
            packed, content = content, gzip.decompress(content)
            is_odd = packed[3] != 0  # flags that hardly a reader knows
        except (OSError, EOFError, zlib.error):
            return {None: UNREADABLE}
    if feed.format_of(file_name) == "excel":
        return read_workbook(feed, content, found, table)
    if not content:
        return {None: UNREADABLE}
    reading = READERS[feed.format_of(file_name)](feed, content, found)
    return {None: replace(reading, must="") if is_odd else reading}


def lines_of(content: bytes, encoding: str) -> list[str] | None:
    """The lines of a text, whatever ends them; None if it is no such text."""
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeError:
        return None
    if "\x1f" in text:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def without_walls(feed: Feed, lines: list[str], found: dict) -> list[str] | None:
    """The lines between preamble and trailer; what those name goes to `found`. None if they are not as declared."""
    if feed.trailer:
        lines = "\n".join(lines).rstrip("\n").split("\n")
    before, after = len(feed.preamble), len(lines) - len(feed.trailer)
    walls = [*zip(feed.preamble, lines[:before], strict=False), *zip(feed.trailer, lines[after:], strict=False)]
    met = [pattern.fullmatch(line) for pattern, line in walls]
    if after < before or len(met) < before + len(feed.trailer) or not all(met):
        return None
    for match in met:
        found |= match.groupdict()
    return lines[before:after]


def read_csv(feed: Feed, content: bytes, found: dict) -> Reading:
    dialect = feed.csv
    lines = lines_of(content, dialect.encoding)
    lines = None if lines is None else without_walls(feed, lines, found)
    if lines is None:
        return UNREADABLE
    labels, is_plain = [column.source_name for column in feed.columns], True
    if dialect.header:
        place = next((place for place, line in enumerate(lines) if line), None)
        if place is None:
            return UNREADABLE
        # A header is one line; quotes that are not closed in it must not swallow records.
        labels, is_plain = fields_of(feed, lines[place])
        labels, lines = [label.strip() for label in labels], lines[place + 1 :]
    if dialect.multiline:
        rows = list(records_across_lines(feed, "".join(f"{line}\n" for line in lines), len(labels)))
    else:
        rows = [fields_of(feed, line) for line in lines if line]
    reading = read_rows(feed, labels, rows, found)
    is_ordinary = is_plain and b"\0" not in content
    return reading if is_ordinary or reading.must == "failed" else replace(reading, must="")


def fields_of(feed: Feed, line: str) -> tuple[list[str], bool]:
    """The fields of a line, and whether no reader could see others."""
    dialect = feed.csv
    if not dialect.quote or dialect.quote not in line:
        return line.split(dialect.delimiter), True
    options = {"delimiter": dialect.delimiter, "quotechar": dialect.quote}
    is_plain = f" {dialect.quote}" not in line and f"{dialect.quote} " not in line
    try:
        (row,) = csv.reader([line], strict=True, **options)
        return row, is_plain
    except (csv.Error, ValueError):
        rows = list(csv.reader([line], **options))
        return (rows[0] if rows else []), False


def records_across_lines(feed: Feed, text: str, width: int) -> Iterator[tuple[list[str], bool]]:
    """Records whose quoted fields may hold line ends; a line that begins no record of this width is one by itself."""
    place = 0
    while place < len(text):
        fields, end, is_plain = record_at(feed, text, place)
        if len(fields) != width:
            end = text.index("\n", place) + 1
            fields, is_plain = [], True
        if text[place:end].strip("\n"):
            yield fields, is_plain
        place = end


def record_at(feed: Feed, text: str, place: int) -> tuple[list[str], int, bool]:
    """The fields from a place on, the place after them, and whether no spaces are odd; no fields if it is no record."""
    delimiter, quote = feed.csv.delimiter, feed.csv.quote
    fields, is_plain = [], True
    while True:
        opened = place + (text[place : place + 2] == f" {quote}")
        if text[opened] == quote:
            is_plain &= opened == place
            closed = re.compile(f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}(?!{quote})").match(text, opened)
            if closed is None:
                return [], place, False
            fields.append(closed.group()[1:-1].replace(quote * 2, quote))
            place = closed.end()
            while text[place] == " ":
                place, is_plain = place + 1, False
        else:
            plain = re.compile(f"[^{delimiter}\n]*").match(text, place)
            if plain.group().lstrip(" ").startswith(quote):
                return [], place, False
            fields.append(plain.group())
            place = plain.end()
        if text[place] == "\n":
            return fields, place + 1, is_plain
        if text[place] != delimiter:
            return [], place, False
        place += 1


def read_rows(feed: Feed, labels: list[str], rows: list[tuple[list, bool]], found: dict) -> Reading:
    """Rows of fields under labels. What is not plain is counted, but not judged."""
    names = [snake_case(label) for label in labels]
    places = {column.name: places_of(names, column) for column in feed.columns}
    if not feed.csv.header and feed.format_of("x.csv") != "excel":
        places = {column.name: [place] for place, column in enumerate(feed.columns)}
    lacking = [column.name for column in feed.columns if column.rule != "optional" and not places[column.name]]
    if lacking or any(len(at) > 1 for at in places.values()):
        return Reading("failed")
    known = {at[0] for at in places.values() if at}
    dropped = {snake_case(name) for name in feed.dropped}
    count = Counter(labels)
    other = {
        place: label if label and count[label] == 1 else f"{label}#{place + 1}"
        for place, label in enumerate(labels)
        if place not in known and names[place] not in dropped
    }
    records = []
    for fields, is_plain in rows:
        if not is_plain or "\0" in "".join(map(str, fields)):
            records.append(Record())
        elif len(fields) != len(labels):
            records.append(REFUSED)
        else:
            values = {name: fields[at[0]] if at else None for name, at in places.items()}
            extra = {label: fields[place] for place, label in other.items()}
            records.append(judged(feed, values, extra, found))
    return totalled(feed, records, found)


def places_of(names: list[str], column: Column) -> list[int]:
    return [place for place, name in enumerate(names) if name == snake_case(column.source_name)]


def judged(feed: Feed, values: dict[str, Any], extra: dict[str, Any], found: dict) -> Record:
    """A record that can be read: it is loaded, unless it lacks what it must have."""
    known = values | {name: text for name, text in found.items() if name in feed.column_names}
    blank = [name for name in feed.filled_columns if known.get(name) is None or not str(known[name]).strip(" \t\r\n")]
    return Record("quarantined" if blank else "loaded", known, extra)


def totalled(feed: Feed, records: list[Record], found: dict) -> Reading:
    """A file whose own totals do not foot must fail, if every record of it can be read."""
    totals = {name: found[name] for name, _ in feed.control_totals}
    are_all_read = all(record.must == "loaded" for record in records)
    for name, adds_up in feed.control_totals:
        numbers = [as_number(feed, record.values[adds_up]) for record in records if adds_up != RECORDS and are_all_read]
        is_sure = adds_up == RECORDS or (are_all_read and None not in numbers)
        if is_sure and as_number(feed, totals[name]) != (len(records) if adds_up == RECORDS else sum(numbers)):
            return Reading("failed", records, totals)
    return Reading("" if feed.control_totals and not are_all_read else "loaded", records, totals)


def as_number(feed: Feed, text: str | None) -> Decimal | None:
    """A number with the feed's own mark and nothing else in it; zero for a blank, which adds nothing."""
    if not (text or "").strip():
        return Decimal(0)
    whole = re.fullmatch(rf"[+-]?[0-9]+(?:[{feed.decimal_mark}][0-9]+)?", text.strip(), re.ASCII)
    return Decimal(text.strip().replace(",", ".")) if whole else None


def read_fixed_width(feed: Feed, content: bytes, found: dict) -> Reading:
    lines = lines_of(content, feed.csv.encoding)
    lines = None if lines is None else without_walls(feed, lines, found)
    if lines is None:
        return UNREADABLE
    records = []
    for line in filter(None, lines):
        if len(line) < feed.fixed_width[-1][1]:
            records.append(REFUSED)
            continue
        values = {name: line[first - 1 : first - 1 + width].strip(" ") for name, first, width in feed.fixed_width}
        gaps = {"characters 9-10": line[8:10].strip(" "), "characters 49-": line[48:].strip(" ")}
        records.append(judged(feed, values, {name: gap for name, gap in gaps.items() if gap}, found))
    return totalled(feed, records, found)


class _Repeated(ValueError):
    """A key stands twice in an object: readers keep the first or the last."""


def parse_json(text: str) -> Any:
    """A document with its numbers as they are written. Raises ValueError for what is no JSON."""

    def members(pairs: list[tuple[str, Any]]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise _Repeated
        return dict(pairs)

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(
        text, parse_float=Number, parse_int=Number, parse_constant=refuse, object_pairs_hook=members, strict=True
    )


def read_jsonl(feed: Feed, content: bytes, found: dict) -> Reading:
    lines = lines_of(content, "utf-8")
    if lines is None:
        return UNREADABLE
    documents = []
    for line in filter(None, lines):
        try:
            documents.append(parse_json(line))
        except _Repeated:
            documents.append(Ellipsis)
        except ValueError:
            # An engine may pass over a comma too many or know a NaN, but a torn line is no object for anybody.
            documents.append(Ellipsis if line.strip()[:1] == "{" and line.strip()[-1:] == "}" else None)
    return read_objects(feed, documents, {}, found)


def read_objects(feed: Feed, documents: list, beside: dict[str, Any], found: dict) -> Reading:
    """Objects of JSON under the paths of the declaration; Ellipsis is what readers may differ about."""
    records = []
    required = [column for column in feed.columns if column.rule != "optional"]
    required_beside = [column for column in feed.document_columns if column.rule != "optional"]
    objects = [document for document in documents if isinstance(document, dict)]
    lacking = [column for column in required if not any(at_path(each, column)[1] for each in objects)]
    lacking += [column for column in required_beside if beside.get(column.source_name) is None]
    for document in documents:
        if not isinstance(document, dict):
            records.append(Record() if document is Ellipsis else REFUSED)
            continue
        values = {column.name: at_path(document, column)[0] for column in feed.columns}
        values |= {column.name: beside.get(column.source_name) for column in feed.document_columns}
        records.append(judged(feed, values, rest_of(feed, document), found))
    unsure = Ellipsis in documents
    return Reading("" if unsure else "failed" if objects and lacking else "loaded", records)


def at_path(document: dict, column: Column) -> tuple[Any, bool]:
    """The value that a path leads to, and whether there is one."""
    for key in column.source_name.split("."):
        if not isinstance(document, dict) or key not in document:
            return None, False
        document = document[key]
    return document, True


def rest_of(feed: Feed, document: dict) -> dict[str, Any]:
    """An object without what is declared or dropped."""
    rest = json.loads(json_text(document), parse_float=Number, parse_int=Number)
    for path in [*(column.source_name.split(".") for column in feed.columns), *([name] for name in feed.dropped)]:
        inner = rest
        for key in path[:-1]:
            inner = inner.get(key, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner.pop(path[-1], None)
    return rest


def read_json(feed: Feed, content: bytes, found: dict) -> Reading:
    try:
        document = parse_json(content.decode("utf-8"))
    except _Repeated:
        return Reading()
    except ValueError:
        return UNREADABLE
    records = document
    for key in feed.json_records.split(".") if feed.json_records else []:
        records = records.get(key) if isinstance(records, dict) else None
    if not isinstance(records, list | dict):
        return UNREADABLE
    beside = document if isinstance(document, dict) else {}
    return read_objects(feed, records if isinstance(records, list) else [records], beside, found)


def local_names(content: bytes) -> Element:
    """The document without namespaces, as paths are written."""
    root = ElementTree.fromstring(content)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def xml_records(feed: Feed, root: Element) -> list[Element]:
    """In the order of the document."""
    wanted = [element for path in feed.xml_records for element in root.findall(path)]
    return [element for element in root.iter() if any(element is each for each in wanted)]


def read_xml(feed: Feed, content: bytes, found: dict) -> Reading:
    try:
        root = local_names(content)
    except (ElementTree.ParseError, LookupError, ValueError):
        return UNREADABLE
    elements = xml_records(feed, root)
    if not elements:
        return UNREADABLE
    beside = {column.name: xml_value(root, column) for column in feed.document_columns}
    records = [
        judged(feed, {column.name: xml_value(element, column) for column in feed.columns} | beside, None, found)
        for element in elements
    ]
    lacking = [
        column
        for column in feed.columns
        if column.rule != "optional" and all(record.values[column.name] is None for record in records)
    ]
    beside_lacks = any(column.rule == "filled" and beside[column.name] is None for column in feed.document_columns)
    return Reading("failed" if lacking else "" if beside_lacks else "loaded", records)


def xml_value(element: Element, column: Column) -> Any:
    path, _, attribute = column.source_name.partition("@")
    if path == ".":
        return element.tag
    found = element.findall(path.rstrip("/")) if path else [element]
    texts = [((each.get(attribute) if attribute else each.text) or "").strip() for each in found]
    texts = [text for text in texts if text]
    return texts if len(texts) > 1 else texts[0] if texts else None


def read_workbook(feed: Feed, content: bytes, found: dict, table: Table | None) -> dict[str | None, Reading]:
    """The declared sheets, by openpyxl; an old workbook, which it does not know, by what was written into it."""
    if content[:2] == b"PK":
        try:
            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            sheets = {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book}
        except Exception:  # whatever it says of a damaged file
            return {}
    elif content[:2] == b"\xd0\xcf" and table is not None:
        sheets = sheets_of(feed, table)
    else:
        return {}
    wanted = {name: rows for name, rows in sheets.items() if feed.sheets.fullmatch(name)}
    return {name: read_sheet(feed, rows, dict(found)) for name, rows in wanted.items()} or {None: UNREADABLE}


def read_sheet(feed: Feed, rows: list[list], found: dict) -> Reading:
    rows = [[number_shown(cell, feed) if isinstance(cell, float) else cell for cell in row] for row in rows]
    filled = [row for row in rows if any(cell is not None and cell != "" for cell in row)]
    if not filled:
        return UNREADABLE
    width = max(map(len, rows))
    labels, *records = ([*row, *[None] * (width - len(row))] for row in filled)
    return read_rows(feed, [str(label or "").strip() for label in labels], [(row, True) for row in records], found)


def number_shown(number: float, feed: Feed) -> str:
    """A workbook's number to the 15 digits that it shows, with the mark of the feed, as its cells of text have it."""
    return f"{Context(prec=15).create_decimal(repr(number)).normalize():f}".replace(".", feed.decimal_mark)


def read_parquet(feed: Feed, content: bytes, found: dict) -> Reading:
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        rows = table.to_pylist()
    except Exception:  # whatever it says of a damaged file
        return Reading()
    return read_rows(feed, table.column_names, [(list(row.values()), True) for row in rows], found)


READERS: dict[str, Callable[[Feed, bytes, dict], Reading]] = {
    "csv": read_csv,
    "fixed_width": read_fixed_width,
    "jsonl": read_jsonl,
    "json": read_json,
    "xml": read_xml,
    "parquet": read_parquet,
}


def says(raw: str | None, expected: Any) -> bool:
    """Is this text of the raw table what the file says, digit for digit?"""
    if expected is None or expected == "":
        return raw is None
    if raw is None:
        return False
    if isinstance(expected, bool):
        return raw == str(expected).lower()
    if isinstance(expected, Number):
        return Decimal(raw).as_tuple() == Decimal(expected).as_tuple()
    if isinstance(expected, list | dict):
        return agrees(json.loads(raw, parse_float=Number, parse_int=Number), expected)
    if isinstance(expected, datetime.datetime):
        return datetime.datetime.fromisoformat(raw) == expected
    return raw == (f"{expected:f}" if isinstance(expected, Decimal) else str(expected))


def agrees(found: Any, expected: Any) -> bool:
    """The same for what is kept as JSON; a number may have become its text."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(agrees(found[key], expected[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(agrees, found, expected))
    if isinstance(expected, dict | list) or isinstance(found, dict | list):
        return False
    if isinstance(found, bool):
        return found is expected
    return says(found or None, expected)


# --- the check ----------------------------------------------------------------------------------------------


class Warehouse:
    """One feed's tables in memory, empty before each file."""

    _known: dict[str, "Warehouse"] = {}

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.landing = tempfile.TemporaryDirectory()
        self.folder = Path(self.landing.name) / feed.folder
        self.folder.mkdir(parents=True)
        self.connection = duckdb.connect(config={"threads": 1})
        file_ledger.prepare(self.connection, (feed,))

    @classmethod
    def of(cls, feed: Feed) -> "Warehouse":
        """Made once per feed; one in which something went wrong is not used again."""
        if feed.name not in cls._known:
            cls._known[feed.name] = cls(feed)
        return cls._known[feed.name]

    def load(self, file_name: str, content: bytes) -> SimpleNamespace:
        """What is in the warehouse after one file: lines of the ledger, raw rows and quarantine by file id."""
        del self._known[self.feed.name]
        (self.folder / file_name).write_bytes(content)
        load = loading.load_feed(self.connection, self.feed, Path(self.landing.name))
        (self.folder / file_name).unlink()
        ledger = self._rows("files", "part_name")
        loaded = self._rows(self.feed.name, "_file_id, _record_number")
        quarantined = self._rows("quarantine", "file_id, record_number")
        for table, rows in (("files", ledger), (self.feed.name, loaded), ("quarantine", quarantined)):
            if rows:
                self.connection.execute(f'delete from ingest."{table}"')
        self._known[self.feed.name] = self
        by_file = {
            "rows": {key: list(found) for key, found in groupby(loaded, lambda row: row["_file_id"])},
            "quarantine": {key: list(found) for key, found in groupby(quarantined, lambda row: row["file_id"])},
        }
        return SimpleNamespace(load=load, ledger=ledger, **by_file)

    def _rows(self, table: str, order: str) -> list[dict]:
        found = self.connection.execute(f'select * from ingest."{table}" order by {order}')
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def check_whole(sample: Sample, file_name: str = "", content: bytes | None = None) -> SimpleNamespace:
    """Loads the sample, or what became of it, and holds everything that came of it against the independent readers."""
    file_name, content = file_name or sample.file_name, sample.content if content is None else content
    got = Warehouse.of(sample.feed).load(file_name, content)
    readings = read_parts(sample.feed, file_name, content, sample.table)
    parts = {line["part_name"]: line for line in got.ledger}
    assert len(parts) == len(got.ledger) == len(got.load.files) > 0, "one line in the ledger for each part"
    if readings:
        assert parts.keys() == readings.keys()
    file_ids = {line["file_id"] for line in got.ledger if line["outcome"] == "loaded"}
    assert got.rows.keys() | got.quarantine.keys() <= file_ids, "rows of a file that is not loaded"
    told = {file.file_name: file for file in got.load.files}
    for part, line in parts.items():
        reading = readings.get(part, Reading())
        assert line["outcome"] in ("loaded", "failed")
        assert reading.must in ("", line["outcome"]), line["message"]
        file = told["/".join(filter(None, (file_name, part)))]
        assert (file.outcome, file.message) == (line["outcome"], line["message"])
        if line["outcome"] == "failed":
            assert line["message"] and file_name in line["message"]
            assert (line["record_count"], line["loaded_count"], line["quarantined_count"]) == (None, 0, 0)
        else:
            check_loaded(sample.feed, line, got, reading)
    return got


def check_loaded(feed: Feed, line: dict, got: SimpleNamespace, reading: Reading) -> None:
    rows, quarantine = got.rows.get(line["file_id"], []), got.quarantine.get(line["file_id"], [])
    loaded = {row["_record_number"]: row for row in rows}
    refused = {row["record_number"] for row in quarantine}
    assert line["record_count"] == line["loaded_count"] + line["quarantined_count"] == len(rows) + len(quarantine)
    assert loaded.keys() | refused == set(range(1, line["record_count"] + 1)), "each record once, in the file's order"
    assert (len(loaded), len(refused)) == (line["loaded_count"], line["quarantined_count"])
    assert all(row["line_number"] and row["message"] for row in quarantine)
    # Of a record that cannot be taken apart nothing is kept, where a column of it may not be.
    texts = [row["raw_text"] for row in quarantine]
    kept = [json.loads(text).keys() for text in texts if text is not None] if feed.dropped else []
    assert (feed.dropped or None not in texts) and not any(keys & set(feed.dropped) for keys in kept)
    if reading.records is None:
        return
    assert line["record_count"] == len(reading.records), "records that the independent reader counts"
    for number, record in enumerate(reading.records, start=1):
        state = "loaded" if number in loaded else "quarantined"
        assert record.must in ("", state), f"record {number} is {state}"
        if state == "loaded" and record.values is not None:
            row = loaded[number]
            wrong = {name: (row[name], value) for name, value in record.values.items() if not says(row[name], value)}
            assert not wrong, f"record {number}: column -> (raw table, file)"
        if state == "loaded" and record.extra is not None:
            assert agrees(json.loads(loaded[number]["_extra_columns"] or "{}", parse_int=Number), record.extra)
    if reading.totals:
        compared = json.loads(line["control_totals"])
        assert {name: total["stated"] for name, total in compared.items()} == reading.totals
        for name, adds_up in feed.control_totals:
            stated, found = as_number(feed, reading.totals[name]), Decimal(compared[name]["found"])
            assert stated == found or (adds_up != RECORDS and compared[name]["stated"] in line["message"])


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2026, 10, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def contents(got: SimpleNamespace) -> Counter:
    """The raw rows by value, in no order and without what differs from load to load."""
    differing = ("_file_id", "_loaded_at", "_extra_columns")
    rows = [row for rows in got.rows.values() for row in rows]
    return Counter(tuple((key, text) for key, text in row.items() if key not in differing) for row in rows)


_arrived: dict[int, SimpleNamespace] = {}


def arrived(sample: Sample) -> SimpleNamespace:
    """What came of the sample as it is; looked at once."""
    if id(sample) not in _arrived:
        _arrived[id(sample)] = check_whole(sample)
    return _arrived[id(sample)]


# --- whole files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feed", DECLARED, ids=[feed.name for feed in DECLARED])
def test_each_declared_feed_has_a_sample_of_each_pattern(feed: Feed):
    samples = [sample for sample in OF_EACH_PATTERN if sample.feed is feed]
    formats = [sample.feed.format_of(sample.file_name) for sample in samples]
    assert formats == [file_format for _, file_format in feed.files], "STEMS has no name that the feed understands"
    assert all(len(sample.table.rows) == 3 for sample in samples)


@each([*OF_EACH_PATTERN, *REAL])
def test_a_whole_file_arrives_whole_however_it_is_packed(sample: Sample):
    plain = arrived(sample)
    assert {line["outcome"] for line in plain.ledger} == {"loaded"}
    assert plain.rows or plain.quarantine
    if sample.table is not None:
        assert not plain.quarantine
    packed = {"packed.zip": zipped(sample.file_name, sample.content)}
    if sample.is_text:
        packed[f"{sample.file_name}.gz"] = gzipped(sample.content)
    for name, content in packed.items():
        assert contents(check_whole(sample, name, content)) == contents(plain)


@each(LABELLED)
def test_columns_in_another_order_give_the_same_rows(sample: Sample):
    turned = sample.of(sample.table.ordered(list(reversed(sample.table.labels))))
    assert contents(check_whole(turned)) == contents(arrived(sample))


@each(LABELLED)
def test_labels_over_the_wrong_columns_still_count_every_record(sample: Sample):
    labels = sample.table.labels
    swapped = sample.of(Table((labels[1], labels[0], *labels[2:]), sample.table.rows))
    if sample.format == "xml":
        swapped = sample.of(Table((*labels[:-2], labels[-1], labels[-2]), sample.table.rows))
    got = check_whole(swapped)
    assert {line["outcome"] for line in got.ledger} == {"loaded"}


@each(LABELLED)
def test_an_undeclared_column_is_kept_and_told(sample: Sample):
    values = ["1.10", "of tomorrow", "1,175"]
    wider = sample.of(sample.table.with_column("Tomorrow", values))
    got = check_whole(wider)
    kept = {json.loads(row["_extra_columns"])["Tomorrow"] for rows in got.rows.values() for row in rows}
    assert kept == set(values)
    for line in got.ledger:
        told = (line["new_columns"], "Tomorrow" in (line["message"] or ""))
        assert told == ((None, False) if sample.feed.extra == ANY else ("Tomorrow", True))


def required(sample: Sample) -> list[str]:
    """Labels that may not lack; the name of an XML element itself cannot."""
    columns = sample.feed.columns
    return [column.source_name for column in columns if column.rule != "optional" and column.source_name != "."]


@each([sample for sample in LABELLED if required(sample)])
def test_a_required_column_that_is_gone_fails_its_file_and_is_named(sample: Sample):
    label = required(sample)[-1]
    got = check_whole(sample.of(sample.table.without(label)))
    assert {line["outcome"] for line in got.ledger} == {"failed"}
    assert all(label in line["message"] for line in got.ledger)


@each([sample for sample in GENERATED if sample.feed.document_columns])
def test_a_required_value_of_the_document_that_is_gone_loads_nothing_and_is_named(sample: Sample):
    for column in sample.feed.document_columns:
        name = column.source_name.rpartition("/")[2]
        pattern = rb'"NAME": "of[^"]*",?' if sample.format == "json" else rb"<(\w+:)NAME>of the document[^<]*</\1NAME>"
        lacking, times = re.subn(pattern.replace(b"NAME", name.encode()), b"", sample.content)
        if column.rule == "filled" and times == 1:
            lacking = re.sub(rb",(\s*})", rb"\1", lacking)
            got = check_whole(sample, sample.file_name, lacking)
            refused = [row["column_name"] for rows in got.quarantine.values() for row in rows]
            assert not got.rows
            assert column.source_name in got.ledger[0]["message"] or set(refused) == {column.name}


@each([sample for sample in [*GENERATED, *REAL] if sample.format == "xml"])
def test_no_text_of_an_xml_record_is_lost(sample: Sample):
    # A property that no column asks for, beside those that do.
    name = sample.feed.xml_records[0].encode()
    extended = re.sub(
        rb"</((?:\w+:)?" + name + rb")>",
        b"<Item><AdditionalItemProperty>"
        b"<Name>colour</Name><Value>dark blue</Value></AdditionalItemProperty></Item>" + rb"</\1>",
        sample.content,
    )
    assert b"dark blue" in extended
    got = check_whole(sample, sample.file_name, extended)
    (rows,) = got.rows.values()
    elements = xml_records(sample.feed, local_names(extended))
    for row, element in zip(rows, elements, strict=True):
        texts = {text.strip() for inner in element.iter() for text in (inner.text or "", *inner.attrib.values())}
        held = json.dumps([*map(str, row.values()), json.loads(row["_extra_columns"] or "{}")], ensure_ascii=False)
        lost = [text for text in texts if text and json.dumps(text, ensure_ascii=False)[1:-1] not in held]
        assert not lost


# --- damaged files ------------------------------------------------------------------------------------------


SPECIAL = (
    b'"',
    b"'",
    b' "',
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\x0b",
    b"\x1c",
    b"\x1f",
    b"\x80",
    b"\x85",
    b"\xff",
)
SPECIAL += (b",", b";", b"\t", b"\\", b"{", b"}", b"<", b"&", b"]", b" ", b"0", b"-", b"\xef\xbb\xbf", b"\xe2\x80\xa8")
ENCODINGS = ("utf-16", "utf-16-le", "cp1252", "utf-8-sig", "utf-8", "cp037")
MARKS = {"json": b",", "jsonl": b",", "xml": b">", "fixed_width": b" "}


class Damage:
    """Things that happen to files. Each takes bytes and gives bytes."""

    def __init__(self, sample: Sample, data: st.DataObject) -> None:
        self.sample, self._draw = sample, data.draw

    def applied(self) -> tuple[str, bytes]:
        """The sample after one or two mishaps, perhaps packed, perhaps damaged once more on its way."""
        name, content = self.sample.file_name, self.sample.content
        mishaps = [self.cut, self.spliced, self.flipped, self.emptied]
        if self.sample.is_text:
            mishaps = [
                *(self.cut, self.cut, self.spliced, self.spliced, self.line_deleted, self.line_doubled),
                *(self.mark_added, self.mark_removed, self.quote_added, self.recoded, self.line_ends, self.emptied),
                *(self.blank_lines, self.header_cut),
            ]
        for _ in range(self._draw(st.integers(1, 2))):
            content = self._draw(st.sampled_from(mishaps))(content)
        packing = self._draw(st.sampled_from(("", "", "", "gz", "zip") if self.sample.is_text else ("", "zip")))
        if packing:
            content = gzipped(content) if packing == "gz" else zipped(name, content)
            name = f"{name}.gz" if packing == "gz" else "packed.zip"
            content = self._draw(st.sampled_from((lambda whole: whole, self.cut, self.flipped, self.flipped)))(content)
        return name, content

    def _place(self, content: bytes) -> int:
        return self._draw(st.integers(0, len(content)))

    def _line(self, content: bytes) -> tuple[list[bytes], int]:
        lines = content.splitlines(keepends=True) or [b""]
        return lines, self._draw(st.integers(0, len(lines) - 1))

    def _mark(self) -> bytes:
        mark = MARKS.get(self.sample.format, self.sample.feed.csv.delimiter.encode())
        return mark.decode().encode("utf-16-le") if self.sample.encoding == "utf-16" else mark

    def cut(self, content: bytes) -> bytes:
        return content[: self._place(content)]

    def emptied(self, content: bytes) -> bytes:
        return self._draw(st.sampled_from((b"", b"\n", b" \n", b"\r\n\r\n", b"\xef\xbb\xbf")))

    def spliced(self, content: bytes) -> bytes:
        place = self._place(content)
        foreign = self._draw(st.one_of(st.sampled_from(SPECIAL), st.binary(min_size=1, max_size=4)))
        return content[:place] + foreign + content[place:]

    def flipped(self, content: bytes) -> bytes:
        if not content:
            return content
        place = self._draw(st.integers(0, len(content) - 1))
        return content[:place] + bytes([content[place] ^ (1 << self._draw(st.integers(0, 7)))]) + content[place + 1 :]

    def line_deleted(self, content: bytes) -> bytes:
        lines, number = self._line(content)
        return b"".join(lines[:number] + lines[number + 1 :])

    def line_doubled(self, content: bytes) -> bytes:
        lines, number = self._line(content)
        return b"".join(lines[: number + 1] + lines[number:])

    def mark_added(self, content: bytes) -> bytes:
        place = self._place(content)
        return content[:place] + self._mark() + content[place:]

    def mark_removed(self, content: bytes) -> bytes:
        parts = content.split(self._mark())
        number = self._draw(st.integers(1, max(1, len(parts) - 1)))
        return self._mark().join(parts[:number]) + self._mark().join(parts[number:])

    def quote_added(self, content: bytes) -> bytes:
        place = self._place(content)
        return content[:place] + (self.sample.feed.csv.quote or '"').encode() + content[place:]

    def recoded(self, content: bytes) -> bytes:
        text = content.decode(self.sample.encoding, errors="replace")
        return text.encode(self._draw(st.sampled_from(ENCODINGS)), errors="replace")

    def line_ends(self, content: bytes) -> bytes:
        ends = self._draw(st.lists(st.sampled_from((b"\n", b"\r\n", b"\r")), min_size=1, max_size=2))
        lines = content.splitlines()
        return b"".join(line + ends[number % len(ends)] for number, line in enumerate(lines))

    def blank_lines(self, content: bytes) -> bytes:
        lines, number = self._line(content)
        return b"".join([*lines[:number], b"\n\n", *lines[number:], b"\n"])

    def header_cut(self, content: bytes) -> bytes:
        """The file is torn at its beginning."""
        return content[self._draw(st.integers(0, min(len(content), 40))) :]


def quiet(label: str, examples: int) -> Callable[[Callable], Callable]:
    """Settings for many small files; each label has its own draws, the same at every run."""

    def decorated(test: Callable) -> Callable:
        always = settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return seed(zlib.crc32(label.encode()))(always(test))

    return decorated


# An old workbook that is damaged is read in another process, see below.
@each([sample for sample in [*GENERATED, *REAL] if sample.format != "xls"])
def test_no_record_is_lost_however_a_file_is_damaged(sample: Sample):

    # What only a declaration of this file stands for has no other sample.
    examples = EXAMPLES if sample.feed in DECLARED else 5 * EXAMPLES

    @quiet(f"{sample.feed.name} {sample.file_name}", examples)
    @given(data=st.data())
    def damaged(data: st.DataObject) -> None:
        file_name, content = Damage(sample, data).applied()
        check_whole(sample, file_name, content)

    damaged()


@each([sample for sample in GENERATED if sample.feed.control_totals])
def test_a_file_that_does_not_add_up_to_its_own_totals_fails_whole(sample: Sample):
    lines = sample.content.splitlines(keepends=True)
    others = []
    for number in range(len(lines) - len(sample.feed.trailer) - 3, len(lines) - len(sample.feed.trailer)):
        others += [b"".join([*lines[:number], line, *lines[number + 1 :]]) for line in (b"", 2 * lines[number])]
    for amount in SUMMED:
        written = amount.replace(".", sample.feed.decimal_mark).encode()
        assert sample.content.count(written) == 1
        others.append(sample.content.replace(written, written[:-1] + b"7"))
    for other in others:
        assert [line["outcome"] for line in check_whole(sample, content=other).ledger] == ["failed"]


@each([sample for sample in GENERATED if sample.format == "fixed_width"])
def test_a_line_that_ends_anywhere_is_one_record(sample: Sample):
    lines = sample.content.splitlines()
    for length in range(1, len(lines[1])):
        check_whole(sample, content=b"\n".join([lines[0], lines[1][:length], *lines[2:]]))


@pytest.mark.parametrize(
    "content",
    [
        b'Date,USD,"JPY\n2026-01-01,1.1,175\n2026-01-02,1.2,176\n',
        b'Date,USD,"JPY\n2026-01-01,1.1,175\n2026-01-02,1.2,"176\n2026-01-03,1.3,177\n',
        b'Date,USD,"JPY\r\n2026-01-01,1.1,175\r\n',
    ],
)
def test_a_quote_that_the_header_does_not_close_swallows_no_record(content: bytes):
    got = check_whole(Sample(FEEDS["fx_rates__ecb"], "eurofxref.csv", content))
    (line,) = got.ledger
    assert line["outcome"] == "failed" or line["record_count"] == content.count(b"\n") - 1


@each(GENERATED)
def test_an_empty_file_fails_instead_of_passing_for_a_day_without_records(sample: Sample):
    got = Warehouse.of(sample.feed).load(sample.file_name, b"")
    (line,) = got.ledger
    assert line["outcome"] == "failed" and line["message"]
    if sample.is_text:
        (line,) = Warehouse.of(sample.feed).load(f"{sample.file_name}.gz", gzipped(b"")).ledger
        assert line["outcome"] == "failed" and line["message"]


@each([sample for sample in GENERATED if sample.is_text])
def test_a_packed_file_that_is_cut_short_or_spoilt_fails_with_a_message(sample: Sample):
    packed = gzipped(sample.content)
    spoilt = packed[:12] + bytes(64) + packed[76:]
    for content in (packed[:30], packed[:-4], spoilt):
        got = Warehouse.of(sample.feed).load(f"{sample.file_name}.gz", content)
        assert [(line["outcome"], bool(line["message"])) for line in got.ledger] == [("failed", True)]
        assert not got.rows


def nested_deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def invoice(inside: bytes, before: bytes = b"") -> bytes:
    """A short UBL invoice with something in its line."""
    return (
        before + b"<Invoice><ID>1</ID><IssueDate>2026-11-03</IssueDate><InvoiceTypeCode>380</InvoiceTypeCode>"
        b"<DocumentCurrencyCode>EUR</DocumentCurrencyCode><LegalMonetaryTotal><TaxInclusiveAmount>1.00"
        b"</TaxInclusiveAmount></LegalMonetaryTotal><InvoiceLine><ID>1</ID>" + inside + b"</InvoiceLine></Invoice>"
    )


EVENT = b'[{"event": "delivered", "email": "a@b.c", "timestamp": 1790856000, "more": %s}]'
BOMB = b'<!DOCTYPE Invoice [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]>'
HOSTILE = [
    ("usage__sendgrid", "acme_deep.json", EVENT % nested_deep(3_000)),
    ("usage__sendgrid", "acme_deep.jsonl", (EVENT % nested_deep(3_000))[1:-1]),
    ("usage__sendgrid", "acme_half.json", EVENT % b'"\\ud800"'),
    ("usage__sendgrid", "acme_half.jsonl", (EVENT % b'"\\ud800"')[1:-1]),
    ("usage__sendgrid", "acme_exponent.json", EVENT % b"1e999999999"),
    ("usage__sendgrid", "acme_digits.jsonl", (EVENT % (b"7" * 5000))[1:-1]),
    ("carrier_invoices__ubl", "acme_deep.xml", invoice(b"<a>" * 3_000 + b"</a>" * 3_000)),
    ("carrier_invoices__ubl", "acme_bomb.xml", invoice(b"<Item>&b;</Item>", BOMB)),
    ("carrier_invoices__ubl", "acme_code.xml", invoice(b"", b'<?xml version="1.0" encoding="klingon"?>')),
    ("usage__wide", "unmarked.txt", "id\tNote\tAmount\n1\t2\t3\n".encode("utf-16-le")),
    ("usage__wide", "odd.txt", "id\tNote\tAmount\n1\t2\t3\n".encode("utf-16")[:-1]),
    ("fx_rates__ecb", "long.csv", b"Date,USD\n2026-01-01," + b"1" * 3_000_000 + b"\n"),
    ("fx_rates__ecb", "wide.csv", b"Date" + b",USD" * 5000 + b"\n2026-01-01" + b",1.1" * 5000 + b"\n"),
]


@pytest.mark.parametrize(("feed_name", "file_name", "content"), HOSTILE, ids=[name for _, name, _ in HOSTILE])
def test_a_hostile_file_stops_nobody(feed_name: str, file_name: str, content: bytes):
    got = Warehouse.of(FEEDS[feed_name]).load(file_name, content)
    (line,) = got.ledger
    if line["outcome"] == "failed":
        assert file_name in line["message"] and not got.rows and not got.quarantine
    else:
        check_loaded(FEEDS[feed_name], line, got, Reading())
        assert line["record_count"] == 1


IN_ANOTHER_PROCESS = """
import resource, sys
from pathlib import Path
import duckdb
from orchestration import feeds, loading
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
(feed,) = (feed for feed in feeds.declared() if feed.name == sys.argv[1])
with duckdb.connect(sys.argv[2] + "/warehouse.duckdb", config={"threads": 1}) as connection:
    loading.load_feed(connection, feed, Path(sys.argv[2]))
"""


def damaged_workbooks() -> dict[str, bytes]:
    """Old workbooks as bad disks and broken transfers leave them, and a new one with a cell at its far end."""
    (old,) = (sample for sample in GENERATED if sample.format == "xls")
    name = old.file_name.removesuffix(".xls")
    found = {f"{name} cut {length}.xls": old.content[:length] for length in range(600, len(old.content), 400)}
    # The size of a sheet, and the places of its strings, with one bit too many.
    for mark, places in {b"\x00\x02\x0e\x00": (7, 8, 14), b"\xfd\x00\x0a\x00": (4, 10, 12)}.items():
        start = old.content.index(mark)
        for place in places:
            changed = bytearray(old.content)
            changed[start + place] ^= 0x10
            found[f"{name} bit {start + place}.xls"] = bytes(changed)
    workbook, content = openpyxl.Workbook(), io.BytesIO()
    workbook.active.title = "Rates"
    workbook.active.append(["Code", "Destination", "Rate", "Effective"])
    workbook.active.cell(1_048_576, 16_384, "far away")
    workbook.save(content)
    return found | {f"{name} far.xlsx": content.getvalue(), f"{name} whole.xls": old.content}


KILLERS = {
    "rate_decks__workbook": damaged_workbooks(),
    "usage__sendgrid": {
        "acme_1.json": EVENT % (b"7" * 5000),
        "acme_2.json": EVENT % b"1",
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int, str]]:
    """Each folder of such files loaded by a process of its own: where, its exit code, its last words."""
    started = {}
    for feed_name, landed in KILLERS.items():
        landing = tmp_path_factory.mktemp(feed_name)
        folder = landing / FEEDS[feed_name].folder
        folder.mkdir(parents=True)
        for name, content in landed.items():
            (folder / name).write_bytes(content)
        command = [sys.executable, "-c", IN_ANOTHER_PROCESS, feed_name, str(landing)]
        started[feed_name] = landing, subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
    try:
        told = {feed_name: run.communicate(timeout=100)[1] for feed_name, (_, run) in started.items()}
    finally:
        for _, run in started.values():
            run.kill()
    return {name: (landing, run.returncode, told[name]) for name, (landing, run) in started.items()}


@pytest.mark.parametrize("feed_name", KILLERS)
def test_no_file_kills_the_process_that_reads_it(runs, feed_name: str):
    landing, code, told = runs[feed_name]
    assert code == 0, told[:1000] + told[-300:]
    with duckdb.connect(str(landing / "warehouse.duckdb")) as connection:
        lines = connection.execute("select file_name, outcome, message from ingest.files").fetchall()
    assert {name for name, *_ in lines} == set(KILLERS[feed_name])
    last = max(KILLERS[feed_name])
    assert {outcome for name, outcome, _ in lines if name == last} == {"loaded"}
    assert all(message for _, outcome, message in lines if outcome == "failed")


# --- numbers ------------------------------------------------------------------------------------------------

SCALES = {"decimal(18, 8)": (18, 8), "decimal(38, 18)": (38, 18), "decimal(18, 3)": (18, 3)}
OTHER = {".": ",", ",": "."}
WRITTEN = st.one_of(
    st.from_regex(r" ?[+-]?[0-9]{1,9}([.,][0-9]{1,8})?([eE][+-]?[0-9]{1,2})? ?", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}([.,_' ][0-9]{3}){1,2}([.,][0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[+-]?0?[.,][0-9]{1,20}", fullmatch=True),
    st.from_regex(r"[0-9]{8,40}[.,]?", fullmatch=True),
    st.text(alphabet="0123456789.,+-eE _'\u00a0\u0663%\t", max_size=12),
    st.sampled_from(["", " ", "NaN", "Infinity", "0x1F", "1 000", "1e", "--1", "1.000.000", "½", "\u0661", "1\n"]),
)


@pytest.fixture(scope="module")
def parse_decimal(dbt_project) -> Callable[[list[str], str, str], list[Decimal | None]]:
    """The macro as dbt compiles it, on texts under a declared mark."""
    separator = "\n---\n"
    calls = (f"{{{{ parse_decimal('written', 'mark', '{data_type}') }}}}" for data_type in SCALES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_WAREHOUSE", str(dbt_project.warehouse))
        compiled = dbt(dbt_project.target.parent, "compile", "--inline", separator.join(calls))
    assert compiled.success, compiled.exception
    parts = compiled.result.results[0].node.compiled_code.split(separator)
    sql = dict(zip(SCALES, parts, strict=True))
    connection = duckdb.connect(config={"threads": 1})

    def parse(texts: list[str], mark: str, data_type: str) -> list[Decimal | None]:
        query = f"select {sql[data_type]} from (select unnest(?::varchar[]) as written, ? as mark)"
        return [number for (number,) in connection.execute(query, [texts, mark]).fetchall()]

    return parse


@quiet("parse_decimal", 40)
@given(
    texts=st.lists(WRITTEN, min_size=10, max_size=40), mark=st.sampled_from(".,"), data_type=st.sampled_from([*SCALES])
)
def test_a_number_is_what_its_declared_mark_says_or_none_at_all(parse_decimal, texts, mark: str, data_type: str):
    width, scale = SCALES[data_type]
    for text, found in zip(texts, parse_decimal(texts, mark, data_type), strict=True):
        plain = text.strip(" ")
        if found is None:
            written = re.fullmatch(rf"[+-]?0*([0-9]+)(?:[{mark}]([0-9]+))?", plain, re.ASCII)
            fits = written and len(written[1]) < width - scale and len(written[2] or "") <= scale
            assert not fits, f"{text!r} is a number"
            continue
        assert OTHER[mark] not in text, f"{text!r} holds the other mark and is read as {found}"
        exact = Decimal(plain.replace(mark, "."))
        # Exactly, up to what its type keeps: staging refuses what has more decimals.
        kept = exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, Context(prec=200))
        assert found == kept, f"{text!r} is read as {found}"


# --- the fast path against the careful one ------------------------------------------------------------------

HEADERS = {"fx_rates__ecb": "Date,USD,JPY\n", "rate_decks__ixc_softswitch": ""}  # three columns, one in each dialect


def both_ways(feed: Feed, content: bytes, chunk: int) -> SimpleNamespace:
    """A body of CSV by both paths; None for what a path does not give.

    vouched_count: records, if the survey vouches for each line. at_once: rows that are read at once, from pieces
    of a chunk each, if there are as many. careful, careful_count: rows and records of the plan.
    """
    found = SimpleNamespace(vouched_count=None, at_once=None, careful=None, careful_count=None)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.feeds.surveying.CHUNK_BYTES", chunk)
        patch.setattr("orchestration.feeds.surveying.PIECE_BYTES", chunk)
        patch.setattr("orchestration.feeds.lines.CHUNK_CHARACTERS", chunk)
        path = Path(folder) / "body.csv"
        path.write_bytes(content)
        body = Body(Part(path), path, "csv", {})
        connection = Warehouse.of(feed).connection
        connection.execute("set threads = 2")  # each takes its share of the pieces
        seen = readers.survey(feed, body, readers.shape(connection, feed, body, Path(folder)), Path(folder))
        at_once = readers.read_at_once(connection, feed, body, seen, Path(folder))
        if seen.pieces is not None:
            found.vouched_count = sum(piece.record_count for piece in seen.pieces)
            with suppress(duckdb.Error):
                rows = raw_values(connection, at_once.rows) if at_once else []
                if len(rows) == found.vouched_count:
                    found.at_once = rows
                    numbers = connection.execute(f"select _record_number from ({at_once.rows})") if rows else None
                    assert not rows or {number for (number,) in numbers.fetchall()} == set(range(1, len(rows) + 1))
        with suppress(UnreadableFile, duckdb.Error):
            plan = readers.plan(connection, feed, body, seen, Path(folder))
            found.careful, found.careful_count = raw_values(connection, plan.rows), plan.record_count
    return found


def raw_values(connection: duckdb.DuckDBPyConnection, rows: str) -> list[list[str | None]]:
    """The three fields of each row, by its number: of a column, or of what no column declares."""
    found = connection.execute(rows)
    names = [column[0] for column in found.description]
    records = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    records.sort(key=lambda record: record["_record_number"] or 0)
    return [
        [record[name] for name in names[1:] if name in ("date", "code", "country", "price")]
        + list(json.loads(record["_extra_columns"] or "{}").values())
        for record in records
    ]


def seen_by_python(feed: Feed, text: str) -> list[list[str | None]]:
    """The records of a text without its header, a blank field as null, by Python's csv."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=feed.csv.delimiter)
    return [[field or None for field in row] for row in rows if row]


FIELDS = st.text(alphabet='ab1 ,;".é\t', max_size=6)


@st.composite
def well_formed(draw: st.DrawFn) -> tuple[Feed, str]:
    """A feed and a text that every reader of CSV reads alike."""
    feed = FEEDS[draw(st.sampled_from(sorted(HEADERS)))]
    end = draw(st.sampled_from(("\n", "\r\n")))
    lines = []
    for record in draw(st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=12)):
        quoted = [
            f'"{field.replace(chr(34), chr(34) * 2)}"'
            if any(sign in field for sign in (feed.csv.delimiter, '"')) or draw(st.booleans())
            else field
            for field in record
        ]
        lines += [feed.csv.delimiter.join(quoted), *[""] * draw(st.integers(0, 1))]
    text = end.join(lines) + end * draw(st.integers(0, 2)) * bool(lines)
    return feed, HEADERS[feed.name].replace("\n", end) + text


@quiet("fast path", 60)
@given(file=well_formed(), chunk=st.sampled_from((7, 16, 50, 1 << 17)))
def test_what_is_read_at_once_is_what_is_read_with_care(file: tuple[Feed, str], chunk: int):
    feed, text = file
    if text:
        expected = seen_by_python(feed, text)[feed.csv.header :]
        found = both_ways(feed, text.encode(), chunk)
        assert (found.careful, found.careful_count) == (expected, len(expected))
        assert found.at_once == expected or (found.vouched_count is None and chunk < 1 << 17)


ODD = ("a", "", '"a"', '"a""b"', '"a,;b"', 'a"b', '"a"b', 'a",;"b', ' "a,;b"', '"a" ', '"', '"a\nb"', '"a', 'b"')
SIGNS = ("a", "1", " ", ",", ";", '"', '""', "\n", "\n", "\r\n", "\r", "é", "\t", "\0")


@quiet("vouched", 100)
@given(
    name=st.sampled_from(sorted(HEADERS)),
    body=st.one_of(
        st.lists(st.sampled_from(SIGNS), max_size=30).map("".join),
        st.lists(st.tuples(*[st.sampled_from(ODD)] * 3), max_size=3),
    ),
    chunk=st.sampled_from((7, 1 << 17)),
)
def test_what_the_survey_vouches_for_has_the_records_that_python_sees(name: str, body: str | list, chunk: int):
    feed = FEEDS[name]
    text = body if isinstance(body, str) else "\n".join(feed.csv.delimiter.join(fields) for fields in body)
    found = both_ways(feed, f"{HEADERS[name]}{text}".encode(), chunk)
    if found.vouched_count is not None:
        expected = seen_by_python(feed, text)
        assert found.vouched_count == len(expected)
        assert all(len(fields) == 3 for fields in expected)
        assert found.at_once in (None, expected)
