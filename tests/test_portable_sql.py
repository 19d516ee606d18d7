"""The same models on DuckDB and on Spark: every difference of dialect is one dispatch macro in macros/engine/.

Belongs here: what keeps a model from running on a Spark cluster unchanged. Does not belong here: a run on Spark,
which needs a cluster. Spark's SQL is compiled by dbt itself, which is only told to prefer macros named `spark__`.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlglot
from conftest import check
from dbt.context import providers
from sqlglot import expressions as exp

from orchestration.dbt_run import dbt

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "macros" / "engine"

# What one engine knows and the other does not, or reads otherwise, with the way out.
FOREIGN_TO_SPARK = {
    r"::": "cast(x as type)",
    r"//": "integer_divide()",
    r"\bas varchar\b": "cast(x as string), which both read; Spark wants a length for varchar",
    r"\bhugeint\b|\bu?int128\b|\bubigint\b": "wide_integer()",
    r"\btimestamptz\b|\bwith time zone\b|\bat time zone\b": "to_local() or to_instant()",
    r"\b(try_)?str[pf]time\s*\(": "parse_instant() or parse_rfc2822()",
    r"\bpg_\w+": "is_time_zone()",
    r"\basof\b": "a join on a half-open interval, as in int_rate_decks_resolved",
    r"\b(list_\w+|unnest|struct_pack|generate_series)\s*\(|\blambda\b": "rows instead of lists",
    r"\*\s*(exclude|replace)\b": "the columns by name",
    r"\b(date_diff|datediff|datesub|dateadd|epoch\w*|make_\w+)\s*\(": "add_days() or a new macro in macros/engine/",
    r"\bround_even\s*\(|\bround\s*\(": "round_money(), which knows the agreement's mode",
    r"\b(string_agg|listagg|group_concat)\s*\(": "rows instead of a text",
    r"\bregexp_\w+\s*\(|\bsimilar to\b": "like, substring or try_cast",
    r"\b(starts_with|startswith|contains|ends_with)\s*\(": "like or substring",
    r"\barg_m(ax|in)\s*\(": "max_by() or min_by()",
    r"\b[lr]trim\s*\([^()]*(\([^()]*\))?[^()]*,": "trim(leading 'x' from y); Spark takes them the other way",
    r"\bby name\b": "the columns by name",
    r"\b(now|today|(get_)?current_\w+)\s*\(|\bcurrent_(date|timestamp)\b": "a column; a model asks no clock",
    r'"': "quoted(); double quotes are a text in Spark",
}


@pytest.fixture(scope="module")
def spark_sql(dbt_project) -> dict[str, str]:
    """The SQL of each model as Spark would get it, without comments. Relations are named as DuckDB's adapter names
    them, so their quotes are taken off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_WAREHOUSE", str(dbt_project.warehouse))
        patch.setattr(providers, "get_adapter_type_names", lambda name: ["spark", name])
        folder = dbt_project.target.parent / "spark"
        compiled = dbt(folder, "compile", "--no-partial-parse", "--select", "resource_type:model")
    assert compiled.success, f"dbt cannot compile the models for Spark: {compiled.exception}"
    return {
        result.node.name: unquoted(without_comments(result.node.compiled_code))
        for result in compiled.result.results
        if result.node.resource_type == "model"
    }


def without_comments(sql: str) -> str:
    return re.sub(r"--.*", "", sql)


def unquoted(sql: str) -> str:
    return re.sub(r'"\w+"\."(\w+)"\."(\w+)"', r"\1.\2", sql)


def refusals(models: dict[str, str], parse: Callable[[str], object]) -> Iterator[str]:
    """What sqlglot says of the models that it refuses."""
    for name, sql in models.items():
        try:
            parse(sql)
        except sqlglot.errors.SqlglotError as error:
            yield f"{name}: {error}"


def test_every_model_translates_from_duckdb_to_spark(dbt_project):
    def translate(sql: str) -> None:
        [translated] = sqlglot.transpile(sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
        sqlglot.parse_one(translated, read="spark")

    check(
        refusals(dbt_project.compiled, translate),
        "Spark has no word for what these models say. Say it in SQL that both have, or add a dispatch macro:",
    )


def test_every_model_parses_as_spark_would_get_it(spark_sql):
    check(
        refusals(spark_sql, lambda sql: sqlglot.parse_one(sql, read="spark")),
        "A spark__ macro in macros/engine/, or the model, writes SQL that does not parse:",
    )


def test_no_word_of_duckdb_alone_reaches_spark(spark_sql):
    check(
        (
            f"{name}: {match.group().strip()!r}; use {way_out}"
            for name, sql in spark_sql.items()
            for pattern, way_out in FOREIGN_TO_SPARK.items()
            if (match := re.search(pattern, sql, re.IGNORECASE))
        ),
        "These models would stop, or count otherwise, on Spark. What only one engine has is a dispatch macro:",
    )


def test_terms_that_lack_a_date_stand_at_the_same_end_on_both_engines(spark_sql):
    windows = {
        name: list(sqlglot.parse_one(sql, read="spark").find_all(exp.Window))
        for name, sql in spark_sql.items()
        if name.startswith("stg_terms__")
    }
    check(
        (
            f"{name}: {window.args['order'].sql()}"
            for name, found in windows.items()
            for window in found
            if window.args.get("order") and window.args["order"].expressions[0].args.get("nulls_first") is not False
        ),
        "DuckDB puts nulls last and Spark first, and a term without a date would push its neighbours into an overlap. "
        "Write nulls last:",
    )


def test_only_the_engine_macros_dispatch():
    check(
        (
            str(file.relative_to(PROJECT))
            for folder in ("macros", "models", "tests")
            for file in (PROJECT / folder).rglob("*.sql")
            if file.parent != ENGINE and re.search(r"adapter\.dispatch|target\.type|\bspark__", file.read_text())
        ),
        "Who looks for a difference of the engines looks in macros/engine/. Move what depends on the engine:",
    )


def test_every_difference_of_the_engines_has_both_sides():
    macros = "".join(file.read_text() for file in ENGINE.glob("*.sql"))
    dispatched = set(re.findall(r"dispatch\('(\w+)'\)", macros))
    check(
        (
            f"{side}__{name}"
            for side in ("default", "spark")
            for name in dispatched ^ set(re.findall(rf"macro {side}__(\w+)\(", macros))
        ),
        "A macro that dispatches has a default__ and a spark__ side, and no side is left over. Missing, or left over:",
    )
