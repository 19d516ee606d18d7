"""The survey: what one look at all bytes of a body tells, before the engine sees it.

Belongs here: hash, lines, encoding, and whether each line of a CSV text is well formed, so that the text can be cut
into pieces. Does not belong here: turning bytes into records (`csv_reader.py` and its neighbours).
"""

import codecs
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from orchestration.feeds import Feed
from orchestration.feeds.unpacking import GZIP_ERRORS, Body, damaged, hash_of, open_bytes

CHUNK_BYTES = 1 << 17
PIECE_BYTES = 1 << 25
# Splits no line: a file that holds this control character is refused, so a line is always one value.
NO_DELIMITER = "\x1f"
ENCODINGS_OF_THE_ENGINE = ("utf-8", "utf-8-sig", "ascii")


@dataclass(frozen=True)
class Shape:
    """What every record of a well-formed CSV file has: so many fields, apart by this byte, quoted by that one."""

    field_count: int
    delimiter: bytes
    quote: bytes
    skip: int


@dataclass(frozen=True)
class Piece:
    """Whole lines of a text, without its header, and how many records they are."""

    path: Path
    record_count: int


@dataclass(frozen=True)
class Survey:
    """What one pass over a body's bytes tells. Line count, problem and what follows concern text only.

    bytes_hash: sha256 of the content, unzipped: the same content zipped and plain is the same.
    is_uniform: one kind of line end throughout, \\n or \\r\\n.
    problem: why the content is not the text that was declared.
    pieces: all records in their order, where a shape was asked for and every line has it; else None.
    is_without_blanks: no field of such a record is blank.
    """

    bytes_hash: str
    byte_count: int
    line_count: int
    is_uniform: bool
    problem: str | None
    pieces: tuple[Piece, ...] | None = None
    is_without_blanks: bool = False


def survey(feed: Feed, body: Body, wanted: Shape | None, scratch: Path) -> Survey:
    """One look at the bytes: lines, encoding, and whether each line has the shape; then the text is cut into pieces,
    which lie in `scratch`. Hashing reads the file by itself, beside it: that is sooner done than handing over chunks.
    Raises UnreadableFile for a damaged gzip."""
    text = None if body.format == "parquet" else _TextSurvey(encoding_of(feed, body.format))
    cutter = _Cutter(wanted, scratch) if wanted else None
    byte_count = 0
    try:
        with open_bytes(body.path) as stream, ThreadPoolExecutor(max_workers=1) as beside:
            hashing = None if body.bytes_hash else beside.submit(hash_of, body.path)
            while chunk := stream.read(CHUNK_BYTES):
                byte_count += len(chunk)
                if text:
                    text.take(chunk)
                if cutter:
                    cutter.take(chunk)
            bytes_hash = hashing.result() if hashing else body.bytes_hash
    except GZIP_ERRORS as error:
        raise damaged(body, error) from error
    if text:
        text.take(b"", final=True)
    if cutter:
        cutter.finish(is_sound=text.problem is None and text.is_uniform)
    return Survey(
        bytes_hash=bytes_hash,
        byte_count=byte_count,
        line_count=text.line_count if text else 0,
        is_uniform=text.is_uniform if text else True,
        problem=text.problem if text else None,
        pieces=cutter.pieces if cutter else None,
        is_without_blanks=cutter is not None and cutter.is_without_blanks,
    )


def encoding_of(feed: Feed, file_format: str) -> str:
    """The codec to decode with. A byte order mark is no part of the first value; JSON is always UTF-8."""
    encoding = codecs.lookup(feed.csv.encoding).name if file_format in ("csv", "fixed_width") else "utf-8"
    return "utf-8-sig" if encoding == "utf-8" else encoding


