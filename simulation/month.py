"""The simulated month from end to end: terms, prices and traffic in; landing files and the truth out.

Belongs here: the order of things, what partners owe for in quantities, the truth file. Does not belong
here: how any part works.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from orchestration.settings import PROJECT_DIR
from simulation.call_records import LISTING, CallRecords
from simulation.decks import DeckMaker, write_decks
from simulation.fx import ecb_rates, rates_on, write_fx
from simulation.invoices import (
    ERRING,
    Invoice,
    invoice_number,
    make_invoices,
    truth_lines,
    truth_totals,
    write_credit_notes,
    write_invoices,
)
from simulation.numbering import numbering_plan
from simulation.rating import Erring, Tally, billed_quantity, charged
from simulation.terms import AllTerms, Month, Plan, read_terms
from simulation.traffic import Traffic, make_traffic
from simulation.twilio import TwilioUsage
from simulation.usage import BROKEN_ROWS, VENDOR_CARRIER, EventMaker, Events, NativeUsage

USAGE_FORMATS = ("csv.gz", "parquet")


def write_month(
    landing: Path,
    truth_path: Path,
    *,
    month: str = "2026-10",
    events: int = 200_000,
    seed: int = 7,
    report: Callable[[str], None] = lambda line: None,
    usage_format: str = "csv.gz",
    chunk_rows: int = 250_000,
) -> None:
    """Writes the landing files of one month below `landing`, and the truth about its invoices to
    `truth_path`.

    events: true events, a day before and after the month included (repeated and broken records come on
    top); seed: the same arguments give the same bytes; report: is called with a line of progress now and
    then; usage_format: `csv.gz` or `parquet`, for the native usage; chunk_rows: events that are held in
    memory at once, at most. Files of the same name are replaced.

    ValueError: an unreadable month, one without terms or exchange rates, an unknown format, a number that
    is not positive.
    """
    _check(events, usage_format, chunk_rows)
    the_month = Month.parse(month)
    rates = ecb_rates(the_month)
    terms = read_terms(PROJECT_DIR / "seeds" / "terms", the_month)
    traffic = make_traffic(terms)
    write_fx(landing, rates)
    quotes = rates_on(rates, the_month.first)
    decks = DeckMaker(terms, the_month, traffic, quotes, numbering_plan(), seed).decks()
    write_decks(landing, decks)
    codes = sum(len(deck.versions[0].codes) for deck in decks)
    report(f"{month}: {len(decks)} rate decks with {codes:,} dial codes, exchange rates of {len(rates)} days")

    tallies = [
        Tally(
            deck,
            terms.carriers[deck.plan.carrier_id],
            terms.rating[deck.key],
            the_month,
            ERRING.get(deck.key, Erring()),
        )
        for deck in decks
    ]
    books = Books(terms, traffic, the_month, tallies)
    maker = EventMaker(the_month, traffic, events, seed, chunk_rows)
    with (
        NativeUsage(landing, traffic, the_month, usage_format) as native,
        TwilioUsage(landing, traffic) as twilio,
        CallRecords(landing, traffic, terms, the_month, invoice_number(LISTING[0], the_month)) as records,
    ):
        for day in the_month.days_with_edges:
            for chunk in maker.chunks(day):
                cost = books.add(chunk)
                native.write(chunk, ~books.is_vendor[chunk.lane])
                twilio.write(chunk, cost)
                records.write(chunk)
            report(f"{month}: usage of {day}, {maker.day_counts[the_month.days_with_edges.index(day)]:,} events")

    invoices = make_invoices(terms, tallies, the_month)
    write_invoices(landing, invoices)
    notes = write_credit_notes(landing, invoices)
    truth = {
        "month": month,
        "seed": seed,
        "events": books.event_counts(events),
        **_truth_of(invoices),
        "credit_notes": notes,
        "call_records": records.truth(),
    }
    truth["charges"] = books.charges()
    truth_path.parent.mkdir(parents=True, exist_ok=True)
    truth_path.write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    report(f"{month}: {sum(invoice.sent for invoice in invoices)} carrier invoices, {len(notes)} credit note")


class Books:
    """What is known of all true events when they have passed: carriers' tallies, partners' quantities,
    counts of records.
    """

    def __init__(self, terms: AllTerms, traffic: Traffic, month: Month, tallies: list[Tally]) -> None:
        lanes = traffic.lanes
        self.tallies = tallies
        self.lanes_of = [
            np.array([(lane.carrier_id, lane.service, lane.direction) == tally.deck.key for lane in lanes])
            for tally in tallies
        ]
        self.is_vendor = np.array([lane.carrier_id == VENDOR_CARRIER for lane in lanes])
        self.feeds = np.array([_feed(lane.carrier_id, lane.service) for lane in lanes])
        self.country = traffic.ranges.country
        self.plans = [(plan, _lanes_of_plan(plan, traffic), _countries_apart(plan, terms)) for plan in terms.plans]
        self.month_of = {
            partner: month.midnights(agreement.zone)[[0, -1]] for partner, agreement in terms.partners.items()
        }
        self.quantities = Counter({plan.plan_id: 0 for plan in terms.plans})
        self.counts = {feed: Counter() for feed in sorted(set(self.feeds))}
        self.ghosts = 0

    def add(self, events: Events) -> np.ndarray:
        """Books a chunk; returns the agreed cost of its events, in the units of their carrier's tally."""
        cost = np.zeros(len(events.lane), dtype=np.int64)
        for tally, lanes in zip(self.tallies, self.lanes_of, strict=True):
            mine = lanes[events.lane] & ~events.ghost
            cost[mine] = tally.add(events, mine)
        for plan, lanes, countries in self.plans:
            self._charge(plan, events, lanes[events.lane] & countries(self.country[events.ranges]))
        for feed, counts in self.counts.items():
            mine = self.feeds[events.lane] == feed
            counts["true_events"] += int(mine.sum())
            counts["exact_duplicates"] += int((mine & events.repeats).sum())
            counts["near_duplicates"] += int((mine & (events.wrong_quantity > 0)).sum())
        self.ghosts += int(events.ghost.sum())
        return cost

    def _charge(self, plan: Plan, events: Events, mine: np.ndarray) -> None:
        first, end = self.month_of[plan.partner_id]
        terms = plan.terms
        billed = mine & (events.started >= first) & (events.started < end) & charged(events.status, terms.charged_on)
        quantity = billed_quantity(events.quantity[billed], terms.minimum, terms.increment, terms.method)
        self.quantities[plan.plan_id] += int(quantity.sum())

    def charges(self) -> list[dict[str, str]]:
        """Billed quantity of each plan in its partner's local month."""
        return [
            {"plan_id": plan, "billed_quantity": str(quantity)} for plan, quantity in sorted(self.quantities.items())
        ]

    def event_counts(self, events: int) -> dict:
        """Counts of true events and of records that are something else."""
        unrated = Counter({"unknown_carrier": self.ghosts})
        charged_unrated = Counter()
        for tally in self.tallies:
            for reason, (count, charged_count) in tally.unrated.items():
                unrated[reason] += count
                charged_unrated[reason] += charged_count
        return {
            "true_events": events,
            "feeds": {feed: dict(counts) for feed, counts in self.counts.items()},
            "broken_rows": len(BROKEN_ROWS),
            "unknown_carrier": self.ghosts,
            "unrated": dict(unrated),
            "unrated_and_charged": dict(charged_unrated),
        }


