"""The simulated year whose orders `make year` compares: what it lands is read and means something, in every order."""

from collections import Counter

import duckdb
import pytest

from orchestration import terms
from simulation.year import Year


@pytest.fixture
def year(tmp_path) -> Year:
    """Three orders in four steps, landed as a whole and not run."""
    return Year(tmp_path, orders=3, steps=4, seed=1, tell=lambda line: None)


def test_every_order_holds_the_same_facts_and_the_first_one_all_at_once(year: Year):
    arrivals = year.arrivals()
    assert len(arrivals) == 4
    counts = [
        Counter(
            (kind, tuple(cell.replace(f"{order:03}", "NNN") for cell in row))
            for arrived in arrivals
            for kind, rows in arrived.items()
            for row in rows
            if any(f"-{order:03}" in cell for cell in row)
        )
        for order in range(3)
    ]
    assert counts[0] == counts[1] == counts[2] and counts[0].total() > 200
    first, *others = [{cell for rows in arrived.values() for row in rows for cell in row} for arrived in arrivals]
    assert "carrier-000" in first and not any("carrier-000" in cells for cells in others)
    assert all("carrier-001" in cells and "carrier-002" in cells for cells in (first, *others))


def test_nothing_of_the_year_is_refused_or_set_aside(year: Year, staged, monkeypatch):
    year.write_terms()
    monkeypatch.setenv("TOLLGATE_TERMS", str(year.terms))
    terms.check()
    for step, arrived in enumerate(year.arrivals()):
        year.land(step, arrived)
    with duckdb.connect(str(staged(year.home / "landing"))) as connection:
        for table in ("ingest.quarantine", "stage.int_rows_refused", "stage.int_terms_refused"):
            assert connection.execute(f"from {table}").fetchall() == []
        (events, invoices) = connection.execute(
            """select (select count(*) from stage.int_events_deduplicated),
                (select count(distinct carrier_id || invoice_number || invoice_version)
                from stage.int_invoice_lines_collected)"""
        ).fetchone()
    assert (events, invoices) == (3 * 12 * 8, 3 * 16)


def test_another_seed_draws_other_orders(tmp_path):
    drawn = [Year(tmp_path, 3, 4, seed, print).arrivals() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
