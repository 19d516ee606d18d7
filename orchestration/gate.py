"""The gate between settle and publish: each mart meets its suite, and one that fails keeps all from being
published.

Belongs here: running the suites, what a failure touches in rows and money, the verdict, and its Dagster
checks. Does not belong here: what is expected of a mart (`expectations/<mart>.py`), the page
(`gate_report.py`), publishing.

The expectations run as SQL inside DuckDB. Amounts never pass through Great Expectations: the money at risk is
summed by DuckDB, exactly, over the rows that fail.
"""

import importlib.util
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from orchestration import builds
from orchestration.gate_report import count_text, money_text, write_page
from orchestration.resources import POOL, Warehouse

EXPECTATIONS_DIR = Path(__file__).parent / "expectations"
SCHEMA = "settle"
CHECK_NAME = "fit_to_publish"
VERDICT_KEY = dg.AssetKey(["gate", "verdict"])
SAMPLE_ROWS = 10
NO_CURRENCY = "(no currency)"
EVERY_ROW = "true"

Money = dict[str, Decimal]
"""An exact, unsigned amount per currency; empty where no money is concerned."""


class GateError(Exception):
    """The gate could not be run or was not passed; the message says what to do."""


# --- What the gate found --------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How one expectation fared on one mart."""

    says: str
    type: str
    columns: list[str]
    severity: str
    success: bool
    observed: str | None = None
    failing_rows: int | None = None
    money_at_risk: Money = field(default_factory=dict)
    samples: list[dict[str, str | None]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """What the failing rows give as their reason, each with its count and its money, the most frequent first."""
    next_step: str | None = None
    error: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether it stops the publication; what cannot be evaluated is not known to be right, so it does."""
        return not self.success and (self.severity == "critical" or self.error is not None)


@dataclass(frozen=True)
class MartResult:
    """One mart at the gate: its outcomes in the order of its suite, or what kept it from being examined."""

    mart: str
    rows: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    money_at_risk: Money = field(default_factory=dict)
    """Money of the rows that fail at least one expectation, each row counted once."""
    problem: str | None = None

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.success]

    @property
    def passed(self) -> bool:
        return self.problem is None and not any(outcome.blocks for outcome in self.outcomes)

    @property
    def messages(self) -> list[str]:
        """One line for each thing that did not hold, those that stop the publication first."""
        failures = sorted(self.failures, key=lambda outcome: not outcome.blocks)
        return [self.problem] if self.problem else [self._message(outcome) for outcome in failures]

    def _message(self, outcome: Outcome) -> str:
        line = f'{SCHEMA}.{self.mart}: "{outcome.says}" '
        if outcome.error:
            return f"{line}could not be evaluated: {outcome.error}"
        line += f"failed on {outcome.failing_rows:,} of {self.rows:,} rows" if outcome.failing_rows else "failed"
        if outcome.observed is not None and not outcome.failing_rows:
            line += f" (observed {outcome.observed})"
        if outcome.money_at_risk:
            line += f", money at risk {money_text(outcome.money_at_risk)}"
        if outcome.reasons:
            line += f": {', '.join(outcome.reasons)}"
        if outcome.next_step:
            line += f"; {outcome.next_step}"
        return line if outcome.blocks else f"{line} ({outcome.severity} only)"


@dataclass(frozen=True)
class GateResult:
    """All marts at the gate at one moment."""

    checked_at: datetime
    marts: list[MartResult]
    fingerprints: dict[str, str]
    """The content of every table of `settle` as it was examined; what is published must still be this."""

    @property
    def passed(self) -> bool:
        return all(mart.passed for mart in self.marts)

    @property
    def messages(self) -> list[str]:
        """One line for each thing that did not hold, for the command line."""
        return [message for mart in self.marts for message in mart.messages]

    def to_json(self) -> str:
        """Everything as JSON; amounts and times as text."""
        facts = {"passed": self.passed, "messages": self.messages, **asdict(self)}
        return json.dumps(facts, indent=2, default=str, ensure_ascii=False)


# --- Running it -----------------------------------------------------------------------------------


def run_gate(warehouse: Path, expectations_dir: Path = EXPECTATIONS_DIR) -> GateResult:
    """Examine every mart of the warehouse file with its suite, reading only.

    What is wrong with the marts, a missing mart or suite included, is in the result. Raises GateError where
    there is no warehouse or a file in `expectations_dir` is no proper suite.
    """
    if not warehouse.exists():
        raise GateError(f"{warehouse} does not exist; run `tollgate run` to build the marts first")
    # Held open to the end: between two questions of Great Expectations no other process may write.
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        contents, suites = fingerprints(connection), suite_names(expectations_dir)
        results = [*_examine(connection, warehouse, expectations_dir, sorted(suites & contents.keys()))]
        results += [
            MartResult(mart, problem=f"{SCHEMA}.{mart} has no suite; add orchestration/expectations/{mart}.py")
            for mart in contents.keys() - suites
            if mart.startswith("fct_")
        ]
        results += [
            MartResult(mart, problem=f"{SCHEMA}.{mart} does not exist, but orchestration/expectations/{mart}.py does")
            for mart in suites - contents.keys()
        ]
    checked_at = datetime.now(UTC).replace(microsecond=0)
    return GateResult(checked_at, sorted(results, key=lambda result: result.mart), contents)


def suite_names(expectations_dir: Path = EXPECTATIONS_DIR) -> set[str]:
    """The marts that have a suite file; nothing is imported."""
    return {path.stem for path in expectations_dir.glob("*.py") if not path.stem.startswith("_")}


def write_reports(result: GateResult, reports: Path) -> Path:
    """Write `gate.json` and `gate.html` into `reports`; the path of the page."""
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "gate.json").write_text(result.to_json(), encoding="utf-8")
    return write_page(result, reports / "gate.html")


def confirm(connection: duckdb.DuckDBPyConnection, contents: Mapping[str, str], reports: Path) -> None:
    """Make sure that the marts are of one whole build, and that the last gate passed and examined exactly these
    contents (fingerprint by table).

    Raises GateError otherwise, so that neither a publication started by hand nor a mart that changed after
    the gate slips by.
    """
    if not builds.is_whole(connection):
        raise GateError(builds.NOT_WHOLE)
    file = reports / "gate.json"
    if not file.exists():
        raise GateError(f"the gate has not been run ({file} is missing); run it before publishing")
    verdict = json.loads(file.read_text(encoding="utf-8"))
    if not verdict["passed"]:
        raise GateError("the gate did not pass: " + "; ".join(verdict["messages"]))
    changed = [table for table, content in contents.items() if verdict["fingerprints"].get(table) != content]
    if changed:
        tables = ", ".join(f"{SCHEMA}.{table}" for table in changed)
        raise GateError(f"changed after the gate passed: {tables}; run the gate again before publishing")


def fingerprints(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The content of each `fct_` and `dim_` of `settle`, by name: equal where the table reads the same.

    It digests the rows in any order, and the columns with their types and comments. Leftovers of a killed dbt
    run (`..__dbt_tmp`) are no marts.
    """
    connection.execute("set timezone = 'UTC'")  # a zoned time is digested as text
    shapes = connection.execute(
        """
        select
            tables.table_name,
            md5(concat_ws(chr(10), any_value(tables.comment), string_agg(
                concat_ws(' ', columns.column_name, columns.data_type, columns.comment), chr(10)
                order by columns.column_index
            )))
        from duckdb_tables() as tables
        inner join duckdb_columns() as columns using (table_oid, database_oid)
        where tables.database_name = current_database() and tables.schema_name = ?
            and regexp_matches(tables.table_name, '^(fct|dim)_')
            and not contains(tables.table_name, '__dbt_')
        group by tables.table_name
        order by tables.table_name""",
        [SCHEMA],
    ).fetchall()
    return {table: f"{_content(connection, table)}-{shape}" for table, shape in shapes}


def _content(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    return connection.execute(
        f"""select concat_ws('-', count(*), coalesce(sum(md5_number_lower(cast(mart as varchar))), 0))
        from {SCHEMA}."{table}" as mart"""
    ).fetchone()[0]


# --- One mart and its suite -----------------------------------------------------------------------


@dataclass(frozen=True)
class Suite:
    """What a file of `expectations/` holds; that folder's docstring describes it."""

    mart: str
    suite: Any
    key_columns: list[str]
    money_column: str | None
    currency_column: str | None

    @classmethod
    def load(cls, file: Path) -> "Suite":
        """Import one suite file. Raises GateError where it is not what the folder's docstring asks for."""
        spec = importlib.util.spec_from_file_location(f"orchestration.expectations.{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            found = cls(file.stem, module.SUITE, module.KEY_COLUMNS, module.MONEY_COLUMN, module.CURRENCY_COLUMN)
        except AttributeError as missing:
            raise GateError(f"{file}: {missing.name} is missing; see orchestration/expectations/__init__.py") from None
        sentences = [expectation.description for expectation in found.suite.expectations]
        if found.suite.name != file.stem:
            raise GateError(f"{file}: the suite is named {found.suite.name}; name it {file.stem}, as its mart")
        if any(getattr(expectation, "row_condition", None) for expectation in found.suite.expectations):
            # Great Expectations leaves the condition out of the query that names the failing rows.
            raise GateError(f"{file}: a row_condition is not supported; use an UnexpectedRowsExpectation")
        if not all(sentences) or len(set(sentences)) < len(sentences):
            raise GateError(f"{file}: give each expectation a `description` of its own, a sentence of what holds")
        return found

    @property
    def columns(self) -> list[str]:
        """The columns that the file names beside its suite."""
        return [column for column in (*self.key_columns, self.money_column, self.currency_column) if column]


@dataclass(frozen=True)
class Mart:
    """One mart as its suite sees it; answers which of its rows fail and what they are worth."""

    connection: duckdb.DuckDBPyConnection
    suite: Suite
    columns: list[str]
    rows: int

    @classmethod
    def open(cls, connection: duckdb.DuckDBPyConnection, suite: Suite) -> "Mart":
        table = f"{SCHEMA}.{suite.mart}"
        columns = [column for column, *_ in connection.execute(f"describe {table}").fetchall()]
        (rows,) = connection.execute(f"select count(*) from {table}").fetchone()
        return cls(connection, suite, columns, rows)

    @property
    def table(self) -> str:
        return f"{SCHEMA}.{self.suite.mart}"

    def failing_rows_query(self, config: Any, result: Mapping[str, Any]) -> str | None:
        """SQL yielding the rows that fail an expectation; None where it speaks about the mart as a whole."""
        if config.type == "unexpected_rows_expectation":
            return config.kwargs["unexpected_rows_query"].format(batch=self.table)
        if config.type == "expect_compound_columns_to_be_unique":
            # Great Expectations' own query for this one crosses the mart with itself.
            columns = ", ".join(config.kwargs["column_list"])
            return f"select * from {self.table} qualify count(*) over (partition by {columns}) > 1"
        query = result.get("unexpected_index_query")
        return query.rstrip("; \n") if query else None

    def touched_by(self, query: str | None) -> str:
        """A condition on the rows of `mart`: they agree with a row of `query` in the columns they share."""
        shared = [column for column in self._columns_of(query) if column in self.columns] if query else []
        if not shared:
            return EVERY_ROW
        agrees = " and ".join(f'mart."{column}" is not distinct from failing."{column}"' for column in shared)
        return f"exists (select 1 from ({query}) as failing where {agrees})"

    def worth(self, condition: str) -> tuple[int, Money]:
        """How many rows meet a condition, and their money per currency, without sign."""
        money = f'sum(abs("{self.suite.money_column}"))' if self.suite.money_column else "null"
        currency = f'"{self.suite.currency_column}"' if self.suite.currency_column else "null"
        found = self.connection.execute(
            f"select {currency}, count(*), {money} from {self.table} as mart where {condition} group by 1"
        ).fetchall()
        amounts = {currency or NO_CURRENCY: amount for currency, _, amount in found if amount is not None}
        return sum(rows for _, rows, _ in found), amounts

    def samples(self, query: str | None, columns: Iterable[str]) -> list[dict[str, str | None]]:
        """A few failing rows: their keys, money and the columns concerned, or all that the query yields."""
        if not query:
            return []
        yielded = self._columns_of(query)
        shown = [column for column in dict.fromkeys([*self.suite.columns, *columns]) if column in yielded]
        selected = ", ".join(f'"{column}"' for column in shown or yielded)
        rows = self.connection.execute(f"select {selected} from ({query}) order by all limit {SAMPLE_ROWS}").fetchall()
        return [
            {name: None if value is None else str(value) for name, value in zip(shown or yielded, row, strict=True)}
            for row in rows
        ]

    def reasons(self, query: str | None) -> list[str]:
        """`1,204 events no_rate (3.20 EUR at risk)` for each reason that a query counts and values."""
        if not query:
            return []
        counts: Counter[str] = Counter()
        money: defaultdict[str, Money] = defaultdict(dict)
        for reason, count, currency, amount in self.connection.execute(query.format(batch=self.table)).fetchall():
            counts[reason] += count
            if amount is not None:
                money[reason][currency or NO_CURRENCY] = amount
        return [
            f"{count_text(count, 'event')} {reason} ({money_text(money[reason]) or 'unknown money'} at risk)"
            for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]

    def _columns_of(self, query: str) -> list[str]:
        return [column for column, *_ in self.connection.execute(f"describe select * from ({query})").fetchall()]


def _examine(
    connection: duckdb.DuckDBPyConnection, warehouse: Path, expectations_dir: Path, marts: list[str]
) -> Iterator[MartResult]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import: settlement data calls nobody
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    from orchestration.gate_dialect import DRIVER

    # All in memory; by itself Great Expectations would leave a folder for its own pages in /tmp at every run.
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars={"globally": False},
    )
    source = gx.get_context(mode="ephemeral", project_config=config).data_sources.add_sql(
        "warehouse",
        connection_string=f"{DRIVER}:///{warehouse}",
        create_temp_table=False,
        kwargs={"connect_args": {"read_only": True}},
    )
    for name in marts:
        suite = Suite.load(expectations_dir / f"{name}.py")
        mart = Mart.open(connection, suite)
        if unknown := [column for column in suite.columns if column not in mart.columns]:
            names = ", ".join(unknown)
            problem = f"orchestration/expectations/{name}.py names {names}, which {SCHEMA}.{name} lacks"
            yield MartResult(name, mart.rows, problem=problem)
            continue
        asset = source.add_table_asset(name, table_name=name, schema_name=SCHEMA)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        yield _validate(mart, batch)


def _validate(mart: Mart, batch: Any) -> MartResult:
    # The rows that fail come as a query over all columns, so that DuckDB can sum their money.
    results = batch.validate(
        mart.suite.suite,
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": mart.columns,
            "return_unexpected_index_query": True,
        },
    ).results
    by_sentence = {result.expectation_config.description: result for result in results}
    outcomes, conditions = [], []
    for expectation in mart.suite.suite.expectations:
        outcome, condition = _outcome(mart, by_sentence[expectation.description], expectation.meta or {})
        outcomes.append(outcome)
        conditions += [condition] if condition else []
    money = mart.worth(" or ".join(conditions))[1] if conditions else {}
    return MartResult(mart.suite.mart, mart.rows, outcomes, money)


def _outcome(mart: Mart, validated: Any, meta: Mapping[str, Any]) -> tuple[Outcome, str | None]:
    """One expectation's outcome and, where it failed, the condition that its failing rows meet.

    meta: what its suite says beside it, `reasons` and `next_step`.
    """
    config, result = validated.expectation_config, validated.result
    columns = [config.kwargs[name] for name in ("column", "column_A", "column_B") if name in config.kwargs]
    columns += config.kwargs.get("column_list", [])
    facts = {
        "says": config.description,
        "type": config.type,
        "columns": columns,
        "severity": getattr(config.severity, "value", config.severity),
        "success": validated.success,
        "observed": None if result.get("observed_value") is None else str(result["observed_value"]),
    }
    if error := _error(validated.exception_info):
        return Outcome(**facts, error=error), None
    if validated.success:
        return Outcome(**facts), None
    query = mart.failing_rows_query(config, result)
    condition = mart.touched_by(query)
    rows, money = mart.worth(condition)
    samples = mart.samples(query, columns)
    failing_rows = None if condition == EVERY_ROW else rows
    told = {"reasons": mart.reasons(meta.get("reasons")), "next_step": meta.get("next_step")}
    return Outcome(**facts, failing_rows=failing_rows, money_at_risk=money, samples=samples, **told), condition


def _error(exception_info: Mapping[str, Any]) -> str | None:
    """What kept an expectation from being evaluated, in one line; Great Expectations nests it by metric."""
    raised = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    texts = [info["exception_message"] for info in raised if info["raised_exception"]]
    return texts[0].strip().splitlines()[0][:300] if texts else None


# --- In Dagster's graph ---------------------------------------------------------------------------


def build_gate(
    expectations_dir: Path = EXPECTATIONS_DIR,
) -> tuple[dg.AssetChecksDefinition, dg.AssetsDefinition]:
    """A blocking check on each mart that has a suite, run all at once, and the verdict that publish needs."""
    marts = [dg.AssetKey([SCHEMA, name]) for name in sorted(suite_names(expectations_dir))]
    specs = [
        dg.AssetCheckSpec(CHECK_NAME, asset=mart, blocking=True, description="Every critical expectation holds.")
        for mart in marts
    ]

    @dg.multi_asset_check(name="gate_checks", specs=specs, can_subset=True, pool=POOL)
    def gate_checks(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        """Run all suites, even where only some checks are asked for: page and verdict are about the whole."""
        result = run_gate(warehouse.home.warehouse, expectations_dir)
        page = write_reports(result, warehouse.home.reports)
        for mart in result.marts:
            for message in mart.messages:
                (context.log.warning if mart.passed else context.log.error)(message)
            key = dg.AssetCheckKey(dg.AssetKey([SCHEMA, mart.mart]), CHECK_NAME)
            if key in context.selected_asset_check_keys:
                yield _check_result(mart, page)
        if missing := [mart.problem for mart in result.marts if mart.problem]:
            # A mart without a suite has no check of its own that could fail.
            raise dg.Failure("; ".join(missing), metadata={"report": dg.MetadataValue.path(page)})

    @dg.asset(key=VERDICT_KEY, group_name="gate", deps=marts, pool=POOL)
    def verdict(warehouse: Warehouse) -> dg.MaterializeResult:
        """All marts passed their suites and may be published; missing where a blocking check failed."""
        reports = warehouse.home.reports
        with warehouse.connect() as connection:
            confirm(connection, {}, reports)
        found = json.loads((reports / "gate.json").read_text(encoding="utf-8"))
        outcomes = [outcome for mart in found["marts"] for outcome in mart["outcomes"]]
        return dg.MaterializeResult(
            metadata={
                "expectations": len(outcomes),
                "expectations passed": sum(outcome["success"] for outcome in outcomes),
                "report": dg.MetadataValue.url((reports / "gate.html").as_uri()),
            }
        )

    return gate_checks, verdict


def _check_result(mart: MartResult, page: Path) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([SCHEMA, mart.mart]),
        check_name=CHECK_NAME,
        passed=mart.passed and not mart.failures,
        severity=dg.AssetCheckSeverity.WARN if mart.passed else dg.AssetCheckSeverity.ERROR,
        metadata={
            "expectations": len(mart.outcomes),
            "failed": len(mart.failures),
            "money at risk": money_text(mart.money_at_risk) or "none",
            "messages": dg.MetadataValue.md("\n".join(f"- {message}" for message in mart.messages) or "none"),
            "report": dg.MetadataValue.url(page.resolve().as_uri()),
        },
    )


gate_checks, verdict = build_gate()
