"""What events cost by the agreement, and what a carrier that errs makes of them: rating of the simulation's
own.

Belongs here: billed quantities, rates, roundings and their sums, in integers. It shares no code with the
models, so that agreement between the two means something. Does not belong here: what an invoice says
(`invoices`).
"""

from dataclasses import dataclass

import numpy as np

from simulation.decks import MICRO, Deck
from simulation.terms import Agreement, Month, Terms
from simulation.usage import STATUS, Events

CHARGED = {
    "answered": [STATUS["answered"]],
    "delivered": [STATUS["delivered"]],
    "submitted": [STATUS[s] for s in ("delivered", "undelivered", "expired", "unknown", "pending")],
}
MEASURES = ("events", "quantity", "cost", "erring_quantity", "erring_cost")


def round_ratio(numerator, denominator: int, mode: str):
    """numerator / denominator as a whole number, for integers and integer arrays that are not negative.

    mode: half_up, half_even, down or up.
    """
    whole, rest = numerator // denominator, numerator % denominator
    if mode == "half_up":
        return whole + (2 * rest >= denominator)
    if mode == "half_even":
        return whole + ((2 * rest > denominator) | ((2 * rest == denominator) & (whole % 2 == 1)))
    if mode == "up":
        return whole + (rest > 0)
    return whole


def billed_quantity(quantity: np.ndarray, minimum, increment, method: str) -> np.ndarray:
    """Quantities that are charged for, at least one each: the minimum, then whole increments after it
    (`residual`), or the whole in increments once it exceeds the minimum (`whole_duration`).
    """
    beyond = np.maximum(quantity - minimum, 0) if method == "residual" else quantity
    steps = -(-beyond // increment) * increment
    longer = minimum + steps if method == "residual" else steps
    return np.where(quantity <= minimum, minimum, longer)


def charged(status: np.ndarray, charged_on: str) -> np.ndarray:
    """Which events are charged for at all."""
    return np.isin(status, CHARGED[charged_on])


@dataclass(frozen=True)
class Erring:
    """How a carrier's own rating departs from the agreement: other increments from a day of the month on,
    stale rates.
    """

    increments_from_day: int = 0
    minimum: int = 0
    increment: int = 0
    ignores_amendment: bool = False


class Tally:
    """Sums of one deck's charged events by epoch, destination and local day, rated as agreed and as the
    carrier errs.

    sums: for each of MEASURES an integer array (epochs x destinations x days). A cost is a whole number of
    1/`denominator` of the currency. unrated: events in the file that no rate of ours covers, by reason:
    all, and charged ones.
    """

    def __init__(self, deck: Deck, agreement: Agreement, terms: Terms, month: Month, erring: Erring) -> None:
        self.deck, self.agreement, self.terms, self.erring = deck, agreement, terms, erring
        self.midnights = month.midnights(agreement.zone)
        self.starts = np.array([epoch.starts_at for epoch in deck.epochs])
        self.rates = np.array([epoch.rates for epoch in deck.epochs])
        self.fees = np.array([epoch.fees for epoch in deck.epochs])
        self.erring_rates = self.rates.copy()
        if erring.ignores_amendment:
            self.erring_rates[-1] = self.rates[-2]
        decimals = agreement.event_decimals
        self.denominator = MICRO * deck.per_quantity if decimals is None else 10**decimals
        shape = (len(deck.epochs), len(deck.names), len(month.days))
        self.sums = {measure: np.zeros(shape, dtype=np.int64) for measure in MEASURES}
        self.unrated = {"no_rate": [0, 0], "rate_not_yet_effective": [0, 0]}

    def add(self, events: Events, mine: np.ndarray) -> np.ndarray:
        """Adds the events of the mask `mine`; returns their agreed costs, 0 where nothing is charged or no
        rate covers it.
        """
        started, status, raw = events.started[mine], events.status[mine], events.quantity[mine]
        epoch, destination = self._find(started, events.key[mine])
        charge = charged(status, self.terms.charged_on)
        self._count_unrated(epoch, destination, charge)
        quantity = billed_quantity(raw, self.terms.minimum, self.terms.increment, self.terms.method)
        day = np.searchsorted(self.midnights, started, side="right") - 1
        erring_quantity = self._erring_quantity(raw, quantity, day)
        rated = charge & (destination >= 0)
        cost = np.where(rated, self._cost(self.rates, epoch, destination, quantity), 0)
        erring_cost = self._cost(self.erring_rates, epoch, destination, erring_quantity)
        billed = rated & (day >= 0) & (day < len(self.midnights) - 1)
        cell = (epoch[billed], destination[billed], day[billed])
        columns = (np.ones_like(quantity), quantity, cost, erring_quantity, erring_cost)
        for measure, column in zip(MEASURES, columns, strict=True):
            np.add.at(self.sums[measure], cell, column[billed])
        return cost

    def _find(self, started: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        epoch = np.searchsorted(self.starts, started, side="right") - 1
        destination = np.full(len(started), -1)
        for number, prices in enumerate(self.deck.epochs):
            now = epoch == number
            destination[now] = prices.index.find(keys[now])
        return epoch, destination

    def _erring_quantity(self, raw: np.ndarray, quantity: np.ndarray, day: np.ndarray) -> np.ndarray:
        if not self.erring.increments_from_day:
            return quantity
        coarse = billed_quantity(raw, self.erring.minimum, self.erring.increment, "residual")
        return np.where(day >= self.erring.increments_from_day - 1, coarse, quantity)

    def _cost(self, rates: np.ndarray, epoch: np.ndarray, destination: np.ndarray, quantity: np.ndarray) -> np.ndarray:
        exact = rates[epoch, destination] * quantity + self.fees[epoch, destination] * self.deck.per_quantity
        if self.agreement.event_decimals is None:
            return exact
        scale = MICRO * self.deck.per_quantity // self.denominator
        return round_ratio(exact, scale, self.agreement.rounding_mode)

    def _count_unrated(self, epoch: np.ndarray, destination: np.ndarray, charge: np.ndarray) -> None:
        early = epoch < 0
        unknown = ~early & ((destination < 0) | self.deck.hidden[destination])
        for reason, affected in (("rate_not_yet_effective", early), ("no_rate", unknown)):
            self.unrated[reason][0] += int(affected.sum())
            self.unrated[reason][1] += int((affected & charge).sum())
