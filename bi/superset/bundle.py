"""Writes the bundle that Apache Superset imports: database, datasets, charts and the dashboard of dashboard.yml.

    python bundle.py data/published/settlement.duckdb settlement.zip

A dataset is a mart with all its columns, their descriptions, and a sum of each amount, count and quantity; both are
read from the published file. Names lead to the same UUIDs each time, so that a later import replaces an earlier one.

Belongs here: Superset's formats. Does not belong here: what the dashboard shows (dashboard.yml), setting Superset up
(install.sh). It needs duckdb and pyyaml, of Superset's environment or the project's.
"""

import argparse
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import duckdb
import yaml

DECLARATION = Path(__file__).with_name("dashboard.yml")
SCHEMA = "settle"
DATABASE = "Tollgate"
OURS = UUID("6f0e4b1c-4c39-4d0f-9c3e-6f9d0a5f6a11")
SUMMED = ("_amount", "_count", "_quantity")
ROW_LIMIT = 1000
KINDS = {
    "number": "big_number_total",
    "table": "table",
    "bar": "echarts_timeseries_bar",
    "line": "echarts_timeseries_line",
}
COLUMNS = """
    select columns.table_name, tables.comment, columns.column_name, columns.data_type, columns.comment
    from duckdb_columns() as columns
    join duckdb_tables() as tables using (database_oid, table_oid)
    where columns.schema_name = ?
    order by columns.table_name, columns.column_index
"""

Marts = dict[str, dict[str, Any]]
"""By name: description, and columns with type and description."""


def read_marts(file: Path) -> Marts:
    marts: Marts = {}
    with duckdb.connect(str(file), read_only=True) as connection:
        for mart, description, column, kind, comment in connection.execute(COLUMNS, [SCHEMA]).fetchall():
            columns = marts.setdefault(mart, {"description": description, "columns": {}})["columns"]
            columns[column] = {"type": kind, "description": comment}
    return marts


def declared() -> dict[str, Any]:
    return yaml.safe_load(DECLARATION.read_text(encoding="utf-8"))


