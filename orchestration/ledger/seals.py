"""Seals: a chain of hashes over everything that was ever booked, so that nothing can be changed unseen.

Belongs here: the chain. Does not belong here: what is booked, and where it is kept (`orchestration/ledger`), whether
the books still are what was sealed (`verification.py`).

Each booking seals its rows: a row's hash is the SHA-256 of its values as JSON texts, a seal's hash covers the hashes
of its rows, in the order of their key, and the hash of the seal before it. Whoever notes one seal (each publication
states the last one in its manifest) can tell later whether anything up to it was changed, added or taken away; without
such a note the chain shows only changes by those who did not write it anew. docs/ledger.md has the same in plain SQL.
"""

import duckdb

from orchestration.file_ledger import utc_now
from orchestration.ledger.books import Book

ORIGIN = "0" * 64
"""What the first seal continues."""


def seal(connection: duckdb.DuckDBPyConnection, book: Book) -> None:
    """Seal the rows of a book that no seal holds yet. Belongs into the transaction that books them."""
    number, previous = connection.execute(
        "select coalesce(max(seal_number), 0) + 1, coalesce(arg_max(seal_hash, seal_number), $1) from ledger.seals",
        [ORIGIN],
    ).fetchone()
    sealed = connection.execute(
        f"update {book.table} set seal_number = ? where seal_number is null", [number]
    ).fetchone()[0]
    if sealed:
        connection.execute(
            f"""
            insert into ledger.seals by name
            with stated as (
                select $number as seal_number, $book as book, count(*) as row_count, {rows_hash(book)} as rows_hash,
                    $previous as previous_hash, cast($sealed_at as timestamp) as sealed_at
                from {book.table} where seal_number = $number
            )
            select *, {SEAL_HASH} as seal_hash from stated""",
            {
                "number": number,
                "book": book.table,
                "previous": previous,
                "sealed_at": utc_now(),
            },
        )


def row_hash(book: Book) -> str:
    texts = ", ".join(f"cast({name} as varchar)" for name in book.columns)
    return f"sha256(cast(to_json([{texts}]) as varchar))"


def rows_hash(book: Book) -> str:
    return f"sha256(coalesce(string_agg({row_hash(book)}, '' order by {book.key}), ''))"


SEAL_HASH = (
    "sha256(cast(to_json([previous_hash, cast(seal_number as varchar), book, cast(row_count as varchar), rows_hash, "
    "cast(sealed_at as varchar)]) as varchar))"
)


def last(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The hash of the latest seal; None where nothing was ever booked."""
    return connection.execute("select arg_max(seal_hash, seal_number) from ledger.seals").fetchone()[0]
