"""What Dagster is given: the graph, its groups, the job, the schedule and the sensor."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from orchestration.resources import Warehouse
from orchestration.schedules import every_morning, files_landed

VERBS = ["ingest", "stage", "rate", "attribute", "reconcile", "settle", "gate", "publish"]


@pytest.fixture(scope="module")
def graph():
    from orchestration.definitions import defs

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


def test_the_main_job_covers_every_asset_and_every_gate(graph):
    from orchestration.definitions import defs

    job = defs.resolve_job_def("settle_month")
    assert job.asset_layer.selected_asset_keys == {node.key for node in graph.asset_nodes if node.is_materializable}
    gates = [key for key in graph.asset_check_keys if key.name == "fit_to_publish"]
    assert len(gates) == len(list((Path(__file__).parents[1] / "models" / "settle").glob("fct_*.sql")))
    assert all(graph.get(key).blocking for key in gates)


def test_a_law_between_verbs_is_a_check_that_dagster_shows(graph):
    laws = {file.stem for file in (Path(__file__).parents[1] / "tests").glob("*/assert_*.sql")}
    assert laws and laws <= {key.name for key in graph.asset_check_keys}


def test_the_month_settles_every_morning():
    assert (every_morning.cron_schedule, every_morning.execution_timezone) == ("0 5 * * *", "UTC")


def look(home: Path, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(cursor=cursor, resources={"warehouse": Warehouse(root=str(home))}) as context:
        return files_landed(context)


def test_the_sensor_starts_one_run_for_files_that_are_complete(tmp_path):
    assert "does not exist" in look(tmp_path).skip_message
    file = tmp_path / "landing" / "usage" / "native" / "day.csv"
    file.parent.mkdir(parents=True)
    assert "holds no files" in look(tmp_path).skip_message
    file.write_text("event_id\n")
    assert "until it is complete" in look(tmp_path).skip_message
    os.utime(file, (time.time() - 60, time.time() - 60))
    first = look(tmp_path)
    assert len(first.run_requests) == 1
    assert "nothing new" in look(tmp_path, first.cursor).skip_message
    os.utime(file, (time.time() - 50, time.time() - 50))
    assert look(tmp_path, first.cursor).cursor != first.cursor
