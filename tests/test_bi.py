"""What BI tools read: every table described, clients that see whole publications, and a dashboard that is true.

The tests marked `superset` install Apache Superset from the package index (some minutes, 800 MB): `pytest -m superset`.
"""

import importlib.util
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest
import requests
import sqlalchemy
from conftest import PROJECT, check
from sqlalchemy.pool import NullPool
from test_publish import build_home, publish_home, write_marts

from orchestration.publish import publish

SUPERSET = PROJECT / "bi" / "superset"
SECONDS_OF_PUBLISHING = 60


@pytest.fixture(scope="module")
def bundle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle", SUPERSET / "bundle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Readers of the file --------------------------------------------------------------------------------------------------


def test_a_sqlalchemy_client_as_documented_gets_decimals_and_the_next_publication(tmp_path):
    home = build_home(tmp_path)
    publish_home(home)
    uri = f"duckdb:///{home}/published/settlement.duckdb"
    engine = sqlalchemy.create_engine(uri, connect_args={"read_only": True}, poolclass=NullPool)

    def ask(sql: str) -> list[tuple]:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(sql))]

    assert ask("select distinct marker from settle.dim_carriers") == [(1,)]
    write_marts(home, marker=2)
    publish_home(home)
    assert ask("select distinct marker from settle.dim_carriers") == [(2,)]
    assert ask("select amount from settle.fct_disputes where dispute_id = 'D-2-1'") == [(Decimal("0.14"),)]
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="read-only"):
        ask("delete from settle.dim_carriers")
    seen = sqlalchemy.inspect(engine)
    assert "fct_disputes" in seen.get_table_names("settle")
    assert seen.get_table_comment("fct_disputes", "settle") == {"text": "One row per carrier's dispute."}
    comments = {column["name"]: column["comment"] for column in seen.get_columns("fct_disputes", "settle")}
    assert comments["amount"] == "What we claim."


# The dashboard of Superset --------------------------------------------------------------------------------------------


def test_the_dashboard_names_columns_that_the_marts_have(bundle, dbt_project):
    marts = dbt_project.nodes("model")
    check(
        {
            f"{mart}.{column}"
            for mart, column in bundle.columns_named(bundle.declared())
            if mart not in marts or column not in marts[mart]["columns"]
        },
        "A chart of a column that is not there shows an error in place of money. Change bi/superset/dashboard.yml:",
    )


def test_the_dashboard_sums_what_has_a_sum_and_never_over_currencies(bundle, dbt_project):
    marts = dbt_project.nodes("model")

    def is_in_one_currency(chart: dict[str, Any]) -> bool:
        currencies = [name for name in marts[chart["mart"]]["columns"] if name.endswith("currency")]
        shown = {*chart.get("columns", []), *chart.get("by", [])}
        sums_money = any(name.endswith("_amount") for name in chart.get("sums", []))
        return not sums_money or currencies == ["reporting_currency"] or not shown.isdisjoint(currencies)

    charts = list(bundle.charts(bundle.declared()))
    check(
        (chart["name"] for chart in charts if not is_in_one_currency(chart)),
        "Euro and yen do not add up. Show the currency among the columns, or in `by`:",
    )
    check(
        {name for chart in charts for name in chart.get("sums", []) if not name.endswith(bundle.SUMMED)},
        "A dataset has a sum of each amount, count and quantity, and of nothing else:",
    )