def _check(events: int, usage_format: str, chunk_rows: int) -> None:
    if usage_format not in USAGE_FORMATS:
        raise ValueError(f"usage_format {usage_format!r} is not one of {', '.join(USAGE_FORMATS)}")
    if events < 1 or chunk_rows < 1:
        raise ValueError(f"events ({events}) and chunk_rows ({chunk_rows}) must be at least 1")


def _feed(carrier_id: str, service: str) -> str:
    if carrier_id != VENDOR_CARRIER:
        return "native"
    return "twilio_calls" if service == "voice" else "twilio_messages"


def _lanes_of_plan(plan: Plan, traffic: Traffic) -> np.ndarray:
    wanted = (plan.partner_id, plan.service, plan.direction)
    return np.array([(lane.partner_id, lane.service, lane.direction) == wanted for lane in traffic.lanes])


def _countries_apart(plan: Plan, terms: AllTerms) -> Callable[[np.ndarray], np.ndarray]:
    """Which countries a plan covers: its own, or all that no other plan of the partner names."""
    if plan.country_code != "*":
        return lambda countries: countries == plan.country_code
    service = (plan.partner_id, plan.service, plan.direction)
    named = [
        other.country_code for other in terms.plans if (other.partner_id, other.service, other.direction) == service
    ]
    return lambda countries: ~np.isin(countries, named)


def _truth_of(invoices: list[Invoice]) -> dict:
    return {
        "lines": [line for invoice in invoices for line in truth_lines(invoice)],
        "carriers": [truth_totals(invoice) for invoice in invoices],
    }