class _TextSurvey:
    """Decodes a text in chunks and counts its lines, whatever ends them."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.problem: str | None = None
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._line_end_count = 0
        self._had_line_ends = False
        self._last = "\n"

    def take(self, chunk: bytes, final: bool = False) -> None:
        if self.problem:
            return
        # Nearly all bulk text is ASCII with \n: counting bytes then says the same as decoding, in a tenth of the time.
        is_plain = self._decoder is None and chunk.isascii() and b"\r" not in chunk
        if is_plain and self.encoding in ENCODINGS_OF_THE_ENGINE:
            if NO_DELIMITER.encode() in chunk:
                self._refuse_control_character(chunk.decode("ascii"))
            self._line_end_count += int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")))
            self._last = chunk[-1:].decode("ascii") or self._last
            return
        if self._decoder is None:
            decode = codecs.getincrementaldecoder(self.encoding if self._is_at_start else "utf-8")()
            self._decoder = io.IncrementalNewlineDecoder(decode, translate=True)
            self._had_line_ends = self._line_end_count > 0
        self._decode(chunk, final)

    def _decode(self, chunk: bytes, final: bool) -> None:
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            line = self._line_end_count + error.object[: error.start].count(b"\n") + 1
            self.problem = (
                f"line {line} is not {self.encoding.removesuffix('-sig')} text "
                f"(byte 0x{error.object[error.start]:02x}). "
                f"Declare the encoding that it has, or convert the file."
            )
            return
        if NO_DELIMITER in text:
            self._refuse_control_character(text)
        self._line_end_count += text.count("\n")
        self._last = text[-1:] or self._last

    def _refuse_control_character(self, text: str) -> None:
        line = self._line_end_count + text[: text.index(NO_DELIMITER)].count("\n") + 1
        self.problem = f"line {line} holds the control character 0x1f, which no text has. Ask for a clean file."

    @property
    def _is_at_start(self) -> bool:
        """A byte order mark can only stand at the very beginning; 16-bit codes are always decoded from there."""
        return self._line_end_count == 0 and self._last == "\n"

    @property
    def line_count(self) -> int:
        return self._line_end_count + (self._last != "\n")

    @property
    def is_uniform(self) -> bool:
        if self._decoder is None or self._decoder.newlines is None:
            return True
        return self._decoder.newlines == "\n" or (self._decoder.newlines == "\r\n" and not self._had_line_ends)


class _Cutter:
    """Holds each line of a CSV text against a shape, by its bytes (RFC 4180, without line ends inside quotes), and
    cuts the text into pieces.

    It vouches or it does not: a line that the pattern below would still read (a blank before a quote) makes it
    silent as well, and the text then goes the longer way.
    """

    def __init__(self, wanted: Shape, folder: Path) -> None:
        self._shape = wanted
        self._folder = folder
        self._skip = wanted.skip
        self._rest = b""
        self._is_formed = True
        self._may_hold_blanks = False
        self._whole: list[Piece] = []
        self._piece: BinaryIO | None = None
        self._record_count = 0  # of the piece

    def take(self, chunk: bytes) -> None:
        if not self._is_formed:
            return
        text = self._rest + chunk
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        self._write(text[:end])
        self._is_formed &= len(self._rest) < 2 * CHUNK_BYTES

    def finish(self, is_sound: bool) -> None:
        """Judges a last line that nothing ends. What is not sound as a text has no pieces."""
        if self._rest:
            self._write(self._rest)
        self._close_piece()
        self._is_formed &= is_sound and self._skip == 0

    @property
    def pieces(self) -> tuple[Piece, ...] | None:
        """All records, if every one has the shape."""
        return tuple(self._whole) if self._is_formed else None

    @property
    def is_without_blanks(self) -> bool:
        """No field of any record is empty or begins with white space."""
        return not self._may_hold_blanks

    def _write(self, lines: bytes) -> None:
        while self._skip and lines:
            lines = lines.partition(b"\n")[2]
            self._skip -= 1
        if not lines or not self._is_formed:
            return
        self._judge(lines if lines.endswith(b"\n") else lines + b"\n")
        if self._piece is None:
            self._piece = (self._folder / f"piece-{len(self._whole)}").open("wb")
        self._piece.write(lines)
        if self._piece.tell() >= PIECE_BYTES:
            self._close_piece()

    def _close_piece(self) -> None:
        if self._piece is not None:
            self._piece.close()
            self._whole.append(Piece(Path(self._piece.name), self._record_count))
            self._piece, self._record_count = None, 0

    def _judge(self, lines: bytes) -> None:
        if b"\0" in lines:
            self._is_formed = False
            return
        codes = np.frombuffer(lines, np.uint8)
        is_delimiter, is_end = codes == self._shape.delimiter[0], codes == ord("\n")
        self._look_for_blanks(codes, is_delimiter, is_end)
        if self._is_plain(lines, is_end):
            # The engine refuses a record with too few fields, so where the sum is right each one is.
            line_count = np.count_nonzero(is_end)
            self._record_count += int(line_count)
            self._is_formed = bool(np.count_nonzero(is_delimiter) == line_count * (self._shape.field_count - 1))
            return
        delimiters, ends = np.flatnonzero(is_delimiter), np.flatnonzero(is_end)
        if self._shape.quote and self._shape.quote in lines:
            quotes = np.flatnonzero(codes == self._shape.quote[0])
            if not self._quotes_are_formed(codes, quotes, ends):
                self._is_formed = False
                return
            delimiters = delimiters[np.searchsorted(quotes, delimiters) % 2 == 0]
        widths = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
        lengths = np.diff(ends, prepend=-1) - 1
        is_record = (lengths > 1) | ((lengths == 1) & (codes[np.maximum(ends - 1, 0)] != ord("\r")))
        self._record_count += int(is_record.sum())
        self._is_formed = bool((widths[is_record] == self._shape.field_count).all())

    def _look_for_blanks(self, codes: np.ndarray, is_delimiter: np.ndarray, is_end: np.ndarray) -> None:
        """A field that begins with white space, with a quote, or with what should end it, may be blank."""
        is_blank = is_delimiter | (codes <= ord(" "))
        if self._shape.quote:
            is_blank |= codes == self._shape.quote[0]
        begins = (is_delimiter | is_end)[:-1] & is_blank[1:]
        self._may_hold_blanks |= bool(is_blank[0]) or bool(begins.any())

    def _is_plain(self, lines: bytes, is_end: np.ndarray) -> bool:
        """Neither quotes nor blank lines nor \\r: then counting says as much as looking at each line."""
        has_quotes = self._shape.quote and self._shape.quote in lines
        return not (has_quotes or b"\r" in lines or is_end[0] or (is_end[1:] & is_end[:-1]).any())

    def _quotes_are_formed(self, codes: np.ndarray, quotes: np.ndarray, ends: np.ndarray) -> bool:
        """Opening quotes begin a field, closing ones end it, and no line ends in between."""
        quote = self._shape.quote[0]
        before = codes[quotes[::2] - 1]
        begins = (before == self._shape.delimiter[0]) | (before == ord("\n")) | (before == quote) | (quotes[::2] == 0)
        after = codes[quotes[1::2] + 1] if len(quotes) % 2 == 0 else np.empty(0, np.uint8)
        closes = (after == self._shape.delimiter[0]) | (after == ord("\n")) | (after == ord("\r")) | (after == quote)
        is_whole = len(quotes) % 2 == 0 and not (np.searchsorted(quotes, ends) % 2).any()
        return bool(is_whole and begins.all() and closes.all())