def test_the_bundle_is_whole_and_the_same_each_time(bundle, demo, tmp_path):
    published = demo[0] / "published" / "settlement.duckdb"
    marts = bundle.read_marts(published)
    files = bundle.bundle(marts, "duckdb:////x", bundle.declared())
    assert files == bundle.bundle(marts, "duckdb:////x", bundle.declared())
    uuids = {file["uuid"] for file in files.values() if "uuid" in file}
    assert len(uuids) == len(files) - 1, "each file has a UUID of its own, but for metadata.yaml"
    for path, file in files.items():
        if path.startswith("datasets/"):
            assert file["database_uuid"] in uuids and file["description"].startswith("One row per ")
            assert all(column["description"] for column in file["columns"]), path
        if path.startswith("charts/"):
            assert file["dataset_uuid"] in uuids
    (dashboard,) = (file for path, file in files.items() if path.startswith("dashboards/"))
    placed = [
        part["meta"]
        for part in dashboard["position"].values()
        if isinstance(part, dict) and "width" in part.get("meta", {})
    ]
    assert {part["uuid"] for part in placed} == {
        file["uuid"] for path, file in files.items() if path.startswith("charts/")
    }
    for row in bundle.declared()["rows"]:
        assert sum(chart["width"] for chart in row["charts"]) == 12


# Superset itself ------------------------------------------------------------------------------------------------------


class Superset:
    """A signed-in client of a running Superset."""

    def __init__(self, address: str, password: str) -> None:
        self.address = address
        self.password = password
        self.session = requests.Session()
        tokens = self._answer("post", "/api/v1/security/login", json={
            "username": "admin", "password": password, "provider": "db", "refresh": False,
        })  # fmt: skip
        self.session.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        answer = self.session.request(method, f"{self.address}{path}", timeout=120, **options)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return answer.json()

    def charts(self) -> dict[str, int]:
        found = self._answer("get", "/api/v1/chart/", params={"q": "(page_size:100)"})["result"]
        return {chart["slice_name"]: chart["id"] for chart in found}

    def rows(self, chart: int) -> list[dict[str, Any]]:
        (result,) = self._answer("get", f"/api/v1/chart/{chart}/data/", params={"force": "true"})["result"]
        assert not result["is_cached"] and result["status"] == "success", result
        return result["data"]


@pytest.fixture(scope="module")
def settled(demo, tmp_path_factory) -> Path:
    """A home with the demo's publication that a test may replace."""
    home = tmp_path_factory.mktemp("bi") / "home"
    for folder in ("warehouse", "published"):
        shutil.copytree(demo[0] / folder, home / folder, symlinks=True)
    return home


@pytest.fixture(scope="module")
def superset(settled, tmp_path_factory) -> Iterator[Superset]:
    folder = tmp_path_factory.mktemp("superset")
    subprocess.run([SUPERSET / "install.sh", folder], env=environment(settled), check=True, timeout=1800)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([folder / "start.sh", str(port)], env=environment(settled), stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, server)
        yield Superset(address, (folder / "admin_password").read_text().strip())
    finally:
        server.terminate()
        server.wait(timeout=60)
        shutil.rmtree(folder / "venv")  # pytest keeps the folders of three runs


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"TOLLGATE_HOME": str(home)}


def wait_for(address: str, server: subprocess.Popen) -> None:
    for _ in range(180):
        assert server.poll() is None, "Superset ended by itself; its log stands in its folder"
        try:
            if requests.get(f"{address}/health", timeout=5).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(1)
    pytest.fail("Superset did not answer within three minutes")


class Publisher:
    """Publishes the demo's marts and the same with every amount and count doubled, in turn."""

    def __init__(self, home: Path, marts: set[str]) -> None:
        self.home = home
        self.marts = marts
        self.count = 0
        with self._warehouse() as warehouse:
            for kind in ("single", "doubled"):
                warehouse.execute(f"create schema {kind}")
            for mart in marts:
                warehouse.execute(f"create table single.{mart} as from settle.{mart}")
                warehouse.execute(f"create table doubled.{mart} as {self._doubled(warehouse, mart)}")

    def publish(self, kind: str) -> None:
        with self._warehouse() as warehouse:
            for mart in self.marts:
                warehouse.execute(f"delete from settle.{mart}")
                warehouse.execute(f"insert into settle.{mart} from {kind}.{mart}")
            self.count += bool(publish(warehouse, self.home / "published").changed_tables)

    def _warehouse(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.home / "warehouse" / "tollgate.duckdb"))

    def _doubled(self, warehouse: duckdb.DuckDBPyConnection, mart: str) -> str:
        columns = warehouse.execute(
            """select column_name from duckdb_columns() where schema_name = 'settle' and table_name = ?
            and regexp_matches(column_name, '_(amount|count)$')""",
            [mart],
        ).fetchall()
        return f"select * replace ({', '.join(f'2 * {name} as {name}' for (name,) in columns)}) from settle.{mart}"


