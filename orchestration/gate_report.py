"""The gate's page, `reports/gate.html`: one file that opens anywhere, calls nobody and can be printed or
mailed.

Belongs here: words, numbers and layout of the page. Does not belong here: finding anything out (`gate.py`).
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration import pages

if TYPE_CHECKING:
    from orchestration.gate import GateResult, Outcome


def write_page(result: "GateResult", file: Path) -> Path:
    """Write the page of a gate's result to `file`, replacing an earlier one; returns `file`."""
    environment = pages.environment()
    environment.filters.update(money=money_text, count=count_text)
    environment.tests["number"] = lambda value: re.fullmatch(r"-?\d+(\.\d+)?", value or "") is not None
    page = environment.get_template("gate.html.j2").render(
        result=result,
        marts=sorted(result.marts, key=lambda mart: (mart.passed, not mart.messages, mart.mart)),
        blocking=sum(outcome.blocks for mart in result.marts for outcome in mart.outcomes),
        warnings=sum(not outcome.blocks for mart in result.marts for outcome in mart.failures),
        expectations=sum(len(mart.outcomes) for mart in result.marts),
        state=state,
    )
    file.write_text(page, encoding="utf-8")
    return file


def state(outcome: "Outcome") -> str:
    """The word, and the style, of an outcome: `holds`, `failed`, `warning` or `info`."""
    if outcome.success:
        return "holds"
    return "failed" if outcome.blocks else outcome.severity


def money_text(money: Mapping[str, Decimal]) -> str:
    """`1,204.50 EUR, 88.00 USD`: every digit that counts, two decimals at least."""
    return ", ".join(f"{_amount_text(amount)} {currency}" for currency, amount in sorted(money.items()))


def _amount_text(amount: Decimal) -> str:
    decimals = max(2, -amount.normalize().as_tuple().exponent)
    return f"{amount:,.{decimals}f}"


def count_text(number: int, noun: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
