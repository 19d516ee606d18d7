"""Why an invoice line is what it is: what the carrier invoiced, what we expected and from what, and what lies between.

Belongs here: the facts of one line in order, and whether they agree with the published tables. Does not belong here:
causes and their proofs (`bridge.py`), the events behind a line (`evidence.py`), or any figure that is in no table.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb

from orchestration import bridge, evidence, models_applied
from orchestration.explain.explanation import Explanation, Row
from orchestration.figures import MODES, instant, masked, plain, unit
from orchestration.sql import fetch_rows
from orchestration.summary import counted

SHOWN_CODES = 8
SHOWN_EVENTS = 5
DISPUTE_FACTS = (
    "dispute_amount", "tolerance_amount", "tolerance_ratio", "invoice_amount", "line_count", "raise_within_days",
    "may_withhold", "months_running", "raise_after_months",
)  # fmt: skip

MEANT = """
    select invoice_line_id from tollgate.settle.fct_carrier_invoice_lines
    where list_contains($meant, invoice_line_id) or list_contains($meant, invoice_number || ':' || line_number)
    order by invoice_line_id
"""
MART_LINE = """
    select lines.*, carriers.carrier_name
    from tollgate.settle.fct_carrier_invoice_lines as lines
    left join tollgate.settle.dim_carriers as carriers using (carrier_id)
    where invoice_line_id = $line_id
"""
MART_COMPONENTS = """
    select cause, component_variance_amount, dispute_id
    from tollgate.settle.fct_variance_components where invoice_line_id = $line_id
"""
RECORD = f"""
    select {bridge.FILE} as file, record_number
    from tollgate.stage.int_invoice_lines_collected as collected
    left join tollgate.ingest.files as files using (file_id)
    where carrier_id = $carrier_id and invoice_number = $invoice_number and invoice_version = $invoice_version
        and line_number = $line_number and refusal_reason is null
    order by collected.loaded_at desc, file_id desc, record_number desc limit 1
"""
AGREEMENT = """
    select distinct agreement_id, time_zone, minimum_quantity, increment_quantity, increment_method, charged_on,
        event_rounding_decimals
    from tollgate.rate.int_rating_terms_resolved
    where agreement_id = $agreement_id and service = $service and direction = $direction
"""
PLACES = """
    select places.dial_code, destinations.destination_name
    from tollgate.reconcile.int_lines_placed as places
    left join tollgate.settle.dim_destinations as destinations using (destination_id)
    where invoice_line_id = $line_id order by places.dial_code
"""
CODES = f"""
    with decks as ({bridge.DECK_ROW})
    select own.deck_row_id, decks.code_name, decks.destination_name, own.rate_amount, own.rate_per_quantity,
        decks.rate_unit, decks.rate_currency, decks.deck_version, decks.deck_kind, decks.record_number, decks.file,
        decks.applies_from_at, count(*) as event_count, sum(own.billed_quantity) as billed_quantity,
        sum(own.undivided_cost_amount) as undivided_cost_amount, sum(own.rated_cost_amount) as rated_cost_amount
    from evidence.own_events as own
    left join decks using (deck_row_id)
    group by all
    order by sum(own.rated_cost_amount) desc, decks.code_name, own.rate_amount
"""
SAMPLE = """
    select * from evidence.events
    where difference_amount != 0 or not exists (from evidence.events where difference_amount != 0)
    order by abs(coalesce(difference_amount, 0)) desc, our_cost_amount desc nulls last, event_id limit $limit
"""
COUNTS = """
    select count(*) as event_count, count_if(difference_amount != 0) as different_count from evidence.events
"""
# Goes on where the steps of int_disputes_raised end: the net of each cause before it is held against its tolerance.
CAUSES_OF_INVOICE = """
    select tolerances_compared.*, disputes.dispute_id is not null as is_disputed
    from tolerances_compared
    left join tollgate.reconcile.int_disputes_raised as disputes using (invoice_id, billing_period_id, cause)
    where invoice_id = $invoice_id and billing_period_id = $billing_period_id