def of_a_set(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in no order: those that a chart's own order leaves open come as they like."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.superset
def test_superset_answers_each_chart_from_one_publication_while_another_replaces_it(superset, settled, bundle):
    declared = list(bundle.charts(bundle.declared()))
    charts = superset.charts()
    assert charts.keys() == {chart["name"] for chart in declared}
    publisher = Publisher(settled, {chart["mart"] for chart in declared})
    answers = {}
    for kind in ("doubled", "single"):
        publisher.publish(kind)
        answers[kind] = {name: of_a_set(superset.rows(chart)) for name, chart in charts.items()}
    check(
        (name for name in charts if answers["single"][name] == answers["doubled"][name]),
        "A chart that says the same of other marts shows nothing of them:",
    )
    is_over = threading.Event()
    seen: Counter = Counter()
    mixed: list[str] = []

    def ask(first: int) -> None:
        names = list(charts)
        for name in itertools.cycle(names[first:] + names[:first]):
            if is_over.is_set():
                return
            rows = of_a_set(superset.rows(charts[name]))
            found = next((kind for kind, known in answers.items() if known[name] == rows), None)
            seen[name, found] += 1
            if found is None:
                mixed.append(f"{name}: {rows[:3]}")

    before = publisher.count
    with ThreadPoolExecutor(3) as readers:
        asking = [readers.submit(ask, first) for first in (0, 4, 8)]
        until = time.monotonic() + SECONDS_OF_PUBLISHING
        try:
            for kind in itertools.cycle(("doubled", "single")):
                publisher.publish(kind)
                if time.monotonic() > until or any(one.done() for one in asking):
                    break
        finally:
            is_over.set()
        for one in asking:
            one.result()
    replaced = publisher.count - before
    counts = Counter(kind for _, kind in seen.elements())
    print(f"{replaced} publications, {seen.total()} answers of {len(charts)} charts: {dict(counts)}")
    assert not mixed
    assert replaced > 10 and all(seen[name, "single"] + seen[name, "doubled"] > 1 for name in charts)
    assert counts["single"] and counts["doubled"]
    check(
        (name for name, chart in charts.items() if of_a_set(superset.rows(chart)) != answers[kind][name]),
        "When nobody publishes any more each chart shows the last publication. Not these:",
    )


@pytest.mark.superset
def test_the_dashboard_opens_in_a_browser_and_each_chart_has_an_answer(superset, bundle, browser, tmp_path):
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    answers = []
    page.on("response", lambda response: answers.append(response))
    page.goto(f"{superset.address}/login/")
    page.fill("#username", "admin")
    page.fill("#password", superset.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/superset/welcome/")
    page.goto(f"{superset.address}/superset/dashboard/settlement/")
    declared = list(bundle.charts(bundle.declared()))
    for chart in declared:
        drawn = page.locator(f"[data-test-chart-name='{chart['name']}']")
        drawn.scroll_into_view_if_needed()
        drawn.locator("[data-test='slice-container']").wait_for()
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")
    picture = tmp_path / "dashboard.png"
    page.screenshot(path=picture, full_page=True)
    print(f"a picture is in {picture}")
    charted = [answer.status for answer in answers if "/api/v1/chart/data" in answer.url]
    assert len(charted) >= len(declared) and set(charted) == {200}
    assert page.locator(".ant-alert-error").count() == 0
    check(
        {answer.url for answer in answers if not answer.url.startswith((superset.address, "data:", "blob:"))},
        "Settlement data is nobody's business: superset_config.py lets a page ask its own server alone. It asked:",
    )
    context.close()
