"""Publishing: readers never meet half a version, books balance and survive, nothing ungated gets out."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import dagster as dg
import duckdb
import pytest
from conftest import check

from orchestration import builds, gate, ledger
from orchestration import publish as publishing
from orchestration.publish import Publication, publish
from orchestration.resources import Warehouse

POSTINGS = """
    create or replace table settle.fct_settlement_ledger(
        posting_id varchar, entry_id varchar, corrects_entry_id varchar, party_id varchar, entry_type varchar,
        account varchar, currency varchar, description varchar, batch_number integer,
        debit_amount decimal(18, 6), credit_amount decimal(18, 6),
        origin_period_date date, posting_period_date date, known_at timestamp
    )
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return build_home(tmp_path)


def build_home(root: Path) -> Path:
    """A home whose warehouse holds a ledger of one balanced entry, two more marts and no publication yet."""
    (root / "warehouse").mkdir(parents=True)
    build_marts(root)
    return root


def build_marts(root: Path) -> None:
    columns = ", ".join(
        f"{name} {kind.removesuffix(' primary key').removesuffix(' not null')}"
        for name, kind in ledger.CHARGES.columns.items()
    )
    change(root, "create schema settle", POSTINGS, f"create table settle.fct_partner_charges({columns})")
    write_marts(root, marker=1)
    propose(root, "E1", ("payable", "EUR", "0", "10.01"), ("cost", "EUR", "10.01", "0"))
    with open_warehouse(root) as connection:
        builds.end(connection)


def open_warehouse(home: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(home / "warehouse" / "tollgate.duckdb"))


def change(home: Path, *statements: str) -> None:
    with open_warehouse(home) as connection:
        for statement in statements:
            connection.execute(statement)


def write_marts(home: Path, marker: int, rows: int = 2000) -> None:
    """Two marts whose rows all carry `marker`, also in their ids, so that a mixture of publications shows."""
    change(
        home,
        f"""create or replace table settle.fct_disputes as
        select 'D-{marker}-' || number as dispute_id, {marker} as marker,
            cast(number / 7 as decimal(18, 2)) as amount
        from range({rows}) as numbers(number) order by hash(number + {marker})""",
        f"""create or replace table settle.dim_carriers as
        select 'C-{marker}-' || number as carrier_id, {marker} as marker from range(500) as numbers(number)""",
        "comment on table settle.fct_disputes is 'One row per carrier''s dispute.'",
        "comment on column settle.fct_disputes.amount is 'What we claim.'",
    )


def propose(home: Path, entry: str, *postings: tuple[str, str, str, str]) -> None:
    """Add postings (account, currency, debit, credit) of one entry to the ledger mart, as the model would."""
    with open_warehouse(home) as connection:
        connection.executemany(
            """insert into settle.fct_settlement_ledger values (
                ?, ?, null, 'nordlink', 'carrier_cost', ?, ?, null, 1, ?, ?,
                '2026-10-01', '2026-10-01', '2026-11-02 08:00:00'
            )""",
            [
                [f"{entry}-{number}", entry, account, currency, Decimal(debit), Decimal(credit)]
                for number, (account, currency, debit, credit) in enumerate(postings)
            ],
        )


def publish_home(home: Path) -> Publication:
    with open_warehouse(home) as connection:
        return publish(connection, home / "published")


def booked(home: Path) -> list[str]:
    with open_warehouse(home) as connection:
        if not connection.execute("select 1 from duckdb_schemas() where schema_name = 'ledger'").fetchone():
            return []
        return [
            posting for (posting,) in connection.execute("select posting_id from ledger.postings order by 1").fetchall()
        ]


def published_markers(home: Path) -> set[int]:
    with duckdb.connect(str(home / "published" / "settlement.duckdb"), read_only=True) as connection:
        return {
            marker
            for (marker,) in connection.execute(
                "select marker from settle.fct_disputes union select marker from settle.dim_carriers"
            ).fetchall()
        }


# --- What readers see -----------------------------------------------------------------------------


