"""Are the marts of one build? A mark in the warehouse says so: gone before dbt builds, set when all of it ended well.

Belongs here: the mark, and what to say where it is missing. Does not belong here: building (`transform.py`), who may
not go on without it (`gate.py`, `ledger/periods.py`).

A build that failed, was killed or was asked for a part leaves marts of several builds: each may be right, and what one
says the other does not know.
"""

import duckdb

from orchestration.sql import transaction

MARK = """
    create schema if not exists ingest;
    create table if not exists ingest.whole_build (ended_at timestamp not null)
"""
NOT_WHOLE = (
    "the tables are not those of one whole build: the last one failed, was stopped, or built only a part. "
    "Run `tollgate run`"
)


def begin(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on the marts may be of several builds."""
    connection.execute(MARK)
    connection.execute("delete from ingest.whole_build")


def end(connection: duckdb.DuckDBPyConnection) -> None:
    """All models were built and all their laws hold."""
    with transaction(connection):
        begin(connection)
        connection.execute("insert into ingest.whole_build values (now() at time zone 'UTC')")


def is_whole(connection: duckdb.DuckDBPyConnection) -> bool:
    """Also of a connection that only reads, and of a warehouse from before there was a mark."""
    try:
        return connection.execute("from ingest.whole_build").fetchone() is not None
    except duckdb.CatalogException:
        return False
