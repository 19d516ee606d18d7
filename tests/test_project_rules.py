"""The house's rules that a machine can hold, over dbt's manifest and the tree. Each failure says why and what to do.

Belongs here: names, layers, keys, documentation, contracts, the ban of floats. Does not belong here: what a model
computes (dbt unit tests), what must add up (tests/<verb>/assert_*.sql), what Spark understands (test_portable_sql).
"""

import re
import tomllib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
import sqlglot
import yaml
from conftest import check
from sqlglot import expressions as exp

from orchestration import feeds, gate

PROJECT = Path(__file__).resolve().parents[1]
VERBS = ["stage", "rate", "attribute", "reconcile", "settle"]
# Models that only put the feeds of one kind below each other: their keys and rules are those of staging.
COLLECTED = "_collected"
# Views of the events, each read by the next and the last one by the table: they keep no row, and two of one event would
# be two in the table. To look for them in each view would take as long as rating does.
PASSED_ON = ["int_events_deduplicated", "int_events_selected", "int_events_matched", "int_events_rated"]
# A view of the same kind whose rows are summed, the sums, and a view that names their keys; the law compares what that
# one shows with the table before the first.
SUMMED, SUMS, NAMED = "int_events_attributed", "int_usage_summed", "int_usage_aggregated"
LAW_OF_SUMS = "assert_usage_groups_hold_each_event_once"
# Sources that no file lands in: what ingest writes of itself, and what publish books.
SOURCES_WITHOUT_FEED = {"files", "feeds", "quarantine", "postings", "charges", "closings"}


def verb_of(node: dict) -> str:
    return node["path"].split("/")[0]


def guarded(law: dict) -> dict:
    """The model whose check a law is in Dagster, as the law's meta names it."""
    return law["config"]["meta"].get("dagster", {}).get("ref", {})


@pytest.fixture(scope="module")
def models(dbt_project) -> dict[str, dict]:
    return dbt_project.nodes("model")


@pytest.fixture(scope="module")
def marts(models) -> dict[str, dict]:
    return {name: model for name, model in models.items() if verb_of(model) == "settle"}


@pytest.fixture(scope="module")
def tests(dbt_project) -> dict[str, dict]:
    return dbt_project.nodes("test")


@pytest.fixture(scope="module")
def laws(tests) -> dict[str, dict]:
    """The singular tests."""
    return {name: test for name, test in tests.items() if "test_metadata" not in test or not test["test_metadata"]}


@pytest.fixture(scope="module")
def parents(dbt_project, models) -> dict[str, list[dict]]:
    """What each model reads: models, seeds and sources."""
    known = dbt_project.manifest["nodes"] | dbt_project.manifest["sources"]
    return {name: [known[node] for node in model["depends_on"]["nodes"]] for name, model in models.items()}


# Layers -------------------------------------------------------------------------------------------------------------


def test_every_model_stands_under_a_verb(models):
    check(
        (model["path"] for model in models.values() if verb_of(model) not in VERBS),
        "The tree is the sentence: a model stands in the folder of its verb, which is also its schema and its group in "
        f"Dagster. Move these into one of {', '.join(VERBS)}:",
    )


def test_arrows_only_point_right(models, parents):
    check(
        (
            f"{name} ({verb_of(model)}) reads {parent['name']} ({verb_of(parent)})"
            for name, model in models.items()
            for parent in parents[name]
            if parent["resource_type"] == "model" and VERBS.index(verb_of(parent)) > VERBS.index(verb_of(model))
        ),
        "A model reads its own verb or an earlier one, else a circle of corrections is one join away. Move the logic "
        "to the later verb, or what is read to the earlier one:",
    )


def test_marts_are_leaves(models, parents, marts):
    check(
        (
            f"{name} reads {parent['name']}"
            for name in models
            for parent in parents[name]
            if parent["resource_type"] == "model" and parent["name"] in marts
        ),
        "A gate stops what comes after dbt, not a model inside it, so nothing may be computed from a mart that may yet "
        "fail. Read the intermediate model behind the mart:",
    )