READER = dedent("""
    import hashlib, json, os, sys, time
    import duckdb

    MARKER = "select distinct cast(split_part({}, '-', 2) as integer) from {}"
    published, stop = sys.argv[1:]
    markers, reads = set(), 0
    while not os.path.exists(stop):
        with duckdb.connect(f"{published}/settlement.duckdb", read_only=True) as connection:
            seen = connection.execute(MARKER.format("dispute_id", "settle.fct_disputes")).fetchall()
            time.sleep(0.02)
            seen += connection.execute(MARKER.format("carrier_id", "settle.dim_carriers")).fetchall()
        version = os.path.realpath(f"{published}/current")
        for facts in json.load(open(f"{version}/manifest.json"))["tables"].values():
            content = open(f"{version}/{facts['parquet']}", "rb").read()
            assert hashlib.sha256(content).hexdigest() == facts["sha256"], "a Parquet file of another version"
        assert len(set(seen)) == 1, f"a mixture of publications: {seen}"
        markers.add(seen[0][0])
        reads += 1
    print(json.dumps({"markers": sorted(markers), "reads": reads}))
""")


def test_a_reader_in_another_process_sees_whole_versions_while_others_are_published(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowed(step: Callable) -> Callable:
        def run(*args: object, **kwargs: object) -> object:
            time.sleep(0.02)
            return step(*args, **kwargs)

        return run

    publish_home(home)
    # A pause before each step on the file system: a state in between would last long enough to be met.
    for step in ("chmod", "mkdir", "rename", "replace", "rmdir", "symlink", "unlink", "utime"):
        monkeypatch.setattr(os, step, slowed(getattr(os, step)))
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(home / "published"), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        for marker in (2, 3, 4):
            time.sleep(0.2)
            write_marts(home, marker)
            assert publish_home(home).changed_tables == ["dim_carriers", "fct_disputes"]
        time.sleep(0.4)
    finally:
        stop.touch()
        out, errors = reader.communicate(timeout=20)
    assert reader.returncode == 0, errors.decode()
    seen = json.loads(out)
    assert seen["markers"] == [1, 2, 3, 4] and seen["reads"] > 10, seen


def test_a_reader_that_is_still_open_keeps_the_version_before(home: Path) -> None:
    publish_home(home)
    file = str(home / "published" / "settlement.duckdb")
    with duckdb.connect(file, read_only=True) as still_open:
        write_marts(home, marker=2)
        publish_home(home)
        assert still_open.execute("select marker from settle.dim_carriers").fetchone() == (1,)
        with duckdb.connect(file, read_only=True) as newly_opened:
            assert newly_opened.execute("select marker from settle.dim_carriers").fetchone() == (2,)


def test_the_published_file_holds_the_marts_with_their_comments_and_nothing_else(home: Path) -> None:
    change(home, "create table settle.fct_disputes__dbt_tmp as select 1 as one", "create schema rate")
    publication = publish_home(home)
    assert publication.rows == {
        "dim_carriers": 500,
        "fct_disputes": 2000,
        "fct_partner_charges": 0,
        "fct_settlement_ledger": 2,
    }
    with duckdb.connect(str(publication.file), read_only=True) as connection:
        assert connection.execute(
            "select table_name, comment from duckdb_tables() where comment is not null"
        ).fetchall() == [("fct_disputes", "One row per carrier's dispute.")]
        assert connection.execute(
            """select column_name, data_type, comment from duckdb_columns()
            where comment is not null and not internal"""
        ).fetchall() == [("amount", "DECIMAL(18,2)", "What we claim.")]
        twin = home / "published" / "parquet" / "fct_disputes.parquet"
        for one, other in [("settle.fct_disputes", f"'{twin}'"), (f"'{twin}'", "settle.fct_disputes")]:
            assert connection.execute(f"select count(*) from (from {one} except from {other})").fetchone() == (0,)
    # Written for the DuckDB inside BI tools: storage version 64 is what 1.x reads.
    header = (home / "published" / "settlement.duckdb").read_bytes()[:20]
    assert header[8:12] == b"DUCK" and int.from_bytes(header[12:20], "little") < 68


def test_every_published_table_and_column_says_what_it_is(demo):
    with duckdb.connect(str(demo[0] / "published" / "settlement.duckdb"), read_only=True) as connection:
        tables = connection.execute("select table_name, comment from duckdb_tables()").fetchall()
        columns = connection.execute(
            "select table_name || '.' || column_name, comment from duckdb_columns() where schema_name = 'settle'"
        ).fetchall()
    assert len(tables) > 20
    check(
        (name for name, comment in tables + columns if not comment),
        "A reader without our pages has nothing but the comments, which dbt writes from models/settle/_settle.yml:",
    )


def test_the_same_content_gives_the_same_parquet_files(home: Path) -> None:
    def digests() -> dict[str, str]:
        manifest = json.loads((home / "published" / "manifest.json").read_text())
        return {table: facts["sha256"] for table, facts in manifest["tables"].items()}

    publish_home(home)
    first = digests()
    write_marts(home, marker=2)
    publish_home(home)
    assert digests()["fct_disputes"] != first["fct_disputes"]
    write_marts(home, marker=1)
    publish_home(home)
    assert digests() == first


def test_publishing_the_same_content_again_replaces_nothing(home: Path) -> None:
    def state() -> list[tuple]:
        files = [
            home / "published" / name for name in ("settlement.duckdb", "manifest.json", "parquet/fct_disputes.parquet")
        ]
        return [(file.resolve(), file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes()) for file in files]

    first, before = publish_home(home), state()
    change(home, "create or replace table settle.fct_disputes as from settle.fct_disputes order by amount desc")
    change(
        home,
        "comment on table settle.fct_disputes is 'One row per carrier''s dispute.'",
        "comment on column settle.fct_disputes.amount is 'What we claim.'",
    )
    again = publish_home(home)
    assert again.changed_tables == [] and again.published_at == first.published_at
    assert state() == before


def test_a_published_file_that_is_gone_is_written_again(home: Path) -> None:
    publish_home(home)
    (home / "published" / "parquet" / "fct_disputes.parquet").unlink()
    (home / "published" / "settlement.duckdb").unlink()
    assert "fct_disputes" in publish_home(home).changed_tables
    assert published_markers(home) == {1}
    assert (home / "published" / "parquet" / "fct_disputes.parquet").exists()


def test_a_table_that_is_gone_from_the_warehouse_is_gone_from_the_publication(home: Path) -> None:
    publish_home(home)
    change(home, "drop table settle.dim_carriers")
    assert publish_home(home).changed_tables == ["dim_carriers"]
    assert sorted(file.stem for file in (home / "published" / "parquet").iterdir()) == [
        "fct_disputes",
        "fct_partner_charges",
        "fct_settlement_ledger",
    ]


def test_a_warehouse_without_marts_is_refused(home: Path) -> None:
    publish_home(home)
    change(home, "drop schema settle cascade")
    with pytest.raises(publishing.PublishError, match="build the models"):
        publish_home(home)
    assert published_markers(home) == {1}


# Dies of SIGKILL in the middle of a publication, once for each home and place. Forked, to import only once.
KILLED = dedent("""
    import os, signal, sys
    from pathlib import Path
    import duckdb
    from orchestration import publish

    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    for home, where in zip(map(Path, sys.argv[1::2]), sys.argv[2::2]):
        if (child := os.fork()) == 0:
            with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
                publish.book(connection, home / "published")
                setattr(publish.os if where == "replace" else publish, where, die)
                publish.publish(connection, home / "published")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, where
""")


def test_a_killed_publication_leaves_the_one_before_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    places = ["_comments", "_flush", "replace"]  # a table half written, all written, the switch half done
    homes = {where: build_home(tmp_path / where) for where in places}
    before = {}
    for where, home in homes.items():
        publish_home(home)
        before[where] = (home / "published" / "settlement.duckdb").resolve()
        write_marts(home, marker=2)
    arguments = [text for where, home in homes.items() for text in (str(home), where)]
    subprocess.run([sys.executable, "-c", KILLED, *arguments], check=True)
    for where, home in homes.items():
        published = home / "published"
        assert (published / "settlement.duckdb").resolve() == before[where], where
        assert published_markers(home) == {1}, where
        assert publish_home(home).changed_tables == ["dim_carriers", "fct_disputes"], where
        assert published_markers(home) == {2}, where
        # The current version, and the one before for those who still read it.
        assert len(list((published / ".versions").iterdir())) == 2, where
        assert not list(published.glob("*.new")) and not list(published.glob(".*.new")), where


# --- The books ------------------------------------------------------------------------------------


def test_booking_twice_books_once(home: Path) -> None:
    assert publish_home(home).booked_postings == 2
    assert publish_home(home).booked_postings == 0
    propose(home, "E2", ("payable", "USD", "0", "0.000001"), ("cost", "USD", "0.000001", "0"))
    assert publish_home(home).booked_postings == 2
    assert booked(home) == ["E1-0", "E1-1", "E2-0", "E2-1"]


@pytest.mark.parametrize(
    ("postings", "reason"),
    [
        (
            [("payable", "EUR", "0", "10.00"), ("cost", "EUR", "9.999999", "0")],
            r"E2 \(debits 9.999999, credits 10.000000 EUR\)",
        ),
        (
            [("payable", "EUR", "0", "10.00"), ("cost", "USD", "10.00", "0")],
            r"E2 \(debits 10.000000, credits 0.000000 USD\)",
        ),
        ([("payable", "EUR", "5", "5"), ("cost", "EUR", "5", "5")], "one positive side.*E2-0, E2-1"),
        ([("payable", "EUR", "0", "-5"), ("cost", "EUR", "-5", "0")], "one positive side.*E2-0, E2-1"),
        ([("payable", "EUR", "0", "0")], "one positive side.*E2-0"),
    ],
)
def test_an_entry_that_breaks_a_law_of_the_books_is_refused_and_nothing_is_published(
    home: Path, postings: list[tuple[str, str, str, str]], reason: str
) -> None:
    publish_home(home)
    propose(home, "E2", *postings)
    propose(home, "E3", ("payable", "EUR", "0", "1"), ("cost", "EUR", "1", "0"))
    write_marts(home, marker=2)
    with pytest.raises(ledger.LedgerError, match=reason):
        publish_home(home)
    assert booked(home) == ["E1-0", "E1-1"]
    assert published_markers(home) == {1}


def test_a_posting_proposed_twice_is_refused(home: Path) -> None:
    change(home, "insert into settle.fct_settlement_ledger from settle.fct_settlement_ledger")
    with pytest.raises(ledger.LedgerError, match=r"nothing was booked.*E1-0"):
        publish_home(home)
    assert booked(home) == []


@pytest.mark.parametrize(
    "rewriting",
    ["update settle.fct_settlement_ledger set account = 'other'", "delete from settle.fct_settlement_ledger"],
)
def test_a_model_that_rewrites_what_is_booked_is_refused(home: Path, rewriting: str) -> None:
    publish_home(home)
    change(home, rewriting)
    with pytest.raises(ledger.LedgerError, match=r"a booked posting never changes.*E1-0, E1-1"):
        publish_home(home)


def test_the_books_come_back_after_the_warehouse_was_deleted(home: Path) -> None:
    publish_home(home)
    with open_warehouse(home) as connection:
        before = connection.execute("from ledger.postings").fetchall()
    (home / "warehouse" / "tollgate.duckdb").unlink()
    with open_warehouse(home) as connection:
        assert ledger.prepare(connection, home / "published" / "ledger") == 2
        assert ledger.prepare(connection, home / "published" / "ledger") == 0
        assert connection.execute("from ledger.postings").fetchall() == before


def test_an_older_copy_of_the_warehouse_gets_the_bookings_that_it_lacks(home: Path) -> None:
    publish_home(home)
    file = home / "warehouse" / "tollgate.duckdb"
    older_copy = file.read_bytes()
    propose(home, "E2", ("payable", "EUR", "0", "3"), ("cost", "EUR", "3", "0"))
    publish_home(home)
    file.write_bytes(older_copy)
    with open_warehouse(home) as connection:
        assert ledger.prepare(connection, home / "published" / "ledger") == 2
    assert booked(home) == ["E1-0", "E1-1", "E2-0", "E2-1"]


def propose_charge(home: Path, batch: int, quantity: str, amount: str) -> None:
    change(
        home,
        f"""insert into settle.fct_partner_charges by name
        select 'acme:2026-10:calls:{batch}' as charge_posting_id, 'acme:2026-10:calls' as charge_line_id,
            'acme' as partner_id, 'acme' as partner_agreement_id, 'calls' as plan_id,
            date '2026-10-01' as posting_date, {batch} as batch_number, {quantity} as difference_quantity,
            {amount} as difference_amount, 'EUR' as charge_currency, date '2026-10-01' as period_start_date,
            timestamp '2026-11-02 08:00:00' as known_at""",
    )


def booked_charges(home: Path) -> list[tuple[Decimal, Decimal]]:
    with open_warehouse(home) as connection:
        return connection.execute(
            "select difference_quantity, difference_amount from ledger.charges order by batch_number"
        ).fetchall()


def test_what_a_run_booked_of_a_partners_charges_comes_back_and_never_changes(home: Path) -> None:
    propose_charge(home, 1, "9", "0")
    propose_charge(home, 2, "10", "3.333333333333")
    publish_home(home)
    expected = [(Decimal("9"), Decimal("0")), (Decimal("10"), Decimal("3.333333333333"))]
    assert booked_charges(home) == expected
    (home / "warehouse" / "tollgate.duckdb").unlink()
    with open_warehouse(home) as connection:
        assert ledger.prepare(connection, home / "published" / "ledger") == 4
    assert booked_charges(home) == expected
    build_marts(home)
    propose_charge(home, 1, "9", "1")
    with pytest.raises(ledger.LedgerError, match=r"a booked charge never changes.*acme:2026-10:calls:1"):
        publish_home(home)


def test_a_charge_that_says_nothing_is_refused_and_no_posting_is_booked_without_it(home: Path) -> None:
    propose_charge(home, 1, "0", "0")
    with pytest.raises(ledger.LedgerError, match="a booked charge says something"):
        publish_home(home)
    assert booked(home) == []


# --- In Dagster's graph ---------------------------------------------------------------------------


def run_graph(home: Path, selection: list[str] | None = None) -> tuple[bool, list[str]]:
    """Run the marts, the gate and the publication, or only some assets; success and what was materialised."""
    suites = home / "suites"
    suites.mkdir(exist_ok=True)
    marts = ["fct_disputes", "fct_partner_charges", "fct_settlement_ledger"]
    for mart in marts:
        (suites / f"{mart}.py").write_text(
            dedent(f"""
            import great_expectations as gx
            import great_expectations.expectations as gxe

            KEY_COLUMNS, MONEY_COLUMN, CURRENCY_COLUMN = [], None, None
            SUITE = gx.ExpectationSuite(name="{mart}", expectations=[
                gxe.ExpectTableRowCountToBeBetween(
                    max_value=2000, description="there are not too many", severity="critical"
                )
            ])""")
        )

    @dg.multi_asset(specs=[dg.AssetSpec(["settle", mart]) for mart in marts])
    def settle() -> Iterator[dg.MaterializeResult]:
        yield from (dg.MaterializeResult(asset_key=["settle", mart]) for mart in marts)

    checks, verdict = gate.build_gate(suites)
    definitions = dg.Definitions(
        assets=[settle, verdict, publishing.published_ledger, publishing.published_settlement],
        asset_checks=[checks],
        resources={"warehouse": Warehouse(root=str(home))},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        run = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            raise_on_error=False,
            asset_selection=selection and [dg.AssetKey(key.split("/")) for key in selection],
        )
    return run.success, [event.asset_key.to_user_string() for event in run.get_asset_materialization_events()]


def test_a_run_that_passes_the_gate_books_and_publishes(home: Path) -> None:
    success, materialised = run_graph(home)
    assert success and materialised[-3:] == ["gate/verdict", "publish/ledger", "publish/settlement"]
    assert booked(home) == ["E1-0", "E1-1"] and published_markers(home) == {1}


def test_a_run_that_fails_the_gate_books_and_publishes_nothing(home: Path) -> None:
    run_graph(home)
    before = (home / "published" / "settlement.duckdb").resolve()
    write_marts(home, marker=2, rows=2001)
    propose(home, "E2", ("payable", "EUR", "0", "3"), ("cost", "EUR", "3", "0"))
    success, materialised = run_graph(home)
    assert not success and "publish/ledger" not in materialised
    assert booked(home) == ["E1-0", "E1-1"] and (home / "published" / "settlement.duckdb").resolve() == before


def test_what_a_build_left_that_failed_or_was_stopped_is_neither_booked_nor_published(home: Path) -> None:
    run_graph(home)
    propose(home, "E2", ("payable", "EUR", "0", "3"), ("cost", "EUR", "3", "0"))
    with open_warehouse(home) as connection:
        builds.begin(connection)
    success, materialised = run_graph(home)
    assert not success and "gate/verdict" not in materialised
    # The gate itself has nothing against the mixture, which by hand is not published either.
    assert json.loads((home / "reports" / "gate.json").read_text())["passed"]
    for selection in (["publish/ledger"], ["publish/settlement"]):
        assert run_graph(home, selection) == (False, [])
    with open_warehouse(home) as connection, pytest.raises(gate.GateError, match="not those of one whole build"):
        publish(connection, home / "published", home / "reports")
    assert booked(home) == ["E1-0", "E1-1"]
    with open_warehouse(home) as connection:
        builds.end(connection)
    assert run_graph(home)[0] and booked(home) == ["E1-0", "E1-1", "E2-0", "E2-1"]


def test_publishing_by_hand_what_changed_after_the_gate_is_refused(home: Path) -> None:
    run_graph(home)
    write_marts(home, marker=2)
    propose(home, "E2", ("payable", "EUR", "0", "3"), ("cost", "EUR", "3", "0"))
    for selection in (["publish/ledger"], ["publish/settlement"]):
        success, materialised = run_graph(home, selection)
        assert not success and materialised == []
    assert booked(home) == ["E1-0", "E1-1"] and published_markers(home) == {1}
