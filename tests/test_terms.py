"""The folder of terms: what was added later may be left out of it, its tables are loaded, and all options are told."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration import settings, terms
from orchestration.dbt_run import dbt, succeeded

SEEDS = settings.PROJECT_DIR / "seeds"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's terms, named by TOLLGATE_TERMS."""
    copy = tmp_path / "our terms"
    shutil.copytree(terms.DEMO_TERMS, copy)
    monkeypatch.setenv("TOLLGATE_TERMS", str(copy))
    return copy


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dbt_project) -> Callable[..., list[tuple]]:
    """A function that has dbt load these tables of the folder and gives the rows of the first one."""

    def load(*tables: str) -> list[tuple]:
        terms.check()
        warehouse = tmp_path / "tollgate.duckdb"
        monkeypatch.setenv("TOLLGATE_WAREHOUSE", str(warehouse))
        succeeded(dbt(tmp_path, "seed", "--select", *tables, manifest=dbt_project.parsed))
        with duckdb.connect(str(warehouse)) as connection:
            return connection.execute(f"from terms.{tables[0]} order by all").fetchall()

    return load


def test_terms_of_before_plans_had_blocks_and_ratios_still_hold(folder: Path, loaded):
    old = 'tier_number,plan_id,our_note,up_to_quantity,unit_amount,flat_amount\n1,acme-sms,"a, b",,0.0790,0\n'
    (folder / "plan_tiers.csv").write_text(old)
    assert loaded("plan_tiers") == [("acme-sms", "1", None, "0.0790", "0", None, None)]
    assert (folder / "plan_tiers.csv").read_text() == old  # what the owner has is never written to


def test_what_a_folder_of_terms_does_not_hold_is_not_agreed(folder: Path, loaded):
    optional = sorted(name.removesuffix(".csv") for name in terms.OPTIONAL_FILES)
    with (folder / "destination_codes.csv").open("a") as file:  # the demo has none
        file.write("nordlink,Germany,49\n")
    assert len(loaded("destination_codes")) == 1 and len(loaded("numbers")) == 10
    for name in optional:
        (folder / f"{name}.csv").unlink()
    assert loaded(*optional) == loaded("numbers") == loaded("destination_codes") == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("account_id,valid_from_date,valid_until_date\na,2025-01-01,\n", "lacks the columns partner_id"),
        (
            "account_id,partner_id,valid_from_date,valid_until_date\na,acme,2025-01-01,\nb,acme,2025-01-01\n",
            "accounts.csv: row 3 has 3 cells and the header 4",
        ),
        (None, "accounts.csv is missing"),
    ],
)
def test_a_file_of_terms_that_cannot_be_read_as_a_table_is_told_before_anything_runs(folder: Path, rows, told):
    (folder / "accounts.csv").write_text(rows) if rows else (folder / "accounts.csv").unlink()
    with pytest.raises(terms.TermsError, match=told):
        terms.check()


def test_another_home_with_other_terms_does_not_make_dbt_read_the_project_again(folder: Path, tmp_path, monkeypatch):
    """It would take half a minute, in each what-if and each new home."""
    monkeypatch.setenv("TOLLGATE_WAREHOUSE", str(tmp_path / "tollgate.duckdb"))
    terms.check()
    succeeded(dbt(tmp_path, "parse"))
    told = (tmp_path / "logs" / "dbt.log").read_text()
    assert "skipping partial parsing" in told and "Unable to do partial parsing" not in told


def test_every_option_of_a_plan_is_documented_with_its_default():
    told = (settings.PROJECT_DIR / "docs" / "terms.md").read_text().partition("## Price plans")[2].splitlines()
    with (SEEDS / "reference" / "plan_option_kinds.csv").open(newline="") as file:
        options = list(csv.DictReader(file))
    assert len(options) >= 28
    for option in options:
        (row,) = [line for line in told if line.startswith(f"| `{option['option_name']}` |")]
        assert option["description"] in row
        assert not option["default_value"] or f"| `{option['default_value']}` |" in row