def test_only_staging_reads_sources_and_terms(models, parents):
    check(
        (
            f"{name} reads {parent['resource_type']} {parent['name']}"
            for name, model in models.items()
            for parent in parents[name]
            if (parent["resource_type"] == "source" or "seeds/terms/" in parent["original_file_path"])
            and not (verb_of(model) == "stage" and name.startswith("stg_"))
        ),
        "Staging is the only door: there the vendor's text becomes our words and what cannot be used is refused, once. "
        "Read the staging model:",
    )


def test_each_source_table_and_terms_table_has_one_reader(dbt_project, models, parents):
    readers = defaultdict(list)
    for name in models:
        for parent in parents[name]:
            readers[parent["unique_id"]].append(name)
    doors = dbt_project.manifest["sources"] | {
        key: seed
        for key, seed in dbt_project.manifest["nodes"].items()
        if seed["resource_type"] == "seed" and "seeds/terms/" in seed["original_file_path"]
    }
    check(
        (f"{key} is read by {', '.join(readers[key]) or 'nobody'}" for key in doors if len(readers[key]) != 1),
        "Each source table and each terms table is read by exactly one staging model: two would read it in two ways, "
        "and a table that nobody reads is money that never settles:",
    )


def test_no_relation_is_named_by_hand(models):
    schemas = "|".join(["ingest", "ledger", "reference", "terms", *VERBS])
    by_hand = re.compile(rf"\b(?:from|join)\s+(?:{schemas})\.\w+")
    check(
        (f"{name}: {found}" for name, model in models.items() for found in by_hand.findall(model["raw_code"])),
        "A table named by hand is built in any order, or not at all. Use ref() or source():",
    )


# Names --------------------------------------------------------------------------------------------------------------


def test_names_say_what_a_model_is(models):
    def expected(model: dict) -> str:
        *folders, _ = model["path"].split("/")
        if folders == ["settle"]:
            return r"(fct|dim)_[a-z0-9_]+"
        if folders[0] == "stage" and len(folders) == 2:
            return rf"stg_{folders[1]}__[a-z0-9_]+"
        return r"int_[a-z0-9_]+ed"

    check(
        (
            f"{model['path']} should be {expected(model)}.sql"
            for name, model in models.items()
            if not re.fullmatch(expected(model), name)
        ),
        "A name says what a model is: stg_<source>__<table> in the source's folder, int_<entities>_<participle> for "
        "what was done to them, fct_/dim_ for what is published. Rename:",
    )


def test_a_source_is_staged_under_its_own_name(parents):
    check(
        (
            f"{name} reads {parent['source_name']}.{parent['name']}"
            for name, read in parents.items()
            for parent in read
            if parent["resource_type"] == "source" and name != f"stg_{parent['source_name']}__{parent['name']}"
        ),
        "A staging model is named for the one source table that it reads, so that either leads to the other. Rename:",
    )


def test_folders_name_what_they_hold():
    nameless = {"tmp", "temp", "legacy", "old", "utils", "util", "misc", "common", "helpers", "lib", "archive", "draft"}
    roots = ("models", "macros", "seeds", "tests", "orchestration", "simulation", "docs", "benchmarks", "bi")
    check(
        (
            str(folder.relative_to(PROJECT))
            for root in roots
            for folder in (PROJECT / root).rglob("*")
            if folder.is_dir() and folder.name.lower() in nameless
        ),
        "A folder without a subject collects what nobody wants to name. Put its files where their subject is:",
    )


# Documentation, keys, contracts -------------------------------------------------------------------------------------


def test_every_model_says_what_one_row_is(models):
    check(
        (name for name, model in models.items() if not model["description"].startswith("One row per ")),
        "Who joins a model must know its grain, or counts money twice. Begin its description with 'One row per ...':",
    )


def test_every_model_has_a_tested_key(dbt_project, tests, models):
    held = defaultdict(set)
    for test in tests.values():
        metadata = test.get("test_metadata") or {}
        held[test.get("attached_node")].add(metadata.get("name"))

    def has_key(model: dict) -> bool:
        return not held[model["unique_id"]].isdisjoint({"identifies_a_row", "columns_identify_a_row"})

    check(
        (
            name
            for name, model in models.items()
            if not has_key(model) and not name.endswith(COLLECTED) and name not in (*PASSED_ON[:-1], SUMMED, NAMED)
        ),
        "A row that appears twice is paid twice. Test the key: identifies_a_row on one column, or "
        "columns_identify_a_row on several:",
    )


