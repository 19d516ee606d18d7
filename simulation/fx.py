"""The exchange rates of the month: the European Central Bank's, from the history that CurrencyConverter
ships.

Belongs here: reading them and writing the landing files. The ECB quotes no Kuwaiti dinar, so a second file
derives one.
"""

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from currency_converter import CurrencyConverter, RateNotFoundError

from simulation.terms import Month

DAYS_BEFORE = 40
# The dinar follows a basket that is mostly dollars; one fixed factor is near enough for a simulated month.
DINARS_PER_DOLLAR = Decimal("0.30750")
COLUMNS = ("rate_date", "base_currency", "quote_currency", "rate", "source")


def ecb_rates(month: Month) -> dict[date, dict[str, Decimal]]:
    """Units of each currency for one euro, by working day, from 40 days before the month to its end.

    ValueError where the bundled history has no day of that time.
    """
    history = CurrencyConverter(decimal=True)
    days = [month.first + timedelta(days=n) for n in range(-DAYS_BEFORE, len(month.days))]
    rates = {day: _rates_of(history, day) for day in days}
    published = {day: quotes for day, quotes in rates.items() if quotes}
    if not any(day <= month.first for day in published):
        last = history.bounds["USD"].last_date
        raise ValueError(
            f"the bundled ECB history ends on {last} and has no rate for {month.first:%Y-%m}: choose an earlier month"
        )
    return published


def rates_on(rates: dict[date, dict[str, Decimal]], day: date) -> dict[str, Decimal]:
    """Units of each currency for one euro in force on `day`: the last ones published, with the euro and the
    dinar.
    """
    quotes = rates[max(published for published in rates if published <= day)]
    return {**quotes, "EUR": Decimal(1), "KWD": quotes["USD"] * DINARS_PER_DOLLAR}


def write_fx(landing: Path, rates: dict[date, dict[str, Decimal]]) -> None:
    """Writes `ecb.csv` and `derived_kwd.csv`, one row per day and currency."""
    folder = landing / "fx_rates" / "native"
    folder.mkdir(parents=True, exist_ok=True)
    published = [(day, code, rate) for day, quotes in rates.items() for code, rate in sorted(quotes.items())]
    derived = [(day, "KWD", round(quotes["USD"] * DINARS_PER_DOLLAR, 6)) for day, quotes in rates.items()]
    for name, rows, source in (
        ("ecb.csv", published, "ECB"),
        ("derived_kwd.csv", derived, "derived from the ECB's USD"),
    ):
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows((day, "EUR", code, rate, source) for day, code, rate in rows)


def _rates_of(history: CurrencyConverter, day: date) -> dict[str, Decimal]:
    quotes = {}
    for code in sorted(history.currencies - {"EUR"}):
        try:
            quotes[code] = history.convert(1, "EUR", code, day)
        except RateNotFoundError:
            continue  # A weekend, a holiday, or a currency that the ECB no longer quotes.
    return quotes
