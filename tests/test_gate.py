"""The gate: what fails stops the publication, the rest does not, and the money that it names is exact."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import dagster as dg
import duckdb
import pytest

from orchestration import builds, gate
from orchestration.resources import Warehouse

DISPUTES = """
    create table settle.fct_disputes as
    select
        timestamp '2026-10-01' + to_hours(number) as at,  -- a word that DuckDB trips over unless it is quoted
        'D-' || lpad(cast(number as varchar), 3, '0') as dispute_id,
        case when number % 40 = 7 then null else 'nordlink' end as carrier_id,
        case when number % 2 = 0 then 'EUR' when number % 3 = 0 then 'KWD' else 'USD' end as currency,
        cast(
            case when number = 119 then 0.1 when number = 117 then -0.2 else 10.01 end as decimal(18, 3)
        ) as disputed_amount
    from range(120) as numbers(number)
"""

SUITE = """
    import great_expectations as gx
    import great_expectations.expectations as gxe

    KEY_COLUMNS = ["dispute_id"]
    MONEY_COLUMN = "disputed_amount"
    CURRENCY_COLUMN = "currency"

    SUITE = gx.ExpectationSuite(name="{mart}", expectations=[{expectations}])
"""


def expect(kind: str, says: str, severity: str = "critical", **kwargs: object) -> str:
    """The line of a suite file for one expectation."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
    return f"gxe.{kind}({arguments}, description={says!r}, severity={severity!r})"


def rows_where(condition: str, says: str, severity: str = "critical") -> str:
    query = f"select * from {{batch}} where {condition}"
    return expect("UnexpectedRowsExpectation", says, severity, unexpected_rows_query=query)


