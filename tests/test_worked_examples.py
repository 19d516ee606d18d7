"""dbt's unit tests: each rule of the models on a few invented rows. They prove the models, not a month."""

import duckdb

from orchestration import file_ledger, ledger
from orchestration.dbt_run import dbt


def test_every_worked_example_of_a_rule_holds(tmp_path, monkeypatch):
    warehouse = tmp_path / "tollgate.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        file_ledger.prepare(connection)
        ledger.prepare(connection, tmp_path)
    monkeypatch.delenv("TOLLGATE_TERMS", raising=False)
    monkeypatch.setenv("TOLLGATE_WAREHOUSE", str(warehouse))
    # The examples take the types of their inputs from relations, so these must exist, if empty.
    built = dbt(tmp_path, "build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    assert built.success, built.exception
    results = dbt(tmp_path, "test", "--select", "test_type:unit").result.results
    examples = [result for result in results if result.node.resource_type == "unit_test"]  # and not the hook at its end
    assert len(examples) > 40
    failed = {example.node.name: example.message for example in examples if example.status != "pass"}
    assert not failed, "\n".join(f"{name}:\n{message}" for name, message in failed.items())
