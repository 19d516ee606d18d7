"""What a script would do: rate one event after the other, with a dict of codes and Decimal.

Belongs here: records and decks, as text, to the cost of each event; a carrier has one full deck and amendments. Does
not belong here: choosing the records, taking the time.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

FOUR_DECIMALS = Decimal("0.0001")
Carriers = dict[str, tuple[Decimal, Decimal, ZoneInfo]]  # minimum, increment and clock
Price = tuple[datetime, Decimal, Decimal]  # from when, rate, per quantity
Codes = dict[str, dict[str, list[Price]]]
Cost = tuple[Decimal | None, Decimal | None]  # billed quantity and amount of an answered call


def read_carriers(folder: Path) -> Carriers:
    agreements = {row["agreement_id"]: row for row in _rows(folder / "agreements.csv")}
    return {
        agreements[row["agreement_id"]]["party_id"]: (
            Decimal(row["minimum_quantity"]),
            Decimal(row["increment_quantity"]),
            ZoneInfo(agreements[row["agreement_id"]]["time_zone"]),
        )
        for row in _rows(folder / "rating_terms.csv")
    }


def read_codes(folder: Path, carriers: Carriers) -> Codes:
    """The prices of each code of each carrier, the newest first."""
    codes: Codes = {carrier: {} for carrier in carriers}
    for file in folder.glob("*.csv"):
        for row in _rows(file):
            zone = carriers[row["carrier_id"]][2]
            effective_at = datetime.fromisoformat(row["effective_date"]).replace(tzinfo=zone).astimezone(UTC)
            from_at = max(effective_at, datetime.fromisoformat(row["received_at"]))
            price = from_at, Decimal(row["rate_amount"]), Decimal(row["rate_per_quantity"])
            codes[row["carrier_id"]].setdefault(row["dial_code"], []).append(price)
    for of_carrier in codes.values():
        for prices in of_carrier.values():
            prices.sort(reverse=True)
    return codes


def rate(records: list[dict[str, str]], codes: Codes, carriers: Carriers) -> dict[str, Cost]:
    """The cost of each event, by the record received last of those that can be read."""
    events: dict[str, tuple[datetime, Cost]] = {}
    for record in records:
        number = record["destination"].lstrip("+")
        try:
            started_at = datetime.fromisoformat(record["started_at"])
            received_at = datetime.fromisoformat(record["received_at"])
            used = Decimal(record["quantity"])
        except (ValueError, InvalidOperation):
            continue
        if started_at.tzinfo is None or not number.isdigit() or number.startswith("0"):
            continue
        known = events.get(record["event_id"])
        if known is not None and known[0] > received_at:
            continue
        cost: Cost = (None, None)
        if record["status"] == "answered":
            carrier = record["carrier_id"]
            minimum, increment, _ = carriers[carrier]
            price = _price(codes[carrier], number, started_at)
            if price is not None:
                billed = _billed(used, minimum, increment)
                cost = billed, (billed * price[1] / price[2]).quantize(FOUR_DECIMALS, ROUND_HALF_UP)
        events[record["event_id"]] = received_at, cost
    return {event_id: cost for event_id, (_, cost) in events.items()}


def _price(codes: dict[str, list[Price]], number: str, at: datetime) -> Price | None:
    """That of the longest code in force."""
    for length in range(len(number), -1, -1):
        for price in codes.get(number[:length], ()):
            if price[0] <= at:
                return price
    return None


def _billed(used: Decimal, minimum: Decimal, increment: Decimal) -> Decimal:
    if used <= 0:
        return Decimal(0)
    if used <= minimum:
        return minimum
    return minimum + ((used - minimum) / increment).to_integral_value(ROUND_CEILING) * increment


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="") as opened:
        yield from csv.DictReader(opened)