def test_a_mart_begins_with_its_key(marts, tests):
    keys = {
        (test["attached_node"], test["test_metadata"]["kwargs"]["column_name"])
        for test in tests.values()
        if (test.get("test_metadata") or {}).get("name") == "identifies_a_row"
    }
    check(
        (name for name, mart in marts.items() if (mart["unique_id"], next(iter(mart["columns"]))) not in keys),
        "A reader looks for the key in the first column, and a push makes it the primary key. Move it there, and test "
        "it with identifies_a_row:",
    )


def test_views_whose_rows_are_passed_on_lead_to_a_table_that_is_compared_with_the_first(models, parents, laws):
    check(
        (
            f"{reader} does not read {view}, or that is no view"
            for view, reader in pairwise(PASSED_ON)
            if models[view]["config"]["materialized"] != "view" or models[view] not in parents[reader]
        ),
        "These views have no tested key of their own, since all their rows go into one table that has one. Test the "
        "key where that is no longer so:",
    )
    law = laws["assert_every_event_is_rated_or_says_why_not"]
    compared = {models[PASSED_ON[0]]["unique_id"], models[PASSED_ON[-1]]["unique_id"]}
    assert compared <= set(law["depends_on"]["nodes"]), (
        "That the table has each row of the first view once is what the law says; without it a row may be lost between."
    )


def test_the_view_whose_rows_are_summed_is_held_against_the_table_that_it_reads(models, parents, laws):
    for view, table in ((SUMMED, "int_events_rated"), (SUMS, SUMMED), (NAMED, SUMS)):
        assert models[table] in parents[view]
    compared = {models[name]["unique_id"] for name in (NAMED, SUMMED, "int_events_rated")}
    assert compared <= set(laws[LAW_OF_SUMS]["depends_on"]["nodes"]), (
        "The sums hold each event once is what the law says; without it an event may be lost or doubled in the view."
    )


def test_every_computed_model_has_a_worked_example(dbt_project, models):
    shown = {test["model"] for test in dbt_project.manifest["unit_tests"].values()}
    check(
        (name for name in models if name.startswith("int_") and name not in shown and not name.endswith(COLLECTED)),
        "A rule that no example shows is a rule that the next change may drop. Add a unit test of a few rows to "
        "models/<verb>/_<verb>__unit_tests.yml:",
    )


def test_marts_are_public_contracted_tables(marts):
    check(
        (
            name
            for name, mart in marts.items()
            if not (
                mart["config"]["contract"]["enforced"]
                and mart["config"]["access"] == "public"
                and mart["config"]["materialized"] in ("table", "incremental")
            )
        ),
        "What others read is a promise: marts are public tables under an enforced contract. Take back the override:",
    )


def test_nothing_but_marts_is_public(models, marts):
    check(
        (name for name, model in models.items() if name not in marts and model["config"]["access"] == "public"),
        "Only settle is the public boundary; what is public elsewhere can never be changed again:",
    )


def test_every_column_of_a_mart_is_documented_and_typed(marts):
    check(
        (
            f"{name}.{column['name']}"
            for name, mart in marts.items()
            for column in mart["columns"].values()
            if not column["description"] or not column["data_type"]
        ),
        "A reader of a mart has nothing but its documentation. Give description and data_type:",
    )