HOLDS = rows_where("disputed_amount > 1000000", "no dispute claims more than a million")
FAILS = rows_where("disputed_amount <= 0", "every dispute has a positive amount")
PARTIAL = (
    "gxe.ExpectColumnValuesToNotBeNull(column='at', description='in euro', "
    "row_condition=gx.expectations.row_conditions.Column('currency') == 'EUR')"
)
WARNS = rows_where("disputed_amount < 1", "no dispute is about a trifle", "warning")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a warehouse of one mart, `settle.fct_disputes`, and an empty folder of suites."""
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "suites").mkdir()
    change(tmp_path, "create schema settle", DISPUTES)
    with duckdb.connect(str(tmp_path / "warehouse" / "tollgate.duckdb")) as connection:
        builds.end(connection)
    return tmp_path


def change(home: Path, *statements: str) -> None:
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


def write_suite(home: Path, *expectations: str, mart: str = "fct_disputes", **constants: object) -> None:
    text = dedent(SUITE).format(mart=mart, expectations=", ".join(expectations))
    for name, value in constants.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
    (home / "suites" / f"{mart}.py").write_text(text)


def run_gate(home: Path) -> gate.GateResult:
    return gate.run_gate(home / "warehouse" / "tollgate.duckdb", home / "suites")


def outcomes(result: gate.GateResult) -> dict[str, gate.Outcome]:
    return {outcome.says: outcome for mart in result.marts for outcome in mart.outcomes}


# --- What fails, and what it touches --------------------------------------------------------------


def test_the_money_of_failing_rows_is_exact_for_every_kind_of_expectation(home: Path) -> None:
    change(home, "insert into settle.fct_disputes select * from settle.fct_disputes where dispute_id = 'D-000'")
    write_suite(
        home,
        HOLDS,
        expect("ExpectColumnValuesToNotBeNull", "every dispute names its carrier", column="carrier_id"),
        expect("ExpectColumnValuesToBeBetween", "no amount is negative", column="disputed_amount", min_value=0),
        expect("ExpectColumnValuesToBeInSet", "only euro", column="currency", value_set=["EUR", "KWD"]),
        expect("ExpectColumnValuesToBeUnique", "a dispute is there once", column="dispute_id"),
        expect("ExpectCompoundColumnsToBeUnique", "once per currency", column_list=["dispute_id", "currency"]),
        expect("ExpectTableRowCountToBeBetween", "there are a thousand disputes", min_value=1000),
        expect(
            "UnexpectedRowsExpectation",
            "no currency holds more than 600",
            unexpected_rows_query="select currency, sum(disputed_amount) as total from {batch} "
            "group by currency having sum(disputed_amount) > 600",
        ),
        rows_where("disputed_amount < 1", "nothing under 1"),
    )
    result = run_gate(home)
    found = {says: (outcome.failing_rows, outcome.money_at_risk) for says, outcome in outcomes(result).items()}
    euro, kwd, dollar = Decimal("610.610"), Decimal("190.390"), Decimal("390.490")
    assert found == {
        "no dispute claims more than a million": (None, {}),
        "every dispute names its carrier": (3, {"KWD": Decimal("10.010"), "USD": Decimal("20.020")}),
        "no amount is negative": (1, {"KWD": Decimal("0.200")}),
        "only euro": (40, {"USD": dollar}),
        "a dispute is there once": (2, {"EUR": Decimal("20.020")}),
        "once per currency": (2, {"EUR": Decimal("20.020")}),
        "there are a thousand disputes": (None, {"EUR": euro, "KWD": kwd, "USD": dollar}),
        "no currency holds more than 600": (61, {"EUR": euro}),
        "nothing under 1": (2, {"KWD": Decimal("0.200"), "USD": Decimal("0.100")}),
    }
    # The table as a whole failed, so each row is at risk, and each only once.
    assert result.marts[0].money_at_risk == {"EUR": euro, "KWD": kwd, "USD": dollar}


def test_a_mart_that_fails_everywhere_is_counted_to_its_last_row(home: Path) -> None:
    change(
        home,
        """insert into settle.fct_disputes
        select null, 'N-' || number, null, 'EUR', -0.01 from range(25000) as numbers(number)""",
    )
    write_suite(
        home,
        FAILS,
        expect("ExpectColumnValuesToNotBeNull", "every dispute names its carrier", column="carrier_id"),
    )
    found = outcomes(run_gate(home))
    assert found["every dispute has a positive amount"].failing_rows == 25001
    assert found["every dispute has a positive amount"].money_at_risk["EUR"] == Decimal("250.000")
    assert found["every dispute names its carrier"].failing_rows == 25003


def test_a_row_that_fails_twice_is_at_risk_once(home: Path) -> None:
    write_suite(home, FAILS, rows_where("disputed_amount < 1", "nothing under 1"))
    assert run_gate(home).marts[0].money_at_risk == {"KWD": Decimal("0.200"), "USD": Decimal("0.100")}


def test_a_failure_is_told_in_one_line_with_rows_and_money(home: Path) -> None:
    change(home, "update settle.fct_disputes set disputed_amount = 12345.6 where dispute_id = 'D-000'")
    write_suite(
        home,
        rows_where("disputed_amount > 100 or disputed_amount < 0", "amounts are usual"),
        expect("ExpectTableRowCountToBeBetween", "there is a lot", "warning", min_value=1000),
    )
    assert run_gate(home).messages == [
        'settle.fct_disputes: "amounts are usual" failed on 2 of 120 rows, money at risk 12,345.60 EUR, 0.20 KWD',
        'settle.fct_disputes: "there is a lot" failed (observed 120),'
        " money at risk 12,936.19 EUR, 190.39 KWD, 390.49 USD (warning only)",
    ]


def test_a_failure_tells_the_reasons_that_its_suite_asks_for_and_the_next_step(home: Path) -> None:
    meta = {
        "reasons": """
            select case when disputed_amount < 1 then 'trifle' else 'claim' end, count(*), currency,
                sum(disputed_amount)
            from {batch} where currency = 'KWD' or disputed_amount < 1 group by all""",
        "next_step": "ask for the invoice",
    }
    whole = expect("ExpectTableRowCountToBeBetween", "there is a lot", min_value=1000, meta=meta)
    write_suite(home, whole, expect("ExpectTableRowCountToBeBetween", "there is something", min_value=1, meta=meta))
    (message,) = run_gate(home).messages
    assert message.endswith(
        ": 19 events claim (190.19 KWD at risk), 2 events trifle (-0.20 KWD, 0.10 USD at risk); ask for the invoice"
    )
    page = gate.write_reports(run_gate(home), home / "reports").read_text()
    assert "19 events claim" in page and "Next: ask for the invoice" in page


def test_failing_rows_are_shown_by_their_keys_and_at_most_ten(home: Path) -> None:
    write_suite(
        home,
        expect("ExpectColumnValuesToNotBeNull", "every dispute names its carrier", column="carrier_id"),
        rows_where("currency = 'EUR'", "no euro"),
    )
    found = outcomes(run_gate(home))
    assert found["every dispute names its carrier"].samples[0] == {
        "dispute_id": "D-007",
        "disputed_amount": "10.010",
        "currency": "USD",
        "carrier_id": None,
    }
    assert len(found["no euro"].samples) == 10


# --- What stops a publication ---------------------------------------------------------------------


def test_only_a_critical_failure_stops_the_publication(home: Path) -> None:
    write_suite(home, HOLDS, WARNS)
    warned = run_gate(home)
    assert warned.passed and not outcomes(warned)["no dispute is about a trifle"].success
    write_suite(home, HOLDS, WARNS, FAILS)
    assert not run_gate(home).passed


def test_an_expectation_that_cannot_be_evaluated_stops_it_whatever_its_severity(home: Path) -> None:
    write_suite(
        home,
        expect("ExpectColumnValuesToNotBeNull", "there is a colour", "warning", column="colour"),
        rows_where("no_such_column > 0", "nothing is odd", "warning"),
    )
    result = run_gate(home)
    assert not result.passed
    assert len(result.messages) == 2 and all("could not be evaluated" in message for message in result.messages)


def test_a_mart_without_a_suite_and_a_suite_without_a_mart_stop_it(home: Path) -> None:
    change(
        home,
        "create table settle.fct_accruals(amount decimal(18, 2))",
        "create table settle.dim_carriers(id varchar)",
    )
    write_suite(home, HOLDS)
    write_suite(home, HOLDS, mart="fct_margins")
    result = run_gate(home)
    assert not result.passed
    assert result.messages == [
        "settle.fct_accruals has no suite; add orchestration/expectations/fct_accruals.py",
        "settle.fct_margins does not exist, but orchestration/expectations/fct_margins.py does",
    ]


def test_a_suite_that_names_a_column_which_is_gone_stops_it(home: Path) -> None:
    write_suite(home, HOLDS, MONEY_COLUMN="amount")
    result = run_gate(home)
    assert result.messages == [
        "orchestration/expectations/fct_disputes.py names amount, which settle.fct_disputes lacks"
    ]
    assert not result.passed


@pytest.mark.parametrize(
    ("expectations", "constants", "reason"),
    [
        ([HOLDS, HOLDS], {}, "a `description` of its own"),
        (["gxe.ExpectTableRowCountToBeBetween(min_value=1)"], {}, "a `description` of its own"),
        ([HOLDS], {"KEY_COLUMNS": None}, "KEY_COLUMNS"),
        ([PARTIAL], {}, "row_condition"),
    ],
)
def test_a_file_that_is_no_proper_suite_is_refused_by_name(
    home: Path, expectations: list[str], constants: dict, reason: str
) -> None:
    write_suite(home, *expectations)
    file = home / "suites" / "fct_disputes.py"
    for name in constants:
        file.write_text(file.read_text().replace(name, f"OTHER_{name}"))
    with pytest.raises(gate.GateError, match=f"{re.escape(str(file))}.*{reason}"):
        run_gate(home)


def test_the_gate_without_a_warehouse_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(gate.GateError, match="run `tollgate run`"):
        gate.run_gate(tmp_path / "none.duckdb", tmp_path)


# --- What it leaves behind ------------------------------------------------------------------------


def test_the_gate_keeps_no_lock_on_the_warehouse(home: Path) -> None:
    write_suite(home, FAILS)
    run_gate(home)
    change(home, "create table settle.fct_written_here as select 1 as one")
    elsewhere = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table from_elsewhere(one int)')"
    subprocess.run([sys.executable, "-c", elsewhere, str(home / "warehouse" / "tollgate.duckdb")], check=True)


def test_the_gate_changes_nothing_in_the_warehouse(home: Path) -> None:
    write_suite(home, FAILS)
    before = (home / "warehouse" / "tollgate.duckdb").read_bytes()
    run_gate(home)
    assert (home / "warehouse" / "tollgate.duckdb").read_bytes() == before


def test_great_expectations_calls_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("socket.socket.connect", lambda self, address: calls.append(address))
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *args, **kwargs: calls.append(host) or [])
    write_suite(home, FAILS)
    assert not run_gate(home).passed
    assert calls == []


def test_the_result_is_kept_as_json_with_exact_amounts(home: Path) -> None:
    write_suite(home, FAILS)
    gate.write_reports(run_gate(home), home / "reports")
    kept = json.loads((home / "reports" / "gate.json").read_text())
    assert kept["passed"] is False
    assert kept["marts"][0]["outcomes"][0]["money_at_risk"] == {"KWD": "0.200"}


def test_the_page_calls_nobody_and_shows_data_as_text(home: Path) -> None:
    change(
        home,
        "update settle.fct_disputes set carrier_id = '<script>alert(1)</script>' where dispute_id = 'D-117'",
    )
    write_suite(
        home,
        expect("ExpectColumnValuesToBeInSet", "we know the carrier", column="carrier_id", value_set=["nordlink"]),
    )
    page = gate.write_reports(run_gate(home), home / "reports").read_text()
    assert "We know the carrier" in page and "0.20 KWD" in page
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page
    assert not re.search(r"(?:src|href)=[\"'](?!#)|url\(|@import|https?://", page)


# --- The verdict covers what is published ---------------------------------------------------------


def content_of(home: Path, table: str = "fct_disputes") -> str:
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        return gate.fingerprints(connection)[table]


def test_a_fingerprint_is_blind_to_the_order_of_rows_and_to_nothing_else(home: Path) -> None:
    first = content_of(home)
    change(
        home,
        "create or replace table settle.fct_disputes as from settle.fct_disputes order by dispute_id desc",
    )
    assert content_of(home) == first
    seen = {first}
    for statement in [
        "update settle.fct_disputes set carrier_id = 'NULL' where dispute_id = 'D-007'",
        "insert into settle.fct_disputes select * from settle.fct_disputes where dispute_id = 'D-001'",
        "alter table settle.fct_disputes alter carrier_id type char(20) using carrier_id",
        "alter table settle.fct_disputes alter disputed_amount type decimal(20, 3)",
        "alter table settle.fct_disputes rename carrier_id to carrier",
        "comment on column settle.fct_disputes.currency is 'ISO 4217'",
        "comment on table settle.fct_disputes is 'One row per dispute.'",
        "delete from settle.fct_disputes",
    ]:
        change(home, statement)
        if "char(20)" not in statement:  # the same type under another name
            assert content_of(home) not in seen, statement
        seen.add(content_of(home))


def confirm(home: Path, *tables: str) -> None:
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        contents = gate.fingerprints(connection)
        gate.confirm(connection, {table: contents[table] for table in tables}, home / "reports")


def test_what_changed_after_the_gate_is_not_confirmed(home: Path) -> None:
    write_suite(home, HOLDS)
    with pytest.raises(gate.GateError, match="has not been run"):
        confirm(home)
    gate.write_reports(run_gate(home), home / "reports")
    confirm(home, "fct_disputes")
    change(home, "update settle.fct_disputes set disputed_amount = 99 where dispute_id = 'D-001'")
    with pytest.raises(gate.GateError, match=r"changed after the gate passed: settle\.fct_disputes"):
        confirm(home, "fct_disputes")
    write_suite(home, FAILS)
    gate.write_reports(run_gate(home), home / "reports")
    with pytest.raises(gate.GateError, match=r"did not pass.*positive amount"):
        confirm(home, "fct_disputes")


def test_marts_of_no_whole_build_are_not_confirmed_although_they_pass(home: Path) -> None:
    write_suite(home, HOLDS)
    gate.write_reports(run_gate(home), home / "reports")
    confirm(home, "fct_disputes")
    with duckdb.connect(str(home / "warehouse" / "tollgate.duckdb")) as connection:
        builds.begin(connection)
    with pytest.raises(gate.GateError, match=r"not those of one whole build.*Run `tollgate run`"):
        confirm(home, "fct_disputes")


# --- In Dagster's graph ---------------------------------------------------------------------------


def run_graph(home: Path) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """Run mart, gate and a publication in one process; the result and the assets that were materialised."""

    @dg.asset(key=["settle", "fct_disputes"])
    def fct_disputes() -> None: ...

    @dg.asset(key=["publish", "settlement"], deps=[gate.VERDICT_KEY])
    def settlement() -> None: ...

    checks, verdict = gate.build_gate(home / "suites")
    definitions = dg.Definitions(
        assets=[fct_disputes, verdict, settlement],
        asset_checks=[checks],
        resources={"warehouse": Warehouse(root=str(home))},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        run = job.execute_in_process(instance=instance, raise_on_error=False)
    return run, [event.asset_key.to_user_string() for event in run.get_asset_materialization_events()]


def test_a_failing_mart_keeps_the_verdict_and_the_publication_from_running(home: Path) -> None:
    write_suite(home, HOLDS, FAILS)
    run, materialised = run_graph(home)
    assert not run.success
    assert materialised == ["settle/fct_disputes"]
    assert "gate stopped" in (home / "reports" / "gate.html").read_text()


def test_a_warning_is_reported_and_does_not_stop_anything(home: Path) -> None:
    write_suite(home, HOLDS, WARNS)
    run, materialised = run_graph(home)
    assert run.success
    assert materialised == ["settle/fct_disputes", "gate/verdict", "publish/settlement"]
    (check,) = run.get_asset_check_evaluations()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["money at risk"].value == "0.20 KWD, 0.10 USD"


def test_a_mart_without_a_suite_fails_the_run(home: Path) -> None:
    change(home, "create table settle.fct_accruals(amount decimal(18, 2))")
    write_suite(home, HOLDS)
    run, materialised = run_graph(home)
    assert not run.success and materialised == ["settle/fct_disputes"]
