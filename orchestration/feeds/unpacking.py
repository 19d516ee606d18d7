"""Unpacking: what lies inside a landed file, as bodies of text or Parquet that `readers.py` can read.

Belongs here: the members of a zip, the sheets of a workbook (`workbooks.py` reads them), and turning an envelope of
JSON or an XML document into JSON Lines. Does not belong here: what a record is worth keeping (`readers.py`), the
ledger.

Libraries do the reading. A conversion is lossless: a value that no column declares goes along under its own name.
"""

import gzip
import hashlib
import json
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

import ijson
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml
from isal import igzip, igzip_lib, isal_zlib

from orchestration.feeds import Column, Feed, workbooks
from orchestration.feeds.workbooks import UnreadableWorkbook

GZIP_ERRORS = (EOFError, zlib.error, isal_zlib.error, igzip_lib.IsalError, gzip.BadGzipFile)
# ijson's reader in C does not survive that Python refuses to convert an integer of more digits than this limit.
sys.set_int_max_str_digits(0)


class UnreadableFile(Exception):
    """A file cannot be read as a whole. The message names the file, the reason and the next step."""


@dataclass(frozen=True)
class Part:
    """One body of records: a landed file itself (`inner` is None), a member of a zip, or a sheet of a workbook."""

    landed: Path
    inner: str | None = None
    sheet: str | None = None

    @property
    def label(self) -> str:
        """How people name it: `report.zip/voice.csv`, `offer.xlsx/Rates`."""
        return "/".join(name for name in (self.landed.name, self.inner, self.sheet) if name)

    @property
    def inner_name(self) -> str | None:
        """What the ledger calls it inside its file; null for the file itself."""
        return "/".join(name for name in (self.inner, self.sheet) if name) or None

    @property
    def file_name(self) -> str:
        """The name that patterns of the declaration are held against: that of the innermost file."""
        return Path(self.inner or self.landed.name).name


@dataclass(frozen=True)
class Body:
    """The readable content of a part: where it lies, in which of the formats that `readers.py` reads.

    found: the columns that the part's name gives, such as its carrier and its day.
    bytes_hash: of the source's own bytes, where a conversion came between; else the survey makes it.
    """

    part: Part
    path: Path
    format: str
    found: dict[str, str | None]
    bytes_hash: str | None = None

    @property
    def label(self) -> str:
        return self.part.label

    def identity(self, bytes_hash: str) -> str:
        """What makes two bodies the same content: their bytes and what their names say."""
        if not self.found:
            return bytes_hash
        return hashlib.sha256(f"{bytes_hash}{json.dumps(self.found, sort_keys=True)}".encode()).hexdigest()


def parts(feed: Feed, landed: Path, scratch: Path) -> list[Part]:
    """What the feed reads of one landed file. Raises UnreadableFile for a damaged zip or workbook."""
    if landed.name.lower().endswith(".zip"):
        members = [Part(landed, name) for name in _members(landed) if feed.format_of(Path(name).name)]
        if not members:
            raise UnreadableFile(
                f"{landed.name}: no member of the zip is a file that {feed.declaration.name} reads. "
                f"Its patterns: {', '.join(pattern for pattern, _ in feed.files)}."
            )
        return [part for member in members for part in _sheets(feed, member, scratch)]
    return _sheets(feed, Part(landed), scratch)


def left_alone(feed: Feed, landed: Path) -> list[str]:
    """Members of a zip that no pattern of the feed claims."""
    if not landed.name.lower().endswith(".zip"):
        return []
    try:
        return [name for name in _members(landed) if not feed.format_of(Path(name).name)]
    except UnreadableFile:
        return []


def body(feed: Feed, part: Part, scratch: Path) -> Body:
    """The content of a part, copied or converted into `scratch` where it cannot be read as it lies."""
    file_format = feed.format_of(part.file_name)
    found = _named(part.label, feed, "file_name_pattern", feed.file_name_pattern, part.file_name)
    if part.sheet is not None:
        found |= _named(part.label, feed, "excel.sheets", feed.sheets, part.sheet)
    source = _extracted(part, scratch) if part.inner else part.landed
    if source.stat().st_size == 0:
        raise UnreadableFile(f"{part.label}: the file is empty (0 bytes). Drop it again with its content.")
    if file_format == "excel":
        return Body(part, _sheet_as_csv(feed, source, part, scratch), "csv", found)
    if file_format in ("json", "xml"):
        convert = _json_records if file_format == "json" else _xml_records
        target = scratch / "records.jsonl"
        try:
            with open_bytes(source) as stream, target.open("w", encoding="utf-8") as lines:
                for record in convert(feed, part, stream):
                    lines.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
                if lines.tell() == 0:
                    lines.write("\n")  # an envelope without records is no empty file
            return Body(part, target, "jsonl", found, hash_of(source))
        except (*GZIP_ERRORS, OSError) as error:
            raise UnreadableFile(f"{part.label}: it is damaged or cut short ({error}). Drop a whole copy.") from error
    return Body(part, source, file_format, found)