def test_the_name_of_a_marts_column_tells_its_type(marts):
    types = [
        (r".*_at", r"timestamp"),
        (r".*_date", r"date"),
        (r".*_count", r"bigint"),
        (r"(is|has|may)_.*", r"boolean"),
        (r".*_(amount|quantity|ratio)", r"decimal\(\d+, ?\d+\)"),
        (r".*_(id|name|code|type|status|currency|reason|unit)", r"varchar"),
    ]
    exceptions = {"priced_per_quantity": "integer"}

    def fits(name: str, data_type: str) -> bool:
        if name in exceptions:
            return data_type == exceptions[name]
        return all(re.fullmatch(kind, data_type) for pattern, kind in types if re.fullmatch(pattern, name))

    check(
        (
            f"{name}.{column['name']} is {column['data_type']}"
            for name, mart in marts.items()
            for column in mart["columns"].values()
            if not fits(column["name"], column["data_type"])
        ),
        "Who reads started_at expects an instant, who reads invoice_date a day. Rename the column or change its type:",
    )


def test_an_amount_stands_beside_its_currency(marts):
    def columns(mart: dict, ending: str) -> list[str]:
        return [name for name in mart["columns"] if name == ending or name.endswith(f"_{ending}")]

    check(
        (
            f"{name}: {', '.join(columns(mart, 'amount'))}"
            for name, mart in marts.items()
            if columns(mart, "amount") and not columns(mart, "currency")
        ),
        "An amount without a currency will be added to another one. Add the *_currency column to the mart:",
    )


# Money --------------------------------------------------------------------------------------------------------------


def test_no_mart_promises_a_float(marts):
    check(
        (
            f"{name}.{column['name']} is {column['data_type']}"
            for name, mart in marts.items()
            for column in mart["columns"].values()
            if re.search(r"float|double|real", column["data_type"], re.IGNORECASE)
        ),
        "A float cannot hold a cent. Promise a decimal:",
    )


def test_no_model_computes_with_floats(dbt_project):
    floating = (exp.DType.FLOAT, exp.DType.DOUBLE)

    def offences(sql: str) -> set[str]:
        tree = sqlglot.parse_one(sql, read="duckdb")
        return {
            *(f"cast as {node.sql()}" for node in tree.find_all(exp.DataType) if node.this in floating),
            *(node.sql() for node in tree.find_all(exp.Avg, exp.Pow, exp.Div)),
            *(node.sql() for node in tree.find_all(exp.Literal) if node.is_number and "e" in node.name.lower()),
        }

    check(
        (f"{name}: {offence}" for name, sql in dbt_project.compiled.items() for offence in offences(sql)),
        "DuckDB divides and averages decimals as floats, so the last digit is chance. Use divide_and_round, "
        "scale_money, or sums and counts:",
    )


# Tests, gates, feeds, tools -----------------------------------------------------------------------------------------


def test_laws_are_sentences_that_say_what_would_be_lost(laws):
    check(
        (
            law["original_file_path"]
            for name, law in laws.items()
            if not name.startswith("assert_") or not law["raw_code"].startswith("-- Fails if ")
        ),
        "A law that fails at night is read by somebody who did not write it. Name it assert_<the law>.sql and begin it "
        "with '-- Fails if ...' and the money that would be lost:",
    )


def test_laws_are_checks_of_a_model_in_dagster(laws, models):
    check(
        (
            law["original_file_path"]
            for law in laws.values()
            if guarded(law).get("name") not in models
            or guarded(law).get("package") != "tollgate"
            or models[guarded(law)["name"]]["unique_id"] not in law["depends_on"]["nodes"]
        ),
        "dagster-dbt drops a test of several models unless it is told whose check it is, and then nobody sees it fail. "
        "Set meta.dagster.ref to a model that the test reads, with name and package:",
    )


def test_laws_stand_in_the_folder_of_the_verb_they_guard(laws, models):
    check(
        (
            law["original_file_path"]
            for law in laws.values()
            if (model := models.get(guarded(law).get("name"))) and verb_of(model) != verb_of(law)
        ),
        "tests/ mirrors models/, so that who changes a verb finds its laws. Move the file:",
    )


def test_every_fact_has_a_gate_and_every_gate_a_fact(marts):
    facts = {name for name in marts if name.startswith("fct_")}
    check(
        facts ^ gate.suite_names(),
        "Each settle.fct_* is published through its own suite in orchestration/expectations/<mart>.py; without one it "
        "leaves ungated. Missing on one side:",
    )