"""
TOLERANCES = """
    select cause from tollgate.stage.stg_terms__tolerances
    where agreement_id = $agreement_id and cause in ($cause, '*') and refusal_reason is null
    order by cause = '*' limit 1
"""
MART_DISPUTE = "select * from tollgate.settle.fct_disputes where dispute_id = $dispute_id"
RATE_DAYS = """
    select currency, units_per_base, valid_from_date from tollgate.rate.int_fx_rates_dated
    where currency in ($agreement_currency, $invoice_currency) and $day >= valid_from_date and $day < valid_until_date
    order by currency = $invoice_currency
"""


def find_lines(connection: duckdb.DuckDBPyConnection, meant: str) -> list[str]:
    """The ids of the lines that may be meant: by id, `invoice:number`, or carrier, invoice and number."""
    spellings = [meant, re.sub(r"\s+", ":", meant.strip())]
    try:
        found = [row["invoice_line_id"] for row in fetch_rows(connection, MEANT, meant=spellings)]
    except duckdb.CatalogException:  # nothing was settled here yet
        return []
    return [line_id for line_id in found if line_id in spellings] or found


def explain_line(connection: duckdb.DuckDBPyConnection, line_id: str, mask: bool = False) -> Explanation:
    """Everything that lies between what was invoiced and what was expected. The warehouse is attached as `tollgate`."""
    evidence.gather(connection, [line_id])
    return _Line(connection, line_id, mask).explanation()


class _Line:
    """Gathers the steps of one line."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, line_id: str, mask: bool) -> None:
        self.connection, self.line_id, self.mask = connection, line_id, mask
        self.proofs = bridge.Proofs(connection)
        self.bridge = bridge.bridges(connection, self.proofs)[line_id]
        self.line = self.bridge.line
        self.mart = self.row(MART_LINE, line_id=line_id)
        self.currency = self.line["invoice_currency"]
        self.told = Explanation("invoice line", line_id)

    def explanation(self) -> Explanation:
        """All steps, in order."""
        self._tell_line()
        self._tell_expected()
        self._tell_exchange()
        self._tell_bridge()
        self._tell_events()
        self._tell_disputes()
        return self.told

    def rows(self, query: str, **values: Any) -> list[Row]:
        return fetch_rows(self.connection, query, **values)

    def row(self, query: str, **values: Any) -> Row:
        (found,) = self.rows(query, **values)
        return found

    def _hold(self, what: str, found: Any, expected: Any, where: str) -> None:
        if found != expected:
            self.told.defects.append(f"{what} is {_value(found)}; {where} has {_value(expected)}")

    def _money(self, amount: Decimal | Fraction, currency: str | None = None) -> str:
        return f"{plain(amount)} {currency or self.currency}"

    def _quantity(self, quantity: Decimal | None) -> str:
        return f"{plain(quantity or Decimal(0))} {unit(self.line['quantity_unit'] or '', quantity or 0)}".strip()

    # --- the steps --------------------------------------------------------------------------------------------------

    def _tell_line(self) -> None:
        line, mart = self.line, self.mart
        carrier = f"{mart['carrier_name'] or line['carrier_id']} ({line['carrier_id']})"
        number = "no line, but something that we expect on it"
        if line["is_invoiced"]:
            number = "its total" if line["line_number"] is None else f"line {line['line_number']}"
        sentences = [
            f"Invoice {line['invoice_number']} of {carrier}, version {line['invoice_version']} of "
            f"{line['invoice_date']}: {number}.",
        ]
        facts: Row = {}
        if line["line_number"] is not None:
            names = ("carrier_id", "invoice_number", "invoice_version", "line_number")
            facts = next(iter(self.rows(RECORD, **{name: line[name] for name in names})), {})
            if facts:
                sentences.append(f"It is record {facts['record_number']} of {facts['file']}.")
        what = [line["line_type"], line["service"], line["direction"], line["destination_name"]]
        if line["destination_source"] == "code":
            what.append(f"numbers that begin with {line['dial_code']}")
        if line["line_description"]:
            what.append(f'"{line["line_description"]}"')
        days = ""
        if line["service_first_date"]:
            days = f", {line['service_first_date']} to {line['service_last_date']}"
        sentences.append(f"It is about {', '.join(part for part in what if part)}{days}.")
        if line["is_invoiced"] and line["line_type"] == "usage":
            sentences += [*self._place_in_words(), self._measures_in_words()]
        sentences.append(f"Invoiced: {self._money(line['invoiced_amount'])}; status {mart['line_status']}.")
        for name in ("invoiced_amount", "rated_amount", "invoice_currency"):
            self._hold(name, line[name], mart[name], "settle.fct_carrier_invoice_lines")
        self.told.add("invoiced", sentences, **facts | mart)

    def _place_in_words(self) -> list[str]:
        """How it is known what the line is about, where it is not said in the words of our deck."""
        line = self.line
        if line["place_type"] in ("service", "total"):
            return ["It names no destination: all that no other line comes closer to stands behind it."]
        places = self.rows(PLACES, line_id=self.line_id)
        if line["destination_source"] == "stored_name":
            codes = ", ".join(place["dial_code"] for place in places)
            return [f"That is the carrier's own name; destination_codes.csv has the codes {codes} for it."]
        if line["destination_source"] == "likeness":
            return [
                f"No deck of the carrier has that name. Its words are most like {places[0]['destination_name']} "
                f"(confidence {plain(line['confidence'])}); rows of destination_codes.csv would make it certain."
            ]
        if line["destination_source"] == "unmapped":
            return ["Nobody knows that name: neither a deck of the carrier nor destination_codes.csv has it."]
        return []

    def _measures_in_words(self) -> str:
        line, said = self.line, []
        if line["invoiced_event_count"] is not None:
            said.append(counted(line["invoiced_event_count"], "event"))
        if line["invoiced_quantity"] is not None:
            said.append(self._quantity(line["invoiced_quantity"]))
        if line["invoiced_rate_amount"] is not None:
            rate = bridge.price_in_words(
                line["invoiced_rate_amount"], line["invoiced_rate_per_quantity"], self.currency, line["quantity_unit"]
            )
            said.append(f"at {rate}")
        return f"It states {', '.join(said)}." if said else "It states no more than its amount."

    def _tell_expected(self) -> None:
        line = self.line
        if line["line_type"] == "fee":
            self._tell_expected_charge(
                self.proofs.fee_in_words(line), "No row of carrier_fees.csv agrees a fee of that name"
            )
        elif line["line_type"] == "tax":
            self._tell_expected_charge(self.proofs.tax_in_words(line), "No tax is agreed")
        elif line["line_type"] == "rounding":
            self._tell_expected_charge(self.proofs.total_in_words(line), "No total is rounded")
        elif line["is_repeated"]:
            self.told.add("expected", ["Nothing: what it bills stands behind its first copy."], rated_amount=Decimal(0))
        else:
            self._tell_expected_usage()

    def _tell_expected_charge(self, sentences: list[str], otherwise: str) -> None:
        expected = self._money(self.line["rated_amount"])
        self.told.add(
            "expected",
            [*(sentences or [f"{otherwise}."]), f"Expected of this line: {expected}."],
            rated_amount=self.line["rated_amount"],
        )

    def _tell_expected_usage(self) -> None:
        line = self.line
        codes = self.rows(CODES)
        if not codes:
            self.told.add("expected", ["Nothing: no rated event of ours is for it."], rated_amount=line["rated_amount"])
            self._hold("events behind it", 0, int(line["rated_event_count"] or 0), "int_invoice_lines_matched")
            return
        events, quantity = _total(codes, "event_count"), _total(codes, "billed_quantity")
        terms = next(
            iter(self.rows(AGREEMENT, **{name: line[name] for name in ("agreement_id", "service", "direction")})), None
        )
        # Seconds and segments are no sum.
        billed = f"billed {self._quantity(quantity)}" if line["rated_quantity"] is not None else "of several units"
        sentences = [f"Events of ours behind it: {events:,}, {billed}."]
        if terms:
            increments = f"{plain(terms['minimum_quantity'])}/{plain(terms['increment_quantity'])}"
            sentences.append(
                f"Agreement {terms['agreement_id']}, days of {terms['time_zone']}, charges what was "
                f"{terms['charged_on']}, increments {increments} ({terms['increment_method']}) where the deck has none."
            )
        sentences += [f"  {self._code_in_words(code)}" for code in codes[:SHOWN_CODES]]
        others = codes[SHOWN_CODES:]
        if others:
            events_of_others = counted(_total(others, "event_count"), "event")
            quantity_of_others = self._quantity(_total(others, "billed_quantity"))
            sentences.append(
                f"  and {counted(len(others), 'row')} of the deck more: {events_of_others}, {quantity_of_others}, "
                f"{self._cost(others)}"
            )
        currency, decimals = line["agreement_currency"], line["agreement_rounding_decimals"]
        how = f"rounded {MODES[line['rounding_mode']]} to {counted(decimals, 'decimal')}"
        sentences.append(
            f"Together {self._cost(codes)}, {how}: {self._money(line['agreement_rated_amount'], currency)}."
        )
        where = "reconcile.int_invoice_lines_matched"
        self._hold("events behind it", events, int(line["rated_event_count"] or 0), where)
        if line["rated_quantity"] is not None:
            self._hold("their quantity", quantity, line["rated_quantity"], where)
        self._hold("their undivided cost", _total(codes, "undivided_cost_amount"), line["undivided_cost_amount"], where)
        self._hold("their cost", _total(codes, "rated_cost_amount"), line["rated_cost_amount"], where)
        self.told.add(
            "expected", sentences, event_count=events, billed_quantity=quantity, rated_amount=line["rated_amount"],
            terms=terms, codes=codes,
        )  # fmt: skip

    def _cost(self, codes: Iterable[Row]) -> str:
        """Exactly where nothing is rounded before the line, else the sum of what was rounded."""
        if self.line["is_rounded_per_event"]:
            total = sum((Fraction(code["rated_cost_amount"]) for code in codes), Fraction())
        else:
            total = sum(
                (Fraction(code["undivided_cost_amount"]) / code["rate_per_quantity"] for code in codes), Fraction()
            )
        return self._money(total, self.line["agreement_currency"])

    def _code_in_words(self, code: Row) -> str:
        if code["deck_row_id"] is None:
            return (
                f"numbers that no code begins: {counted(code['event_count'], 'event')} that cost the fee of an attempt "
                f"each: {self._cost([code])}"
            )
        price = bridge.price_in_words(
            code["rate_amount"], code["rate_per_quantity"], code["rate_currency"], code["rate_unit"]
        )
        place = f"record {code['record_number']} of {code['file']}" if code["file"] else code["deck_row_id"]
        return (
            f"{code['code_name']}, {code['destination_name'] or 'no name'}: {counted(code['event_count'], 'event')}, "
            f"{self._quantity(code['billed_quantity'])} at {price}: {self._cost([code])} ({code['deck_kind'] or ''} "
            f"deck {code['deck_version']}, in force since {instant(code['applies_from_at'])} UTC, {place})"
        )

    def _tell_exchange(self) -> None:
        line = self.line
        if line["agreement_currency"] == line["invoice_currency"]:
            return
        (last,) = self.rows(
            "select cast(cast($first as date) + interval 1 month - interval 1 day as date) as day",
            first=line["period_start_date"],
        )
        rates = self.rows(
            RATE_DAYS, day=last["day"], agreement_currency=line["agreement_currency"], invoice_currency=self.currency
        )
        if not line["is_convertible"]:
            sentences = [
                f"There is no exchange rate of {last['day']}, the last day of the month; nothing is converted."
            ]
        else:
            told = ", ".join(f"{plain(rate['units_per_base'])} {rate['currency']}" for rate in rates)
            # The base itself is one at all times.
            days = ", ".join(
                sorted({str(rate["valid_from_date"]) for rate in rates if rate["valid_from_date"].year > 1})
            )
            sentences = [
                f"The agreement is in {line['agreement_currency']}, the invoice in {self.currency}. For one unit of "
                f"the base: {told}, as published on {days} and in force on {last['day']}, the last day of the month.",
                f"{self._money(line['agreement_rated_amount'], line['agreement_currency'])} are "
                f"{self._money(line['rated_amount'])}.",
            ]
        self.told.add("exchange", sentences, rates=rates, day=last["day"], is_convertible=line["is_convertible"])

    def _tell_bridge(self) -> None:
        line, components = self.line, self.bridge.components
        sentences = [f"Expected {self._money(line['rated_amount'])}."]
        for component in components:
            sentences.append(
                f"{component.cause}: {component.amount:+.{_decimals(component.amount)}f}, "
                f"that makes {self._money(component.amount_after)}."
            )
            sentences += [f"  {sentence}" for sentence in component.proof]
        if not components:
            sentences.append("Invoiced is the same; no cause is sought where none is needed.")
        sentences.append(f"Invoiced {self._money(line['invoiced_amount'])}.")
        if defect := self.bridge.does_not_add_up():
            self.told.defects.append(defect)
        mart = {
            row["cause"]: row["component_variance_amount"] for row in self.rows(MART_COMPONENTS, line_id=self.line_id)
        }
        walked = {component.cause: component.amount for component in components}
        for cause in sorted(walked.keys() | mart.keys()):
            self._hold(cause, walked.get(cause), mart.get(cause), "settle.fct_variance_components")
        self._hold("the variance", sum(walked.values(), Decimal(0)), self.mart["variance_amount"], "the line's own row")
        self.told.add(
            "bridge",
            sentences,
            components=[
                {"cause": each.cause, "component_variance_amount": each.amount, "amount_after": each.amount_after,
                 "proof": each.proof} for each in components
            ],
        )  # fmt: skip

    def _tell_events(self) -> None:
        if self.line["line_type"] != "usage":
            return
        events = self.rows(SAMPLE, limit=SHOWN_EVENTS)
        if not events:
            return
        counts = self.row(COUNTS)
        is_rerated = events[0]["is_rerated"]
        if is_rerated and counts["different_count"]:
            sentences = [
                f"{counted(counts['different_count'], 'event')} of {counts['event_count']:,} cost otherwise in the "
                "carrier's way; those where it shows most:"
            ]
        elif is_rerated:
            sentences = [f"{counted(counts['event_count'], 'event')}, none of which costs otherwise; some of them:"]
        else:
            sentences = [f"{counted(counts['event_count'], 'event')}, some of them:"]
        told = []
        for event in events:
            origin, destination = (self._number(event[name]) for name in ("origin", "destination"))
            told.append(event | {"origin": origin, "destination": destination})
            sentences.append(f"  {self._event_in_words(told[-1])}")
        self.told.add("events", sentences, **counts, events=told)

    def _number(self, number: str | None) -> str | None:
        return masked(number, number) if number and self.mask else number

    def _event_in_words(self, event: Row) -> str:
        currency = self.line["agreement_currency"]

        def side(whose: str) -> str:
            price = bridge.price_in_words(
                event[f"{whose}_rate_amount"], event[f"{whose}_rate_per_quantity"], None, self.line["quantity_unit"]
            )
            return (
                f"{self._quantity(event[f'{whose}_billed_quantity'])} at {price} is "
                f"{self._money(event[f'{whose}_cost_amount'], currency)}"
            )

        ours = side("our") if event["is_expected"] else "not on this line"
        words = (
            f"{event['event_id']}, {instant(event['started_at'])} UTC, to {event['destination']}, "
            f"{plain(event['quantity'])} {unit(event['quantity_unit'], event['quantity'])} raw: ours {ours}"
        )
        if not event["is_rerated"]:
            return f"{words}."
        theirs = side("their") if event["their_cost_amount"] is not None else "not on this line"
        return f"{words}; theirs {theirs}: {event['difference_amount']:+.{_decimals(event['difference_amount'])}f}."

    def _tell_disputes(self) -> None:
        line = self.line
        if not self.bridge.components:
            return
        code = models_applied.read(self.connection, "reconcile")
        steps = models_applied.without_last_line(code[models_applied.relation("reconcile", "int_disputes_raised")])
        key = {name: line[name] for name in ("invoice_id", "billing_period_id")}
        causes = {row["cause"]: row for row in self.rows(f"{steps} {CAUSES_OF_INVOICE}", **key)}
        mart = {row["cause"]: row for row in self.rows(MART_COMPONENTS, line_id=self.line_id)}
        sentences, facts = [], []
        for component in self.bridge.components:
            net, dispute_id = causes[component.cause], mart.get(component.cause, {}).get("dispute_id")
            clause = next(
                (
                    row["cause"]
                    for row in self.rows(TOLERANCES, agreement_id=net["agreement_id"], cause=component.cause)
                ),
                None,
            )
            sentences += self._dispute_in_words(component.cause, net, clause, dispute_id)
            facts.append(
                {"cause": component.cause, "dispute_id": dispute_id, "clause": clause}
                | {name: net[name] for name in DISPUTE_FACTS}
            )
        self.told.add("disputes", sentences, causes=facts)

    def _dispute_in_words(self, cause: str, net: Row, clause: str | None, dispute_id: str | None) -> list[str]:
        amount, lines = self._money(net["dispute_amount"]), counted(net["line_count"], "line")
        tolerance = "tolerances.csv has no row for it, so every cent is raised"
        if clause:
            tolerance = (
                f"tolerances.csv ({net['agreement_id']}, {clause}) lets pass what is not above "
                f"{self._money(net['tolerance_amount'])} or not above {plain(net['tolerance_ratio'])} of the invoice's "
                f"{self._money(net['invoice_amount'])}"
            )
        self._hold(f"the dispute of {cause}", dispute_id is not None, net["is_disputed"], "int_disputes_raised")
        sentences = [f"{cause}: the net of {lines} of the invoice is {amount}; {tolerance}."]
        if dispute_id is None:
            sentences.append(f"  No dispute is raised: {self._why_not(cause, net)}.")
            return sentences
        dispute = self.row(MART_DISPUTE, dispute_id=dispute_id)
        self._hold(
            f"the amount of {dispute_id}", net["dispute_amount"], dispute["dispute_amount"], "settle.fct_disputes"
        )
        if dispute["raised_for"] == "repeated":
            sentences.append(
                f"  It is within tolerance, but {net['months_running']} months running have it, and after "
                f"{net['raise_after_months']} it is raised all the same."
            )
        withhold = "may be withheld" if dispute["may_withhold"] else "may not be withheld"
        if dispute["may_withhold"] and dispute["withhold_until_date"] is not None:
            withhold += f" if it is raised by {dispute['withhold_until_date']}"
        sentences.append(
            f"  Dispute {dispute_id}, {dispute['dispute_status']}: {self._money(dispute['open_amount'])} open, "
            f"{self._money(dispute['credit_received_amount'])} credited. To be raised by {dispute['raise_by_date']}, "
            f"{net['raise_within_days']} days after the invoice; the amount {withhold}."
        )
        return sentences

    def _why_not(self, cause: str, net: Row) -> str:
        if net["agreement_id"] is None:
            return "no agreement covers the invoice, so it is withheld as a whole"
        if net["dispute_amount"] <= 0:
            return "the carrier did not overcharge"
        if cause == "FX":
            return "without an exchange rate it cannot be judged"
        if net["is_above_tolerance"] or net["is_repeated"]:
            return "events of ours that could not be rated may be what it bills"
        return "it is within tolerance"


def _total(rows: Iterable[Row], name: str) -> Any:
    return sum(row[name] for row in rows)


def _value(found: Any) -> str:
    return plain(found) if isinstance(found, Decimal | int) and not isinstance(found, bool) else str(found)


def _decimals(amount: Decimal) -> int:
    """As many as say all of it."""
    return max(0, -amount.normalize().as_tuple().exponent)
