"""A warehouse that is thrown away, on which the models answer what would be if something else were agreed.

Belongs here: making it, building the real models on it. Does not belong here: what is copied into it and what is asked
(`deck.py`, `plan.py`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import duckdb

from orchestration import file_ledger, ledger
from orchestration.dbt_run import dbt, succeeded
from orchestration.settings import Home
from orchestration.sql import quote_text


class CannotAnswer(Exception):
    """The question is asked wrongly, or there is nothing to answer it with. The message says what to do."""


@contextmanager
def own_environment() -> Iterator[None]:
    """dbt reads places from the environment; what is set inside is unset again."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Scratch:
    """A warehouse that is thrown away. Its schema `what_if` holds what stands beside the models' own tables."""

    def __init__(self, home: Home, manifest: object) -> None:
        self.home = home
        self.manifest = manifest
        home.warehouse.parent.mkdir(parents=True)
        os.environ["TOLLGATE_WAREHOUSE"] = str(home.warehouse)
        with self.connect() as connection:
            file_ledger.prepare(connection)
            ledger.prepare(connection, home.published)
            connection.execute("create schema stage; create schema rate; create schema what_if")

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(str(self.home.warehouse)) as connection:
            connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
            yield connection

    @contextmanager
    def beside(self, home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
        """This warehouse as `scratch` and the home's, which is only read, as `tollgate`: so its views know it."""
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
            connection.execute(f"attach {quote_text(home.warehouse)} as tollgate (read_only)")
            connection.execute(f"attach {quote_text(self.home.warehouse)} as scratch")
            yield connection

    def build(self, *selected: str, exclude: tuple[str, ...] = ()) -> None:
        """The real models, anew and without their tests."""
        if self.manifest is None:
            self.manifest = succeeded(dbt(self.home.root, "parse")).result
        options = ["--full-refresh", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        options += ["--select", *selected, *(["--exclude", *exclude] if exclude else [])]
        succeeded(dbt(self.home.root, "build", *options, manifest=self.manifest))


def column(connection: duckdb.DuckDBPyConnection, query: str, parameters: object = None) -> list:
    """The values of a query's one column."""
    return [value for (value,) in connection.execute(query, parameters).fetchall()]


def next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
