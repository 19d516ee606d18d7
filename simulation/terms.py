"""The demo terms as the simulated parties understand them, and the calendar of the simulated month.

Belongs here: agreements, rating terms, fees, rented numbers, plans and accounts read from `seeds/terms`, months
and their local days. Does not belong here: what an event costs (`rating`), who uses which carrier (`traffic`).
"""

import csv
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

DAY_SECONDS = 86_400


def epoch_second(day: date, zone: ZoneInfo | None = None) -> int:
    """Second since 1970 (UTC) at which `day` begins in `zone`, by default in UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone or UTC).timestamp())


@dataclass(frozen=True)
class Month:
    """A calendar month. Its first and last instants depend on the time zone that is asked about."""

    first: date

    @classmethod
    def parse(cls, text: str) -> "Month":
        """`2026-10` as a month; ValueError for anything else."""
        try:
            return cls(datetime.strptime(text, "%Y-%m").date())
        except ValueError:
            raise ValueError(f"month {text!r} is not of the form YYYY-MM, for example 2026-10") from None

    @property
    def next_first(self) -> date:
        return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def previous_first(self) -> date:
        return (self.first - timedelta(days=1)).replace(day=1)

    @cached_property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.next_first - self.first).days)]

    @cached_property
    def days_with_edges(self) -> list[date]:
        """The month's days in UTC, with one before and one after: every zone's local month lies inside."""
        return [self.first - timedelta(days=1), *self.days, self.next_first]

    def midnights(self, zone: ZoneInfo) -> np.ndarray:
        """UTC seconds at which the local days begin, and at which the last one ends; days of 23 and 25
        hours included.
        """
        return np.array([epoch_second(day, zone) for day in [*self.days, self.next_first]], dtype=np.int64)


@dataclass(frozen=True)
class Agreement:
    agreement_id: str
    currency: str
    zone: ZoneInfo
    rounding_mode: str
    event_decimals: int | None
    line_decimals: int
    tax_ratio: Decimal


@dataclass(frozen=True)
class Terms:
    """What is agreed with one party for one service: how a raw quantity becomes a billed one, and what is
    charged.
    """

    quantity_unit: str
    minimum: int
    increment: int
    method: str
    charged_on: str


@dataclass(frozen=True)
class Fee:
    """What a carrier charges beside usage; service, direction and number_type are empty where it asks for none."""

    carrier_id: str
    name: str
    kind: str
    service: str
    direction: str
    number_type: str
    amount: Decimal
    per_quantity: int
    by_day: bool


@dataclass(frozen=True)
class Rental:
    """A number that is rented from a carrier, from `first` on and before `end`."""

    carrier_id: str
    number_type: str
    first: date
    end: date

    def days_in(self, month: Month) -> int:
        return sum(self.first <= day < self.end for day in month.days)


@dataclass(frozen=True)
class Plan:
    plan_id: str
    partner_id: str
    service: str
    direction: str
    country_code: str
    terms: Terms


@dataclass(frozen=True)
class AllTerms:
    """The terms that hold on each day of one month, edges included; rented numbers also where they hold for a part.

    carriers and partners are keyed by party, rating by carrier, service and direction, partner_of by account.
    """

    carriers: dict[str, Agreement]
    partners: dict[str, Agreement]
    rating: dict[tuple[str, str, str], Terms]
    fees: list[Fee]
    rentals: list[Rental]
    plans: list[Plan]
    partner_of: dict[str, str]


def read_terms(folder: Path, month: Month) -> AllTerms:
    """Reads the CSV files of `folder`; a row that does not hold for the whole month with its edges is left
    out.
    """

    def all_rows(name: str) -> list[dict[str, str]]:
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def rows(name: str) -> list[dict[str, str]]:
        return [row for row in all_rows(name) if _holds_throughout(row, month)]

    agreements = rows("agreements")
    carriers = {row["party_id"]: _agreement(row) for row in agreements if row["party_role"] == "carrier"}
    carrier_of = {agreement.agreement_id: carrier for carrier, agreement in carriers.items()}
    return AllTerms(
        carriers=carriers,
        partners={row["party_id"]: _agreement(row) for row in agreements if row["party_role"] == "partner"},
        rating={
            (carrier_of[row["agreement_id"]], row["service"], row["direction"]): Terms(
                row["quantity_unit"],
                int(row["minimum_quantity"]),
                int(row["increment_quantity"]),
                row["increment_method"],
                row["charged_on"],
            )
            for row in rows("rating_terms")
            if row["agreement_id"] in carrier_of
        },
        fees=[
            _fee(row, carrier_of[row["agreement_id"]])
            for row in rows("carrier_fees")
            if row["agreement_id"] in carrier_of
        ],
        rentals=[_rental(row) for row in all_rows("numbers")],
        plans=[_plan(row) for row in rows("plans")],
        partner_of={row["account_id"]: row["partner_id"] for row in rows("accounts")},
    )


def _holds_throughout(row: dict[str, str], month: Month) -> bool:
    first, last = month.days_with_edges[0].isoformat(), month.days_with_edges[-1].isoformat()
    until = row.get("valid_until_date") or "9999-12-31"
    return row.get("valid_from_date", "") <= first and last < until


def _agreement(row: dict[str, str]) -> Agreement:
    return Agreement(
        row["agreement_id"],
        row["currency"],
        ZoneInfo(row["time_zone"]),
        row["rounding_mode"],
        int(row["event_rounding_decimals"]) if row["event_rounding_decimals"] else None,
        int(row["line_rounding_decimals"]),
        Decimal(row["tax_ratio"]),
    )


def _fee(row: dict[str, str], carrier_id: str) -> Fee:
    return Fee(
        carrier_id,
        row["fee_name"],
        row["fee_kind"],
        row["service"],
        row["direction"],
        row["number_type"],
        Decimal(row["fee_amount"]),
        int(row["fee_per_quantity"] or 1),
        row["proration"] == "by_day",
    )


def _rental(row: dict[str, str]) -> Rental:
    end = row["valid_until_date"] or "9999-12-31"
    first = date.fromisoformat(row["valid_from_date"])
    return Rental(row["carrier_id"], row["number_type"], first, date.fromisoformat(end))


def _plan(row: dict[str, str]) -> Plan:
    terms = Terms(
        row["quantity_unit"],
        int(row["minimum_quantity"]),
        int(row["increment_quantity"]),
        "residual",
        row["charged_on"],
    )
    key = (row["plan_id"], row["partner_id"], row["service"], row["direction"], row["country_code"])
    return Plan(*key, terms)