def charts(declaration: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in declaration["rows"]:
        yield from row["charts"]


def columns_named(declaration: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each mart and column that a filter or a chart names."""
    for named in declaration["filters"]:
        yield named["mart"], named["column"]
    for chart in charts(declaration):
        names = [*chart.get("columns", []), *chart.get("sums", []), *chart.get("by", [])]
        names += [chart["axis"]] if "axis" in chart else []
        names += [column for column, *_ in [*chart.get("where", []), *_order(chart)]]
        yield from ((chart["mart"], name) for name in names)


# --- Superset's files -----------------------------------------------------------------------------


def uuid(kind: str, name: str) -> str:
    return str(uuid5(OURS, f"{kind} {name}"))


def database(uri: str) -> dict[str, Any]:
    return {
        "database_name": DATABASE,
        "sqlalchemy_uri": uri,
        "uuid": uuid("database", DATABASE),
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True},
        "version": "1.0.0",
    }


def dataset(mart: str, facts: dict[str, Any]) -> dict[str, Any]:
    columns = facts["columns"]
    days = [name for name, column in columns.items() if _is_time(column["type"])]
    return {
        "table_name": mart,
        "schema": SCHEMA,
        "description": facts["description"],
        "main_dttm_col": days[0] if days else None,
        "uuid": uuid("dataset", mart),
        "database_uuid": uuid("database", DATABASE),
        "columns": [
            {
                "column_name": name,
                "verbose_name": _words(name),
                "type": column["type"],
                "description": column["description"],
                "is_dttm": _is_time(column["type"]),
                "is_active": True,
                "groupby": True,
                "filterable": True,
            }
            for name, column in columns.items()
        ],
        "metrics": [
            {"metric_name": "count", "verbose_name": "rows", "expression": "COUNT(*)", "metric_type": "count"},
            *(
                {
                    "metric_name": _sum(name),
                    "verbose_name": _words(name),
                    "expression": f"SUM({name})",
                    "metric_type": "sum",
                    "description": column["description"],
                    "d3format": _format(name),
                }
                for name, column in columns.items()
                if name.endswith(SUMMED)
            ),
        ],
        "version": "1.0.0",
    }


def chart(declaration: dict[str, Any], marts: Marts) -> dict[str, Any]:
    form = _form(declaration, marts[declaration["mart"]]["columns"])
    return {
        "slice_name": declaration["name"],
        "description": declaration.get("note"),
        "viz_type": KINDS[declaration["kind"]],
        "params": form,
        "query_context": json.dumps(_query(declaration, form)),
        "uuid": uuid("chart", declaration["name"]),
        "dataset_uuid": uuid("dataset", declaration["mart"]),
        "version": "1.0.0",
    }


def _form(declaration: dict[str, Any], columns: dict[str, dict[str, str]]) -> dict[str, Any]:
    """What the chart's page in Superset has in its controls."""
    sums = [_sum(name) for name in declaration.get("sums", [])]
    form: dict[str, Any] = {
        "viz_type": KINDS[declaration["kind"]],
        "row_limit": ROW_LIMIT,
        "adhoc_filters": [
            {
                "clause": "WHERE",
                "expressionType": "SIMPLE",
                "subject": column,
                "operator": operator,
                "comparator": comparator[0] if comparator else None,
            }
            for column, operator, *comparator in declaration.get("where", [])
        ],
    }
    if declaration["kind"] == "number":
        (metric,) = sums
        sizes = {"header_font_size": 0.3, "subheader_font_size": 0.15}
        return form | sizes | {"metric": metric, "subheader": declaration["note"], "y_axis_format": _format(metric)}
    if declaration["kind"] == "table":
        formats = {_sum(name) if name in declaration.get("sums", []) else name: _format(name) for name in columns}
        shown = {
            "table_timestamp_format": "%Y-%m-%d",
            "column_config": {name: {"d3NumberFormat": text} for name, text in formats.items() if text},
            "show_cell_bars": False,
        }
        if sums:
            form |= {"query_mode": "aggregate", "groupby": declaration["columns"], "metrics": sums}
            form |= {"timeseries_limit_metric": _sum(declaration["order"][0]), "order_desc": True}
        else:
            order = [json.dumps(column) for column in _order(declaration)]
            form |= {"query_mode": "raw", "all_columns": declaration["columns"], "order_by_cols": order}
        return form | shown
    axis = declaration["axis"]
    return form | {
        "x_axis": axis,
        "time_grain_sqla": "P1D" if _is_time(columns[axis]["type"]) else None,
        "metrics": sums,
        "groupby": declaration.get("by", []),
        "x_axis_sort_asc": True,
        "stack": "Stack" if declaration["kind"] == "bar" else None,
        "show_legend": True,
        "rich_tooltip": True,
        "y_axis_format": _format(declaration["sums"][0]),
    }


def _query(declaration: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """What the chart asks, for those who ask without a browser: the API, alerts, reports."""
    columns = list(declaration.get("columns", []))
    metrics = [_sum(name) for name in declaration.get("sums", [])]
    if "axis" in declaration:
        axis = {
            "columnType": "BASE_AXIS",
            "expressionType": "SQL",
            "sqlExpression": declaration["axis"],
            "label": declaration["axis"],
            "timeGrain": form["time_grain_sqla"],
        }
        columns = [axis, *declaration.get("by", [])]
    if declaration["kind"] == "table" and metrics:
        order = [[form["timeseries_limit_metric"], False]]
    else:
        order = _order(declaration)
    query = {
        "columns": columns,
        "filters": [
            {"col": column, "op": operator, "val": comparator[0] if comparator else None}
            for column, operator, *comparator in declaration.get("where", [])
        ],
        "orderby": order,
        "row_limit": ROW_LIMIT,
    }
    # A query without metrics lists rows; one with an empty list of them would group by all its columns.
    return {
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": [query | ({"metrics": metrics} if metrics else {})],
        "form_data": form,
        "result_format": "json",
        "result_type": "full",
    }


def dashboard(declaration: dict[str, Any]) -> dict[str, Any]:
    title = declaration["title"]
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]},
    }
    for number, row in enumerate(declaration["rows"], 1):
        row_id = f"ROW-{number}"
        position["GRID_ID"]["children"].append(row_id)
        position[row_id] = {
            "type": "ROW",
            "id": row_id,
            "children": [],
            "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for one in row["charts"]:
            chart_id = f"CHART-{uuid('chart', one['name'])}"
            position[row_id]["children"].append(chart_id)
            position[chart_id] = {
                "type": "CHART",
                "id": chart_id,
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row_id],
                "meta": {
                    "chartId": len(position),  # any number: the import puts its own
                    "uuid": uuid("chart", one["name"]),
                    "sliceName": one["name"],
                    "width": one["width"],
                    "height": row["height"],
                },
            }
    return {
        "dashboard_title": title,
        "description": "What Tollgate published.",
        "slug": title.lower(),
        "uuid": uuid("dashboard", title),
        "published": True,
        "position": position,
        "metadata": {
            "color_scheme": "supersetColors",
            "native_filter_configuration": [_filter(one) for one in declaration["filters"]],
        },
        "version": "1.0.0",
    }


