"""Figures as text: amounts with all their digits, quantities with their units, instants.

Belongs here: how a figure is written. Does not belong here: where it comes from.
"""

import json
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

UNITS = {
    "second": "s", "segment": "segments", "message": "messages", "byte": "bytes",
    "participant_second": "participant seconds", "verification": "verifications",
}  # fmt: skip
MODES = {"half_up": "half up", "half_even": "half even", "up": "up", "down": "down"}


def plain(value: Decimal | Fraction | int) -> str:
    """All its decimals and no more; of a fraction that has no end, twelve and dots."""
    exact = Fraction(value)
    for decimals in range(25):
        if (units := exact * 10**decimals).denominator == 1:
            return f"{Decimal(units.numerator).scaleb(-decimals):f}"
    whole = exact.numerator * 10**12 // exact.denominator
    return f"{Decimal(whole).scaleb(-12):f}..."


def value(value: Any) -> str:
    """What a column holds."""
    return plain(value) if isinstance(value, Decimal | Fraction) else str(value)


def instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}" + (f"{instant:.%f}".rstrip("0") if instant.microsecond else "")


def as_json(facts: Any) -> str:
    """Facts for a program: amounts and quantities as text, for a float would not keep them; instants in UTC."""

    def plainly(value: Any) -> Any:
        if isinstance(value, Decimal | Fraction):
            return plain(value)
        if isinstance(value, datetime):
            return f"{value.isoformat()}Z"
        if isinstance(value, date):
            return value.isoformat()
        if is_dataclass(value):
            return asdict(value)
        if isinstance(value, Path):
            return str(value)
        raise TypeError(f"{type(value).__name__} has no form in JSON: {value!r}")

    return json.dumps(facts, default=plainly, indent=2, ensure_ascii=False)


def unit(unit: str, quantity: Decimal | int = 0) -> str:
    return unit if quantity == 1 and unit != "second" else UNITS.get(unit, unit)


def masked(digits: str, number: str) -> str:
    """A number, or digits that it begins with, without the number's last four digits; of an address its place alone.

    A name in place of a number stays; what holds digits beside other characters is hidden whole.
    """
    if "@" in digits:
        return f"****@{digits.rpartition('@')[2]}"
    if digits.isdigit():
        return digits[: max(len(number) - 4, 0)].ljust(len(digits), "*")
    return "****" if any(map(str.isdigit, digits)) else digits