def test_every_source_has_a_feed_and_every_feed_a_source(dbt_project):
    sources = {
        source["identifier"]
        for source in dbt_project.manifest["sources"].values()
        if source["name"] not in SOURCES_WITHOUT_FEED
    }
    declared = {feed.name for feed in feeds.declared()}
    check(
        sources ^ declared,
        "A source that no feed fills stays empty, and a feed that no source reads never settles. Missing in "
        "models/stage/<source>/_<source>.yml or in orchestration/feeds/:",
    )


def test_every_feed_of_a_kind_that_settles_is_collected():
    listed = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["feeds"]
    collected = {f"{kind}__{feed}" for kind, names in listed.items() for feed in names}
    check(
        collected ^ {feed.name for feed in feeds.declared() if feed.kind in listed},
        "A feed that is declared but not collected lands and never settles. `feeds` in dbt_project.yml and the "
        "declarations differ in:",
    )


def test_staging_that_reads_records_together_is_read_as_a_whole(models):
    """A record that stands beside others in its staging may say something else as soon as a new one landed."""
    listed = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["feeds_read_together"]
    beside_others = re.compile(r"\bover\s*\(|\bgroup by\b|\bqualify\b|\bdistinct\b(?!\s+from)", re.IGNORECASE)
    together = {
        name.removeprefix("stg_usage__")
        for name, model in models.items()
        if name.startswith("stg_usage__") and beside_others.search(model["raw_code"])
    }
    check(
        together ^ set(listed),
        "Usage is read once, file by file; a feed whose staging has a window or a group must be listed in "
        "`feeds_read_together` of dbt_project.yml, or what an older file says stays as it was. Listed or found alone:",
    )


def test_what_the_last_run_left_is_named_as_its_models_are(dbt_project, models):
    texts = [model["raw_code"] for model in models.values()]
    texts += [
        macro["macro_sql"] for macro in dbt_project.manifest["macros"].values() if macro["package_name"] == "tollgate"
    ]
    named = {name for text in texts for name in re.findall(r"last_run\('(\w+)'\)", text)}
    [rates_anew] = [text for text in texts if "macro rates_anew(" in text]
    named |= set(re.findall(r"'(\w+)'", rates_anew))
    check(
        (
            name
            for name in named
            if name not in models or verb_of(models[name]) != ("rate" if name == "int_events_rated" else "attribute")
        ),
        "A table of the last run that no model writes is never found, so that every run rates all events. Rename:",
    )


def test_no_macro_reads_a_model(dbt_project):
    check(
        (
            macro["name"]
            for macro in dbt_project.manifest["macros"].values()
            if macro["package_name"] == "tollgate" and re.search(r"\b(ref|source)\s*\(", macro["macro_sql"])
        ),
        "A macro that reads a model hides an arrow of the graph. Pass the relation in:",
    )


def test_every_macro_file_says_what_it_is_for():
    check(
        (
            str(file.relative_to(PROJECT))
            for file in (PROJECT / "macros").rglob("*.sql")
            if not file.read_text().startswith("{# ")
        ),
        "A macro is read at its call, far from its text. Begin its file with a comment of purpose: {# ... #}",
    )


def test_no_lint_rule_is_switched_off():
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["sqlfluff"]["core"]
    excused = {"structure.column_order"}
    excluded = {rule.strip() for rule in settings.get("exclude_rules", "").split(",")}
    switched_off = [f"sqlfluff {rule}" for rule in excluded - excused] + [key for key in settings if key == "ignore"]
    switched_off += [
        f"{file.relative_to(PROJECT)}: {line.strip()}"
        for folder in ("models", "tests")
        for file in (PROJECT / folder).rglob("*.sql")
        for line in file.read_text().splitlines()
        if re.search(r"--\s*noqa", line)
    ]
    check(
        switched_off,
        "Only structure.column_order is excused, since it fights the house's order of columns. Change the SQL:",
    )


def test_dbt_finds_nothing_deprecated(dbt_project):
    assert not dbt_project.deprecations, (
        "The next dbt turns today's deprecation into an error, in the middle of a month. Write it the new way:\n"
        f"  {dbt_project.deprecations}"
    )
