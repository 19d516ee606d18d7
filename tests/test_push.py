"""Pushing into a real PostgreSQL: exact, described, all at once, and never in a reader's way."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest
from conftest import check, tollgate
from test_publish import build_home, change, publish_home, write_marts

from orchestration import push as pushing
from orchestration.push import PushError, push

NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
"""PostgreSQL refuses to run as root."""


def binaries() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them from the path."""
    found = [Path(pg_ctl).parent for pg_ctl in [shutil.which("pg_ctl")] if pg_ctl]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL of this file's own, without a port: it is reached through a socket in its folder."""
    if (where := binaries()) is None:
        pytest.skip("no PostgreSQL is installed: apt-get install postgresql")
    as_somebody = NOBODY if os.geteuid() == 0 else []
    # Not in pytest's folders, which nobody but their owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        if as_somebody:
            shutil.chown(folder, "nobody", "nogroup")

        def run(*command: str) -> None:
            subprocess.run([*as_somebody, *command], check=True, capture_output=True, cwd=folder)

        run(str(where / "initdb"), "-D", f"{folder}/data", "-U", "tollgate", "--auth", "trust", "--encoding", "UTF8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        pg_ctl = [str(where / "pg_ctl"), "-D", f"{folder}/data", "-w"]
        run(*pg_ctl, "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://tollgate@/postgres?host={folder}"
        finally:
            run(*pg_ctl, "-m", "immediate", "stop")


@pytest.fixture
def reader(server: str) -> Iterator[psycopg.Connection]:
    """Somebody else at the server, in a database that has no schema of ours yet."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("drop schema if exists settle cascade")
        yield connection


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = build_home(tmp_path)
    publish_home(home)
    return home


def markers(reader: psycopg.Connection) -> set[int]:
    """Of the marts that `write_marts` writes: more than one is a mixture of publications, none an empty table."""
    rows = reader.execute("select marker from settle.fct_disputes union all select marker from settle.dim_carriers")
    return {marker for (marker,) in rows.fetchall()}


def republish(home: Path, marker: int) -> None:
    write_marts(home, marker)
    publish_home(home)


# --- What arrives ---------------------------------------------------------------------------------


def test_every_mart_arrives_to_the_last_digit_with_its_comments_and_its_key(demo, server, reader):
    published = demo[0] / "published"
    push(published, server)
    with duckdb.connect(str(published / "settlement.duckdb"), read_only=True) as source:
        marts = source.execute("select table_name, comment from duckdb_tables() order by table_name").fetchall()
        assert len(marts) > 20
        for mart, comment in marts:
            there = reader.execute(f"select * from settle.{mart}").fetchall()
            assert by_key(there) == by_key(source.execute(f"select * from settle.{mart}").fetchall()), mart
            columns = source.execute(
                """select column_name, comment, data_type from duckdb_columns()
                where table_name = ? order by column_index""",
                [mart],
            ).fetchall()
            described = reader.execute(
                """select attname, col_description(attrelid, attnum), format_type(atttypid, atttypmod)
                from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum""",
                [f"settle.{mart}"],
            ).fetchall()
            assert [row[:2] for row in described] == [row[:2] for row in columns] and all(row[1] for row in columns)
            decimals = [(name, kind.replace("DECIMAL", "numeric")) for name, _, kind in columns if "DECIMAL" in kind]
            assert [(name, kind) for name, _, kind in described if kind.startswith("numeric")] == decimals
            key = reader.execute(
                """select attname, obj_description(indrelid) from pg_index
                join pg_attribute on attrelid = indrelid and attnum = any(indkey)
                where indrelid = %s::regclass and indisprimary""",
                [f"settle.{mart}"],
            ).fetchall()
            assert key == [(columns[0][0], comment)] and comment


def by_key(rows: list[tuple]) -> list[tuple]:
    """In the order of the key. An instant of a mart says no zone and is UTC; PostgreSQL's says which."""

    def utc(value: object) -> object:
        return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value

    return sorted((tuple(map(utc, row)) for row in rows), key=lambda row: row[0])


def test_the_extremes_of_every_type_arrive_as_they_are(home, server, reader):
    change(
        home,
        """create table settle.dim_extremes as
        select * from (values
            ('a', '', 'a "quoted", b', 99999999999999999999999999.999999999999::decimal(38, 12),
                '2026-10-25 00:30:00.123456'::timestamp, date '2026-12-31', true, 9223372036854775807, -2147483648),
            ('b', null, E'two\\nlines\\r\\nthree\\t\\\\N', -0.000000000001::decimal(38, 12),
                '2026-03-29 01:30:00'::timestamp, null, false, null, null),
            (' c ', '\\N', 'Ünïcödé 🙂 ''', null, null, date '0001-01-01', null, 0, 0),
            ('d', 'NULL', E'a\\n\\\\.\\nb', 0, null, null, null, 0, 0)
        ) as extremes(
            extreme_id, empty_name, odd_name, wide_amount, met_at, met_date, is_odd, far_count, low_count
        )""",
    )
    publish_home(home)
    push(home / "published", server)
    there = by_key(reader.execute("select * from settle.dim_extremes").fetchall())
    with duckdb.connect(str(home / "published" / "settlement.duckdb"), read_only=True) as source:
        assert there == by_key(source.execute("select * from settle.dim_extremes").fetchall())
    assert there[1][3] == Decimal("99999999999999999999999999.999999999999") and there[1][1] == ""
    assert there[2][3] == Decimal("-0.000000000001") and there[2][1] is None


def test_every_type_of_a_mart_has_a_word_in_postgresql(dbt_project):
    marts = {name: model for name, model in dbt_project.nodes("model").items() if model["schema"] == "settle"}
    types = {column["data_type"] for mart in marts.values() for column in mart["columns"].values()}
    assert {"varchar", "timestamp"} < types, "are these the marts?"
    check(
        (kind for kind in types if not kind.startswith("decimal(") and kind.upper() not in pushing.TYPES),
        "A mart with such a column keeps all of them from PostgreSQL. Add the type to TYPES in orchestration/push.py:",
    )


def test_a_type_that_postgresql_has_no_word_for_is_refused(home, server, reader):
    change(home, "create table settle.dim_odd as select 'a' as odd_id, [1, 2] as numbers")
    publish_home(home)
    with pytest.raises(PushError, match=r"dim_odd.numbers is INTEGER\[\]"):
        push(home / "published", server)


# --- All at once ----------------------------------------------------------------------------------


def test_readers_see_the_old_marts_or_the_new_ones_and_wait_for_nobody(home, server, reader):
    push(home / "published", server)
    with psycopg.connect(server) as early, psycopg.connect(server) as reading:
        early.execute("set transaction isolation level repeatable read")
        assert markers(early) == {1}
        assert markers(reading) == {1}
        republish(home, 2)
        assert push(home / "published", server).rows == {"dim_carriers": 500, "fct_disputes": 2000}
        # Both began before the push; who asked for a repeatable answer gets it, the other one what is there now.
        assert markers(early) == {1}
        assert markers(reading) == {2}
    assert markers(reader) == {2}


def test_a_reader_meets_no_state_in_between(home, server, reader, monkeypatch):
    push(home / "published", server)
    republish(home, 2)
    met = []
    copy = pushing.Target._copy

    def watched(target: pushing.Target, source: duckdb.DuckDBPyConnection, mart: pushing.Table) -> None:
        met.append(markers(reader))
        copy(target, source, mart)
        met.append(markers(reader))

    monkeypatch.setattr(pushing.Target, "_copy", watched)
    push(home / "published", server)
    assert met == [{1}] * 4 and markers(reader) == {2}


def test_a_push_that_fails_midway_leaves_what_was_there(home, server, reader, monkeypatch):
    push(home / "published", server)
    noted = reader.execute("select * from settle.publication").fetchall()
    republish(home, 2)
    copy = pushing.Target._copy

    def lossy(target: pushing.Target, source: duckdb.DuckDBPyConnection, mart: pushing.Table) -> None:
        copy(target, source, mart)
        if mart.name == "fct_disputes":
            target.connection.execute("update settle.fct_disputes set amount = amount + 0.01 where marker = 2")

    monkeypatch.setattr(pushing.Target, "_copy", lossy)
    with pytest.raises(PushError, match="fct_disputes did not arrive as it was published"):
        push(home / "published", server)
    assert markers(reader) == {1}
    assert reader.execute("select * from settle.publication").fetchall() == noted
    monkeypatch.undo()
    push(home / "published", server)
    assert markers(reader) == {2}


def test_a_key_that_is_there_twice_is_refused(home, server, reader):
    push(home / "published", server)
    change(home, "insert into settle.dim_carriers from settle.dim_carriers limit 1")
    publish_home(home)
    with pytest.raises(PushError, match=r"duplicate key.*carrier_id"):
        push(home / "published", server)
    assert reader.execute("select count(*) from settle.dim_carriers").fetchone() == (500,)


# --- Again and again ------------------------------------------------------------------------------


def test_what_is_there_already_is_not_pushed_again(home, server, reader):
    first = push(home / "published", server)
    assert first.rows.keys() == {"dim_carriers", "fct_disputes", "fct_partner_charges", "fct_settlement_ledger"}
    before = reader.execute("select xmin, ctid, * from settle.fct_disputes").fetchall()
    noted = reader.execute("select * from settle.publication").fetchall()
    assert push(home / "published", server).rows == {}
    assert reader.execute("select xmin, ctid, * from settle.fct_disputes").fetchall() == before
    assert reader.execute("select * from settle.publication").fetchall() == noted


def test_only_what_changed_is_pushed_and_the_publication_is_named(home, server, reader):
    push(home / "published", server)
    change(home, "update settle.fct_disputes set amount = amount + 1")
    published = publish_home(home)
    assert push(home / "published", server).rows == {"fct_disputes": 2000}
    (at, seal) = reader.execute("select published_at, ledger_seal from settle.publication").fetchone()
    assert at == datetime.fromisoformat(published.published_at) and len(seal) == 64


def test_what_somebody_changed_at_the_server_is_put_right(home, server, reader):
    push(home / "published", server)
    reader.execute("update settle.fct_disputes set amount = amount + 0.01 where dispute_id = 'D-1-7'")
    reader.execute("drop table settle.dim_carriers")
    assert push(home / "published", server).rows == {"dim_carriers": 500, "fct_disputes": 2000}


def test_views_and_grants_stay_where_the_columns_stay(home, server, reader):
    push(home / "published", server)
    reader.execute("drop role if exists bi")
    reader.execute("create role bi")
    reader.execute("grant select on settle.fct_disputes to bi")
    reader.execute("create view settle.claims as select sum(amount) as claimed from settle.fct_disputes")
    republish(home, 2)
    push(home / "published", server)
    assert reader.execute("select has_table_privilege('bi', 'settle.fct_disputes', 'select')").fetchone() == (True,)
    assert reader.execute("select claimed from settle.claims").fetchone()[0] > 0
    change(home, "alter table settle.fct_disputes add column reason varchar")
    publish_home(home)
    with pytest.raises(PushError, match=r"something is built on its table.*view settle\.claims"):
        push(home / "published", server)
    assert markers(reader) == {2}
    reader.execute("drop view settle.claims")
    assert push(home / "published", server).rows == {"fct_disputes": 2000}
    assert reader.execute("select count(*) from settle.fct_disputes where reason is null").fetchone() == (2000,)
    reader.execute("drop owned by bi")
    reader.execute("drop role bi")


def test_a_table_that_is_not_published_any_more_goes(home, server, reader):
    push(home / "published", server)
    change(home, "drop table settle.dim_carriers")
    publish_home(home)
    pushed = push(home / "published", server)
    assert pushed.dropped == ["dim_carriers"] and pushed.rows == {}
    assert reader.execute("select to_regclass('settle.dim_carriers')").fetchone() == (None,)


# --- What is refused ------------------------------------------------------------------------------


def test_a_table_of_somebody_else_is_never_touched(home, server, reader):
    reader.execute("create schema settle")
    reader.execute("create table settle.fct_disputes(mine text)")
    with pytest.raises(PushError, match="holds fct_disputes, and no push made that"):
        push(home / "published", server)
    assert reader.execute(
        "select table_name from information_schema.tables where table_schema = 'settle'"
    ).fetchall() == [("fct_disputes",)]
    assert push(home / "published", server, "Other schema").rows["dim_carriers"] == 500
    assert reader.execute('select count(*) from "Other schema".dim_carriers').fetchone() == (500,)
    reader.execute('drop schema "Other schema" cascade')


def test_a_table_that_must_be_made_anew_does_not_make_all_readers_queue(home, server, reader, monkeypatch):
    push(home / "published", server)
    change(home, "alter table settle.fct_disputes add column reason varchar")
    publish_home(home)
    monkeypatch.setattr(pushing, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(server) as reading:
        markers(reading)
        with pytest.raises(PushError, match="somebody has held a table"):
            push(home / "published", server)
    assert markers(reader) == {1}


def test_two_pushes_at_once_are_one_too_many(home, server, reader):
    with psycopg.connect(server) as other:
        other.execute("select pg_advisory_xact_lock(hashtext('tollgate push settle'))")
        with pytest.raises(PushError, match="another push"):
            push(home / "published", server)


def test_the_command_says_what_it_did_and_what_is_missing(home, server, reader, tmp_path):
    first = tollgate(home, "push", "--to", server)
    assert first.returncode == 0, first.stderr
    assert "fct_disputes: 2,000 rows" in first.stdout and first.stdout.endswith("is in the schema settle\n")
    again = tollgate(home, "push", "--to", server)
    assert again.returncode == 0 and again.stdout.endswith("is in the schema settle already\n")
    told = json.loads(tollgate(home, "push", "--to", server, "--json").stdout)
    assert told["rows"] == {} and told["schema"] == "settle"
    nothing = tollgate(tmp_path / "empty", "push", "--to", server)
    assert nothing.returncode == 1 and "holds no publication yet" in nothing.stderr
    nowhere = tollgate(home, "push", "--to", "postgresql://tollgate@/postgres?host=/nowhere")
    assert nowhere.returncode == 1 and nowhere.stderr.startswith("tollgate: PostgreSQL says")
    (tmp_path / "without" / "psycopg").mkdir(parents=True)
    (tmp_path / "without" / "psycopg" / "__init__.py").write_text("raise ImportError('no module of that name')")
    without = tollgate(home, "push", "--to", server, PYTHONPATH=str(tmp_path / "without"))
    assert without.returncode == 2 and "uv sync --locked --extra postgresql" in without.stderr
