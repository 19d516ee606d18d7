"""What Dagster is given, and what its runs do: the graph and its groups, jobs, schedules, sensors, checks and retries.

Belongs here: real runs of single assets and small jobs, in this process. Does not belong here: what a file becomes
(test_ingest), two processes that meet (test_lock), the command line (test_end_to_end).
"""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster_dbt import DbtCliResource

from orchestration import builds, feeds, ingest, loading, settings
from orchestration.resources import Landing, Warehouse
from orchestration.schedules import every_hour, every_morning, landing_sensors, load_history, month_of, settle_month
from orchestration.settings import Home
from orchestration.transform import _row_counts, kept_by_other_rules, rules_fingerprint

MODELLED = {"reference", "terms", "stage", "rate", "attribute", "reconcile", "settle"}
VERBS = ["ingest", "stage", "rate", "attribute", "reconcile", "settle", "gate", "publish"]
FEEDS = {feed.name: feed for feed in feeds.declared()}
SENSORS = {sensor.name: sensor for sensor in landing_sensors}
FX_HEADER = "rate_date,base_currency,quote_currency,rate,source"
NETWORKS_HEADER = "MCC,MNC,ISO,Country,Country Code,Network"


@pytest.fixture(scope="module", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Definitions tell the tools below them by the environment where things are; other test files keep theirs."""
    before = dict(os.environ)
    os.environ["TOLLGATE_HOME"] = str(tmp_path_factory.mktemp("orchestration"))
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.landing.mkdir(parents=True)
    return home


def definitions(home: Home) -> dg.Definitions:
    from orchestration.definitions import build_defs

    return build_defs(home)


def drop(home: Home, name: str, content: str, changed_at: datetime | None = None) -> Path:
    path = home.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if changed_at:
        os.utime(path, (changed_at.timestamp(), changed_at.timestamp()))
    return path


def fx(*days: str) -> str:
    return "\n".join([FX_HEADER, *(f"{day},EUR,USD,1.1,ECB" for day in days)]) + "\n"


def materialize(home: Home, *names: str, **options: object) -> dg.ExecuteInProcessResult:
    """One run of the ingest assets of these feeds."""
    assets = [asset for asset in ingest.ingest_assets() if asset.key.path[-1] in names]
    return dg.materialize(assets, resources={"warehouse": Warehouse(root=str(home.root))}, **options)


def figures(result: dg.ExecuteInProcessResult, name: str) -> dict[str, object]:
    """What the run says of one asset of ingest."""
    [event] = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["ingest", name])
    ]
    return {label: value.value for label, value in event.metadata.items()}


def query(home: Home, sql: str) -> list[tuple]:
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


# --- the graph ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return definitions(Home(tmp_path_factory.mktemp("graph")))


@pytest.fixture(scope="module")
def graph(defs):
    return defs.resolve_asset_graph()


def test_the_groups_of_the_graph_are_the_verbs_and_arrows_only_point_right(graph):
    order = {"reference": 0, "terms": 0} | {verb: place for place, verb in enumerate(VERBS)}
    nodes = [node for node in graph.asset_nodes if node.is_materializable]
    assert {node.group_name for node in nodes} == order.keys()
    backwards = [
        f"{parent.to_user_string()} -> {node.key.to_user_string()}"
        for node in nodes
        for parent in node.parent_keys
        if graph.has(parent)
        and graph.get(parent).is_materializable
        and order[graph.get(parent).group_name] > order[node.group_name]
    ]
    assert backwards == [], "an asset reads one of a later verb"


def test_the_main_job_covers_every_asset_and_every_gate(graph, defs):
    job = defs.resolve_job_def("settle_month")
    assert job.asset_layer.selected_asset_keys == {node.key for node in graph.asset_nodes if node.is_materializable}
    gates = [key for key in graph.asset_check_keys if key.name == "fit_to_publish"]
    assert len(gates) == len(list((Path(__file__).parents[1] / "models" / "settle").glob("fct_*.sql")))
    assert all(graph.get(key).blocking for key in gates)


def test_a_law_between_verbs_is_a_check_that_dagster_shows(graph):
    laws = {file.stem for file in (Path(__file__).parents[1] / "tests").glob("*/assert_*.sql")}
    assert laws and laws <= {key.name for key in graph.asset_check_keys}


@pytest.mark.parametrize("verb", ["ingest", "settle"])
def test_each_asset_can_be_run_by_itself_with_its_checks(graph, defs, verb):
    """As `dagster asset materialize --select` does; a check that cannot be taken apart refuses the run."""
    job = defs.resolve_job_def("settle_month")
    keys = [node.key for node in graph.asset_nodes if node.is_materializable and node.group_name == verb]
    refused = []
    for key in keys:
        try:
            job.get_subset(asset_selection={key})
        except dg.DagsterInvalidSubsetError as error:
            refused.append(f"{key.to_user_string()}: {error}"[:200])
    assert keys and refused == []


def test_the_month_settles_every_morning_and_feeds_are_watched_every_hour():
    assert (every_morning.job.name, every_morning.cron_schedule) == ("settle_month", "0 5 * * *")
    assert (every_hour.job.name, every_hour.cron_schedule) == ("watch_feeds", "30 * * * *")
    assert {schedule.execution_timezone for schedule in (every_morning, every_hour)} == {"UTC"}


# --- sensors --------------------------------------------------------------------------------------------------------


def look(home: Home, kind: str = "usage", cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(cursor=cursor, resources={"landing": Landing(root=str(home.root))}) as context:
        return SENSORS[f"{kind}_landed"](context)


def test_each_kind_of_the_landing_has_a_sensor_of_its_own_that_starts_the_month(defs):
    kinds = {feed.kind for feed in FEEDS.values()}
    assert SENSORS.keys() == {f"{kind}_landed" for kind in kinds}
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == SENSORS.keys()
    assert {repository.get_sensor_def(name).job_name for name in SENSORS} == {"settle_month"}


def test_a_sensor_starts_one_run_for_files_that_are_complete(home):
    old = datetime.now(UTC) - timedelta(seconds=60)
    assert "holds no files" in look(home).skip_message
    file = drop(home, "usage/native/day.csv", "event_id\n")
    assert "until it is complete" in look(home).skip_message
    os.utime(file, (old.timestamp(), old.timestamp()))
    first = look(home)
    assert len(first.run_requests) == 1
    assert "nothing new" in look(home, cursor=first.cursor).skip_message
    drop(home, "usage/native/day.csv", "event_id\ne1\n", changed_at=old)
    second = look(home, cursor=first.cursor)
    assert second.run_requests[0].run_key != first.run_requests[0].run_key, "Dagster starts no run of the same key"


def test_a_sensor_looks_at_its_own_kind_and_not_at_unfinished_files(home):
    old = datetime.now(UTC) - timedelta(seconds=60)
    for name in ("fx_rates/native/a.csv", "usage/native/.hidden.csv", "usage/native/a.csv.part", "usage/x/a.csv.tmp"):
        drop(home, name, "x", changed_at=old)
    assert "holds no files" in look(home, "usage").skip_message
    assert len(look(home, "fx_rates").run_requests) == 1


def test_files_of_two_kinds_that_land_together_do_not_hide_behind_one_run_key(home):
    old = datetime(2026, 10, 1, tzinfo=UTC)
    keys = []
    for kind in ("usage", "fx_rates"):
        drop(home, f"{kind}/native/a.csv", "x", changed_at=old)
        keys += [request.run_key for request in look(home, kind).run_requests]
    assert len(set(keys)) == 2


# --- an archive, month by month -------------------------------------------------------------------------------------


def test_a_backfill_loads_the_files_of_its_month_and_the_month_that_settles_later_nothing_twice(home):
    september, october = datetime(2026, 9, 15, tzinfo=UTC), datetime(2026, 10, 15, tzinfo=UTC)
    by_month = {
        "2026-09": ["fx_rates/native/2026-09.csv", "fx_rates/native/fx_20260930.csv", "networks/mcc_mnc/a.csv"],
        "2026-10": ["fx_rates/native/fx_2026-10-01.csv", "fx_rates/native/undated.csv", "networks/mcc_mnc/b.csv"],
        "2026-11": ["fx_rates/native/fx_2026-11-01.csv"],
    }
    for month, names in by_month.items():
        for number, name in enumerate(names, start=1):
            content = fx(f"{month}-{number:02}") if "fx" in name else f"{NETWORKS_HEADER}\n262,{month[-2:]},de,x,49,y\n"
            # The name is asked first: a September file that was touched in October is one of September.
            dated = "2026" in name
            drop(home, name, content, changed_at=october if dated or month == "2026-10" else september)

    def loaded() -> set[str]:
        lines = query(home, "select kind || '/' || feed || '/' || file_name, count(*) from ingest.files group by all")
        assert all(count == 1 for _, count in lines)
        return {name for name, _ in lines}

    expected: set[str] = set()
    for month in ("2026-10", "2026-09"):
        run = load_history.execute_in_process(
            partition_key=f"{month}-01", resources={"warehouse": Warehouse(root=str(home.root))}
        )
        expected |= set(by_month[month])
        assert run.success and loaded() == expected
        told = {
            event.asset_key.path[-1]: {label: value.value for label, value in event.materialization.metadata.items()}
            for event in run.get_asset_materialization_events()
        }
        assert {name: (fact["month"], fact["files_loaded"]) for name, fact in told.items()} == {
            "fx_rates__native": (month, 2),
            "networks__mcc_mnc": (month, 1),
        }
        assert all(fact["seconds"] > 0 for fact in told.values())

    job = definitions(home).resolve_job_def("settle_month")
    selection = [dg.AssetKey(["ingest", name]) for name in ("fx_rates__native", "networks__mcc_mnc")]
    settled = job.execute_in_process(asset_selection=selection)
    rates, networks = figures(settled, "fx_rates__native"), figures(settled, "networks__mcc_mnc")
    assert (rates["files_loaded"], rates["files_skipped"], networks["files_loaded"]) == (1, 4, 0)
    assert loaded() == expected | set(by_month["2026-11"])
    assert query(home, "select count(*), count(distinct rate_date) from ingest.fx_rates__native") == [(5, 5)]
    assert query(home, "select count(*) from ingest.networks__mcc_mnc") == [(2,)]


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("usage_2026-09.csv", "2026-09"),
        ("usage_2026-09-30.csv", "2026-09"),
        ("20260930.csv.gz", "2026-09"),
        ("offer 2026.09.30 valid 2026.10.01.xlsx", "2026-09"),
        ("from_2026-12-31_to_2027-01-31.csv", "2026-12"),
        ("account_4420261012.csv", "2025-03"),  # digits of a number, no date
        ("ticket-2026-13.csv", "2025-03"),
        ("undated.csv", "2025-03"),
    ],
)
def test_the_month_of_a_file_is_in_its_name_or_that_of_its_last_change(home, name, month):
    path = drop(home, f"usage/native/{name}", "x", changed_at=datetime(2025, 3, 31, 23, 59, tzinfo=UTC))
    assert month_of(path) == month


# --- are the feeds on time ------------------------------------------------------------------------------------------


def test_a_late_feed_is_warned_of_and_stops_no_run(home):
    """Of three feeds that should come daily one did, one did not, and one was never in use."""
    now = datetime.now(UTC).replace(tzinfo=None)
    columns = {name: FEEDS[name].columns for name in ("usage__native", "usage__telnyx_messages")}
    row = {column.source_name: "x" for column in columns["usage__native"]}
    drop(home, "usage/native/a.csv", f"{','.join(row)}\n{','.join(row.values())}\n")
    row = ", ".join(f'"{column.source_name}": "x"' for column in columns["usage__telnyx_messages"])
    drop(home, "usage/telnyx_messages/a.jsonl", f"{{{row}}}\n")
    ages = {"usage__native": timedelta(hours=23), "usage__telnyx_messages": timedelta(hours=25)}
    with Warehouse(root=str(home.root)).connect() as connection:
        for name, age in ages.items():
            assert FEEDS[name].expected_every_hours == 24
            load = loading.load_feed(connection, FEEDS[name], home.landing, clock=lambda age=age: now - age)
            assert load.files_loaded == 1, load.messages

    run = definitions(home).resolve_job_def("watch_feeds").execute_in_process()
    assert run.success
    found = {check.asset_key.path[-1]: check for check in run.get_asset_check_evaluations()}
    assert found.keys() == {name for name, feed in FEEDS.items() if feed.expected_every_hours}
    assert [name for name, check in found.items() if not check.passed] == ["usage__telnyx_messages"]
    assert {check.severity for check in found.values()} == {dg.AssetCheckSeverity.WARN}
    facts = {name: {label: value.value for label, value in found[name].metadata.items()} for name in found}
    assert facts["usage__native"]["hours_since"] == 23.0
    assert facts["usage__telnyx_messages"] == {
        "last_file_at": f"{now - timedelta(hours=25):%Y-%m-%d %H:%M} UTC",
        "hours_since": 25.0,
        "expected_every_hours": 24,
    }
    unused = found.keys() - ages.keys()
    assert unused and {facts[name]["last_file_at"] for name in unused} == {"none yet: the feed is not in use"}


def test_a_file_that_failed_does_not_make_a_feed_punctual(home):
    drop(home, "usage/native/a.csv", "")
    assert figures(materialize(home, "usage__native"), "usage__native")["files_failed"] == 1
    run = definitions(home).resolve_job_def("watch_feeds").execute_in_process()
    [check] = [check for check in run.get_asset_check_evaluations() if check.asset_key.path[-1] == "usage__native"]
    assert check.metadata["last_file_at"].value == "none yet: the feed is not in use"


# --- a build --------------------------------------------------------------------------------------------------------


@pytest.fixture
def build(home, monkeypatch) -> Callable[..., bool]:
    """A function that runs all models and their checks, or these, on a dbt that does `during` and no more; gives
    whether the run succeeded."""

    def run(
        during: Callable[[], object] = lambda: None,
        models: set[dg.AssetKey] | None = None,
        checks: set[dg.AssetCheckKey] | None = None,
    ) -> bool:
        class Started:
            def stream(self) -> Iterator[object]:
                during()
                yield from ()

        monkeypatch.setattr(DbtCliResource, "cli", lambda *arguments, **options: Started())
        job = definitions(home).resolve_job_def("settle_month")
        every_model = {key for key in job.asset_layer.selected_asset_keys if key.path[0] in MODELLED}
        chosen = job.get_subset(asset_selection=every_model if models is None else models, asset_check_selection=checks)
        return chosen.execute_in_process(raise_on_error=False).success

    return run


def is_whole(home: Home) -> bool:
    with duckdb.connect(str(home.warehouse)) as connection:
        return builds.is_whole(connection)


def fail() -> None:
    raise RuntimeError("a test of dbt failed")


def test_a_build_is_whole_when_all_of_it_ended_well_and_not_before(home, build):
    seen = []
    assert build(lambda: seen.append(is_whole(home))) and is_whole(home)
    assert build(lambda: seen.append(is_whole(home))) and is_whole(home)
    assert seen == [False, False]
    assert not build(fail) and not is_whole(home)
    assert build() and is_whole(home)


def test_a_build_of_a_part_is_not_whole_and_ends_that_the_one_before_was(home, build, graph):
    mart = dg.AssetKey(["settle", "fct_open_items"])
    checks = {key for key in graph.asset_check_keys if key.asset_key.path[0] in MODELLED}
    laws = {key for key in checks if key.name != "fit_to_publish"}
    left_out = min(laws, key=str)
    assert build(checks=laws) and is_whole(home)  # the gate's are no part of the build
    for part in ({"models": {mart}}, {"checks": checks - {left_out}}, {"models": set(), "checks": {left_out}}):
        assert build(**part) and not is_whole(home)
        assert build() and is_whole(home)


def test_rules_that_change_while_dbt_runs_are_not_taken_for_applied(home, build, tmp_path, monkeypatch):
    shutil.copytree(settings.terms_dir(), tmp_path / "terms")
    monkeypatch.setenv("TOLLGATE_TERMS", str(tmp_path / "terms"))
    routes = tmp_path / "terms" / "routes.csv"

    def is_kept_by_others() -> bool:
        with duckdb.connect(str(home.warehouse)) as connection:
            return kept_by_other_rules(connection, rules_fingerprint())

    assert build() and not is_kept_by_others()
    assert build(lambda: routes.write_text(routes.read_text() + "\n")) and is_kept_by_others()
    assert build() and not is_kept_by_others()


# --- what a run shows -----------------------------------------------------------------------------------------------


def test_a_load_shows_its_figures_and_its_seconds(home):
    drop(home, "fx_rates/native/a.csv", fx("2026-10-01", "2026-10-02") + "too,few\n")
    drop(home, "fx_rates/native/b.csv", (home.landing / "fx_rates/native/a.csv").read_text())
    drop(home, "fx_rates/native/c.csv", "")
    drop(home, "fx_rates/native/notes.txt", "x")
    before = time.monotonic()
    facts = figures(materialize(home, "fx_rates__native"), "fx_rates__native")
    assert 0 < facts.pop("seconds") < time.monotonic() - before
    messages = facts.pop("messages").splitlines()
    assert facts == {
        "files_loaded": 1,
        "files_skipped": 0,
        "files_duplicate": 1,
        "files_failed": 1,
        "files_waiting": 0,
        "rows_loaded": 2,
        "rows_quarantined": 1,
    }
    assert len(messages) == 4 and all(
        any(name in message for message in messages) for name in ("a.csv", "b.csv", "c.csv", "notes.txt")
    )


def test_a_table_that_dbt_built_shows_how_many_rows_it_has_and_a_view_is_not_counted(home):
    """dbt itself takes long to read the project, so these two are built without it."""
    keys = [dg.AssetKey(["stage", name]) for name in ("counted", "seen_through", "not_asked_for")]

    @dg.multi_asset(specs=[dg.AssetSpec(key) for key in keys], can_subset=True)
    def build(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[object]:
        with warehouse.connect() as connection:
            connection.execute("create schema stage; create view stage.seen_through as select 1 / 0 as x")
            connection.execute("create table stage.counted as from range(3)")
            connection.execute("create table stage.not_asked_for as from range(4)")
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key)
        yield from _row_counts(context, warehouse)

    run = dg.materialize([build], selection=keys[:2], resources={"warehouse": Warehouse(root=str(home.root))})
    observed = [event.asset_observation_data.asset_observation for event in run.get_asset_observation_events()]
    assert [(seen.asset_key, seen.metadata["rows"].value) for seen in observed] == [(keys[0], 3)]


# --- what goes wrong for a moment -----------------------------------------------------------------------------------


def retries(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in result.all_events)


def test_a_share_that_was_away_for_a_moment_is_asked_again(home, monkeypatch):
    policies = [asset.op.retry_policy for asset in ingest.ingest_assets()]
    assert policies == [ingest.RETRIES] * len(FEEDS) and ingest.RETRIES.max_retries >= 2
    assert int(settle_month.tags["dagster/max_retries"]) >= 1
    monkeypatch.setattr(ingest, "RETRIES", ingest.RETRIES._replace(delay=0.01))
    drop(home, "fx_rates/native/a.csv", fx("2026-10-01"))
    iterdir, refused = Path.iterdir, []

    def away_once(path: Path) -> Iterator[Path]:
        if path == home.landing / "fx_rates" / "native" and not refused:
            refused.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", away_once)
    result = materialize(home, "fx_rates__native")
    assert result.success and len(refused) == 1 and retries(result) == 1
    assert figures(result, "fx_rates__native")["files_loaded"] == 1
    assert query(home, "select rate_date from ingest.fx_rates__native") == [("2026-10-01",)]


def test_a_missing_landing_is_told_and_not_tried_again(home):
    home.landing.rmdir()
    result = materialize(home, "fx_rates__native", raise_on_error=False)
    assert not result.success and retries(result) == 0
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "There is no landing folder" in failure.user_failure_data.description


def test_a_file_that_is_still_being_written_waits_for_the_next_run(home, monkeypatch):
    monkeypatch.setenv("TOLLGATE_QUIET_SECONDS", "0.3")
    drop(home, "fx_rates/native/whole.csv", fx("2026-10-01"))
    path, written, enough = drop(home, "fx_rates/native/growing.csv", fx()), [], threading.Event()

    def keep_writing() -> None:
        with path.open("a") as file:
            while not enough.wait(0.01):
                written.append(f"rate-{len(written)}")
                file.write(f"2026-10-02,EUR,USD,{written[-1]},ECB\n")
                file.flush()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        first = figures(materialize(home, "fx_rates__native"), "fx_rates__native")
    finally:
        enough.set()
        writer.join()
    assert (first["files_loaded"], first["files_waiting"], first["files_failed"]) == (1, 1, 0)
    assert "growing.csv: still being written" in first["messages"]
    assert query(home, "select file_name from ingest.files") == [("whole.csv",)]
    second = figures(materialize(home, "fx_rates__native"), "fx_rates__native")
    assert (second["files_loaded"], second["files_skipped"], second["files_waiting"]) == (1, 1, 0)
    assert second["rows_loaded"] == len(written) > 1
    loaded = query(home, "select rate from ingest.fx_rates__native where rate like 'rate-%' order by _record_number")
    assert [rate for (rate,) in loaded] == written