def _filter(declaration: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{uuid('filter', declaration['name'])}",
        "name": declaration["name"],
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"datasetUuid": uuid("dataset", declaration["mart"]), "column": {"name": declaration["column"]}}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "controlValues": {"multiSelect": True, "enableEmptyFilter": False, "inverseSelection": False},
        "defaultDataMask": {"extraFormData": {}, "filterState": {}},
        "cascadeParentIds": [],
    }


def _order(chart: dict[str, Any]) -> list[list[Any]]:
    """Columns, and whether they rise."""
    return [[column.removeprefix("-"), not column.startswith("-")] for column in chart.get("order", [])]


def _is_time(kind: str) -> bool:
    return kind.startswith(("DATE", "TIMESTAMP"))


def _sum(column: str) -> str:
    return f"sum__{column}"


def _words(column: str) -> str:
    return column.removesuffix("_id").replace("_", " ")


def _format(column: str) -> str | None:
    """Of an amount three decimals where it has them: a dinar has thousandths."""
    return ",.3~f" if column.endswith("_amount") else ",d" if column.endswith("_count") else None


# --- The bundle -----------------------------------------------------------------------------------


def bundle(marts: Marts, uri: str, declaration: dict[str, Any]) -> dict[str, Any]:
    """Every file of the bundle, by its path in it."""
    return {
        "metadata.yaml": {"version": "1.0.0", "type": "Dashboard", "timestamp": "2026-01-01T00:00:00+00:00"},
        f"databases/{DATABASE}.yaml": database(uri),
        **{f"datasets/{DATABASE}/{mart}.yaml": dataset(mart, facts) for mart, facts in marts.items()},
        **{f"charts/{uuid('chart', one['name'])}.yaml": chart(one, marts) for one in charts(declaration)},
        f"dashboards/{declaration['title']}.yaml": dashboard(declaration),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("published", type=Path, help="published/settlement.duckdb")
    parser.add_argument("bundle", type=Path, help="the zip file to write")
    parser.add_argument("--uri", help="SQLAlchemy URI of the marts elsewhere, e.g. in PostgreSQL after a push")
    arguments = parser.parse_args()
    # Not resolved: behind the lasting name stands the latest publication.
    uri = arguments.uri or f"duckdb:///{arguments.published.absolute()}?access_mode=READ_ONLY"
    files = bundle(read_marts(arguments.published), uri, declared())
    with zipfile.ZipFile(arguments.bundle, "w", zipfile.ZIP_DEFLATED) as written:
        for path, content in files.items():
            written.writestr(f"settlement/{path}", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    main()