def is_zipped(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def open_bytes(path: Path) -> IO[bytes]:
    """The content of a file, unzipped on the way."""
    return igzip.open(path) if is_zipped(path) else path.open("rb")


def hash_of(path: Path) -> str:
    """sha256 of the content of a file, unzipped: the same content zipped and plain is the same."""
    with open_bytes(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damaged(body: Body, error: Exception) -> UnreadableFile:
    """What to raise for one of GZIP_ERRORS."""
    return UnreadableFile(f"{body.label}: the gzip file is damaged or cut short ({error}). Drop a whole copy.")


def _named(label: str, feed: Feed, key: str, pattern: re.Pattern[str] | None, name: str) -> dict[str, str | None]:
    """The values that a name gives."""
    if pattern is None:
        return {}
    match = pattern.fullmatch(name)
    if match is None:
        raise UnreadableFile(
            f"{label}: the name does not give {', '.join(pattern.groupindex)}; it must match {pattern.pattern} "
            f"(`{key}` of {feed.declaration.name}). Rename the file."
        )
    return match.groupdict()


# --- zip ----------------------------------------------------------------------------------------------------


def _members(landed: Path) -> list[str]:
    """Names of the files in a zip, without folders and hidden ones."""
    try:
        with zipfile.ZipFile(landed) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, *GZIP_ERRORS, OSError) as error:
        raise UnreadableFile(f"{landed.name}: not readable as a zip ({error}). Drop a whole copy.") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnreadableFile(f"{landed.name}: it holds {', '.join(twice)} more than once. Drop its files unpacked.")
    return [name for name in names if not any(step.startswith((".", "__MACOSX")) for step in name.split("/"))]


def _extracted(part: Part, scratch: Path) -> Path:
    """A copy of a zip's member. Its checksum is checked on the way."""
    target = scratch / f"member{''.join(Path(part.file_name).suffixes[-2:])}"
    try:
        with zipfile.ZipFile(part.landed) as archive, archive.open(part.inner) as member, target.open("wb") as copy:
            shutil.copyfileobj(member, copy, 1 << 20)
    except RuntimeError as error:
        raise UnreadableFile(f"{part.label}: the zip asks for a password. Drop it unpacked.") from error
    except (zipfile.BadZipFile, NotImplementedError, *GZIP_ERRORS, OSError) as error:
        raise UnreadableFile(f"{part.label}: the zip is damaged or cut short ({error}). Drop a whole copy.") from error
    return target


# --- workbooks ----------------------------------------------------------------------------------------------


def _sheets(feed: Feed, part: Part, scratch: Path) -> list[Part]:
    """A workbook's declared sheets; any other file is one part."""
    if feed.format_of(part.file_name) != "excel":
        return [part]
    source = _extracted(part, scratch) if part.inner else part.landed
    try:
        found = workbooks.sheet_names(source)
    except UnreadableWorkbook as error:
        raise UnreadableFile(f"{part.label}: not readable as a workbook ({error}). Drop a whole copy.") from error
    names = [name for name in found if feed.sheets.fullmatch(name)]
    if not names:
        raise UnreadableFile(
            f"{part.label}: no sheet matches {feed.sheets.pattern} (`excel.sheets` of {feed.declaration.name}). "
            f"The workbook has: {', '.join(found)}."
        )
    return [Part(part.landed, part.inner, name) for name in names]


def _sheet_as_csv(feed: Feed, source: Path, part: Part, scratch: Path) -> Path:
    target = scratch / "sheet.csv"
    try:
        workbooks.write_sheet(source, part.sheet, feed.decimal_mark, target)
    except UnreadableWorkbook as error:
        raise UnreadableFile(f"{part.label}: the sheet is not readable ({error}). Drop a whole copy.") from error
    return target


# --- JSON ---------------------------------------------------------------------------------------------------


def _json_records(feed: Feed, part: Part, stream: IO[bytes]) -> Iterator[Any]:
    """The records of an envelope, each with the declared values beside them. Numbers keep the digits they have."""
    path = ".".join(step for step in (feed.json_records, "item") if step)
    try:
        around = _json_document_values(feed, stream)
        stream.seek(0)
        first = next((event for prefix, event, _ in ijson.parse(stream) if prefix == feed.json_records), None)
        stream.seek(0)
        if first == "start_array":
            found = ijson.items(stream, path)
        elif first == "start_map":
            found = ijson.items(stream, feed.json_records)
        else:
            stream.seek(0)
            beside = sorted({prefix for prefix, _, _ in ijson.parse(stream) if prefix and "." not in prefix})
            raise UnreadableFile(
                f"{part.label}: holds no records at `{feed.json_records}` (`json.records` of {feed.declaration.name}). "
                f"It has: {', '.join(beside) or 'nothing'}."
            )
        for record in found:
            yield record | around if isinstance(record, dict) else record
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{part.label}: not valid JSON ({error}). Drop a whole copy.") from error


def _json_document_values(feed: Feed, stream: IO[bytes]) -> dict[str, Any]:
    wanted = {column.source_name: f"/{column.source_name}" for column in feed.document_columns}
    if not wanted:
        return {}
    return {
        wanted[prefix]: value
        for prefix, event, value in ijson.parse(stream)
        if prefix in wanted and event in ("string", "number", "boolean")
    }


# --- XML ----------------------------------------------------------------------------------------------------


def _xml_records(feed: Feed, part: Part, stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The records of a document, in its order: declared paths under their names, all other leaves under theirs."""
    try:
        root = parse_xml(stream).getroot()
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise UnreadableFile(f"{part.label}: not readable as XML ({error!s}). Drop a whole copy.") from error
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
        for name in [name for name in element.attrib if "}" in name]:
            element.attrib[name.rpartition("}")[2]] = element.attrib.pop(name)
    records = {id(element) for path in feed.xml_records for element in root.findall(path)}
    if not records:
        raise UnreadableFile(
            f"{part.label}: the document {root.tag} holds no {' or '.join(feed.xml_records)} "
            f"(`xml.records` of {feed.declaration.name})."
        )
    beside = {f"/{column.source_name}": _xml_value(root, column, part) for column in feed.document_columns}
    around = {path: value for path, value in beside.items() if value is not None}
    for element in root.iter():
        if id(element) in records:
            yield _xml_record(feed, part, element) | around


def _xml_record(feed: Feed, part: Part, element: Element) -> dict[str, Any]:
    declared, read = {}, set()
    for column in feed.columns:
        places = _xml_places(element, column, part)
        read.update((id(place), attribute) for place, attribute in places)
        value = _xml_value(element, column, part)
        if value is not None:
            declared[column.source_name] = value
    leaves: dict[str, list[str]] = {}
    for path, place, attribute, text in _xml_leaves(element, ""):
        if (id(place), attribute) not in read:
            leaves.setdefault(path, []).append(text)
    others = {path: texts[0] if len(texts) == 1 else texts for path, texts in leaves.items()}
    return others | declared


def _xml_places(element: Element, column: Column, part: Part) -> list[tuple[Element, str]]:
    """The elements that a path leads to, each with the attribute that is asked for, or none."""
    path, _, attribute = column.source_name.partition("@")
    try:
        return [(found, attribute) for found in (element.findall(path.rstrip("/")) if path else [element])]
    except SyntaxError as error:
        raise UnreadableFile(f"{part.label}: {column.source_name!r} is no path of XML ({error}).") from error


def _xml_value(element: Element, column: Column, part: Part) -> str | list[str] | None:
    """What stands at a path: text, several texts, or null. `.` is the name of the element itself."""
    if column.source_name == ".":
        return element.tag
    places = _xml_places(element, column, part)
    texts = [((place.get(attribute) if attribute else place.text) or "").strip() for place, attribute in places]
    texts = [text for text in texts if text]
    return None if not texts else texts[0] if len(texts) == 1 else texts


def _xml_leaves(element: Element, path: str) -> Iterator[tuple[str, Element, str, str]]:
    """Every text and attribute of a record and below: its path, its element, its attribute (or none), itself."""
    for name, value in element.attrib.items():
        yield f"{path}/@{name}".lstrip("/"), element, name, value
    if path and (element.text or "").strip():
        yield path, element, "", element.text.strip()
    for child in element:
        if isinstance(child.tag, str):
            yield from _xml_leaves(child, f"{path}/{child.tag}".lstrip("/"))
