"""The folder of terms that dbt gets: what was added later may be left out of it, and all options are told."""

import csv
import os
import shutil
from pathlib import Path

from orchestration import settings, terms

SEEDS = settings.PROJECT_DIR / "seeds"


def header_of(file: Path) -> list[str]:
    with file.open(newline="") as opened:
        return next(csv.reader(opened))


def test_terms_of_before_plans_had_options_blocks_and_ratios_are_handed_on_completed(tmp_path, monkeypatch):
    folder = tmp_path / "terms"
    shutil.copytree(terms.DEMO_TERMS, folder)
    (folder / "plan_options.csv").unlink()
    old = "plan_id,tier_number,up_to_quantity,unit_amount,flat_amount\nacme-sms,1,,0.0790,0\n"
    (folder / "plan_tiers.csv").write_text(old)
    monkeypatch.setenv("TOLLGATE_TERMS", str(folder))
    monkeypatch.setenv("TOLLGATE_TERMS_COPY", "")
    terms.hand_to_dbt()
    copy = settings.PROJECT_DIR / os.environ["TOLLGATE_TERMS_COPY"]
    try:
        for name in ("plan_tiers.csv", "plan_options.csv"):
            assert header_of(copy / name) == header_of(terms.DEMO_TERMS / name)
        assert (copy / "plan_tiers.csv").read_text().splitlines()[1] == "acme-sms,1,,0.0790,0,,"
        assert (copy / "plan_options.csv").read_text().count("\n") == 1
        assert (folder / "plan_tiers.csv").read_text() == old  # what the owner has is never written to
    finally:
        shutil.rmtree(copy)


def test_every_option_of_a_plan_is_documented_with_its_default():
    told = (settings.PROJECT_DIR / "docs" / "terms.md").read_text().partition("## Price plans")[2].splitlines()
    with (SEEDS / "reference" / "plan_option_kinds.csv").open(newline="") as file:
        options = list(csv.DictReader(file))
    assert len(options) >= 28
    for option in options:
        (row,) = [line for line in told if line.startswith(f"| `{option['option_name']}` |")]
        assert option["description"] in row
        assert not option["default_value"] or f"| `{option['default_value']}` |" in row
