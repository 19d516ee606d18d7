"""The carriers' invoices of the month, with the mistakes that each of them makes, and what every mistake
adds.

Belongs here: lines from tallies, fees, taxes, the mistakes, landing files of invoices and credit notes, the lines
of the truth. Amounts are whole numbers of the last decimal that the agreement rounds lines to. Does not
belong here: rating (`rating`).
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from simulation.decks import decimal_text
from simulation.rating import Erring, Tally, round_ratio
from simulation.terms import Agreement, AllTerms, Fee, Month

INVOICE_COLUMNS = (
    "carrier_id", "invoice_number", "invoice_version", "invoice_date", "billing_period_start_date",
    "currency", "line_number",
    "line_type", "service", "direction", "destination_name", "service_first_date", "service_last_date",
    "event_count",
    "billed_quantity", "quantity_unit", "rate_amount", "rate_per_quantity", "amount", "description",
    "invoice_total_amount",
)  # fmt: skip
CREDIT_NOTE_COLUMNS = (
    "carrier_id", "credit_note_number", "issue_date", "invoice_number", "cause", "currency", "amount",
)  # fmt: skip

# Carriers whose own rating errs, by carrier and service; the other mistakes are made on the finished invoice.
ERRING = {
    ("atlantic-voice", "voice", "outbound"): Erring(ignores_amendment=True),
    ("nordlink", "voice", "outbound"): Erring(increments_from_day=15, minimum=60, increment=60),
}
# This carrier has not sent its invoice when the month is closed.
SILENT_CARRIERS = ("mailpost",)
# This one sends a first version that lacks some lines, and corrects it.
RESTATING_CARRIERS = ("nordlink",)
STALE_RATE_DESTINATIONS = 6
PORT_FEE = Decimal("45")
# What the carrier asks for a segment instead of the 0.0008 of the agreement.
EARLY_SURCHARGE = Decimal("0.0010")
PHANTOM_CALLS, PHANTOM_SECONDS_EACH = 37, 120


def invoice_number(carrier_id: str, month: Month) -> str:
    initials = "".join(word[0] for word in carrier_id.split("-")).upper()
    return f"{initials}{carrier_id[-2:].upper()}-{month.first:%Y%m}"


@dataclass
class Line:
    """A line of an invoice: what it should be on our records (`rated`), and what it says (`invoiced`).

    quantity: billed by the agreement; events and said_quantity: what the invoice claims; causes: what each
    mistake adds. `tally` with `destination` and `days` are the sums behind a usage line; of a fee, `quantity` is
    what it is due for. An omitted line
    has nothing invoiced and gets no number.
    """

    line_type: str
    rated: int = 0
    invoiced: int = 0
    tally: Tally | None = None
    destination: int = 0
    days: slice | None = None
    events: int = 0
    quantity: int = 0
    said_quantity: int = 0
    rate: int = 0
    description: str = ""
    causes: dict[str, int] = field(default_factory=dict)
    omitted: bool = False
    number: int | None = None

    def bill(self, amount: int, cause: str) -> None:
        """Invoices another amount; the difference to what was invoiced so far is the cause's."""
        if amount != self.invoiced:
            self.causes[cause] = self.causes.get(cause, 0) + amount - self.invoiced
        self.invoiced = amount


@dataclass
class Invoice:
    """One carrier's invoice of the month in its counting version, omitted lines included; `sent` is false
    for an accrual.
    """

    carrier_id: str
    agreement: Agreement
    month: Month
    lines: list[Line]
    sent: bool = True
    version: int = 1

    @property
    def number(self) -> str:
        return invoice_number(self.carrier_id, self.month)

    @property
    def total(self) -> int:
        return sum(line.invoiced for line in self.lines)

    def amount_text(self, amount: int) -> str:
        """Whole units of the last decimal as a decimal string: 4500 is `45.00` in euro."""
        return str(Decimal(amount).scaleb(-self.agreement.line_decimals))


def make_invoices(terms: AllTerms, tallies: list[Tally], month: Month) -> list[Invoice]:
    """An invoice for each carrier with tallies, mistakes and tax included, lines numbered."""
    invoices = []
    for carrier_id, agreement in terms.carriers.items():
        mine = [tally for tally in tallies if tally.deck.plan.carrier_id == carrier_id]
        if not mine:
            continue
        lines = [line for tally in mine for line in _usage_lines(tally, month)]
        lines += _fee_lines(carrier_id, terms, mine, month)
        invoice = Invoice(carrier_id, agreement, month, lines, carrier_id not in SILENT_CARRIERS)
        if invoice.sent:
            for mistake in MISTAKES.get(carrier_id, ()):
                mistake(invoice)
            invoice.version = 2 if carrier_id in RESTATING_CARRIERS else 1
            _add_tax(invoice)
            _number(invoice)
        invoices.append(invoice)
    return invoices


def _usage_lines(tally: Tally, month: Month) -> list[Line]:
    """Right lines, one per destination and interval between changes of its price; destinations that we hold
    no rate for are all MISSING_OURS.
    """
    lines = []
    for destination in np.flatnonzero(tally.sums["events"].any(axis=(0, 2))):
        for days in _intervals(tally, int(destination), len(month.days)):
            if not tally.sums["events"][:, destination, days].any():
                continue
            line = Line("usage", tally=tally, destination=int(destination), days=days)
            _count(line, days)
            if tally.deck.hidden[destination]:
                line.bill(_amount(line, "erring_cost", days), "MISSING_OURS")
                line.said_quantity = _sum(line, "erring_quantity", days)
            else:
                line.rated = line.invoiced = _amount(line, "cost", days)
            lines.append(line)
    return lines


def _fee_lines(carrier_id: str, terms: AllTerms, tallies: list[Tally], month: Month) -> list[Line]:
    """Right lines, one per name of a fee of which anything is due."""
    agreement = terms.carriers[carrier_id]
    named: dict[str, list[Fee]] = {}
    for fee in terms.fees:
        if fee.carrier_id == carrier_id:
            named.setdefault(fee.name, []).append(fee)
    lines = []
    for name, fees in named.items():
        types = {fee.number_type for fee in fees}
        line = Line("fee", description=name)
        exact = Fraction(0)
        for fee in fees:
            quantity = _due(fee, types, terms, tallies, month)
            line.quantity += quantity
            per_quantity = len(month.days) if fee.by_day else fee.per_quantity
            exact += Fraction(fee.amount) * quantity / per_quantity
        numerator = exact.numerator * 10**agreement.line_decimals
        line.rated = line.invoiced = round_ratio(numerator, exact.denominator, agreement.rounding_mode)
        if exact:
            lines.append(line)
    return lines


def _due(fee: Fee, types: set[str], terms: AllTerms, tallies: list[Tally], month: Month) -> int:
    """Months or days of rented numbers, or billed quantity; a fee of no number type is for the types that no other
    fee of the name has.
    """
    if fee.kind == "per_month":
        return len(month.days) if fee.by_day else 1
    if fee.kind == "per_number_month":
        days = [
            rental.days_in(month)
            for rental in terms.rentals
            if rental.carrier_id == fee.carrier_id
            and fee.number_type == (rental.number_type if rental.number_type in types else "")
        ]
        return sum(days) if fee.by_day else sum(count > 0 for count in days)
    measure = "events" if fee.kind == "per_event" else "quantity"
    return sum(
        int(tally.sums[measure][:, ~tally.deck.hidden].sum())
        for tally in tallies
        if fee.service in ("", tally.deck.plan.service) and fee.direction in ("", tally.deck.plan.direction)
    )


def _intervals(tally: Tally, destination: int, day_count: int) -> list[slice]:
    """Days between changes of the destination's price; a day on which it changes at noon still belongs to
    the old interval.
    """
    cuts = {0, day_count}
    for epoch in tally.deck.epochs[1:]:
        if destination in epoch.changed:
            first_whole_day = int(np.searchsorted(tally.midnights, epoch.starts_at, side="left"))
            cuts.add(min(first_whole_day, day_count))
    ordered = sorted(cuts)
    return [slice(start, end) for start, end in pairwise(ordered)]


def _sum(line: Line, measure: str, days: slice | np.ndarray) -> int:
    return int(line.tally.sums[measure][:, line.destination, days].sum())


def _amount(line: Line, measure: str, days: slice | np.ndarray, times: int = 1) -> int:
    """The summed cost, rounded once as the agreement rounds its lines."""
    agreement = line.tally.agreement
    cost = _sum(line, measure, days) * times
    return round_ratio(cost * 10**agreement.line_decimals, line.tally.denominator, agreement.rounding_mode)


def _count(line: Line, days: slice | np.ndarray) -> None:
    line.events = _sum(line, "events", days)
    line.quantity = line.said_quantity = _sum(line, "quantity", days)
    by_epoch = line.tally.sums["quantity"][:, line.destination, days].sum(axis=1)
    line.rate = int(line.tally.rates[int(by_epoch.argmax()), line.destination])


def _ours(invoice: Invoice) -> list[Line]:
    """Usage lines that our records explain, the busiest first."""
    known = [line for line in invoice.lines if line.line_type == "usage" and not line.causes]
    return sorted(known, key=lambda line: (-line.invoiced, _place(line)))


def _place(line: Line) -> tuple:
    deck = line.tally.deck
    return deck.plan.service, deck.plan.direction, deck.names[line.destination], line.days.start


def _bill_stale_rates(invoice: Invoice) -> None:
    """Keeps the rates from before the amendment on the busiest of the destinations that became cheaper."""
    stale = []
    for line in _ours(invoice):
        old = int(line.tally.erring_rates[-1, line.destination])
        if line.tally.midnights[line.days.start] >= line.tally.starts[-1] and old > line.rate:
            stale.append((line, old))
    for line, old in stale[:STALE_RATE_DESTINATIONS]:
        line.rate = old
        line.bill(_amount(line, "erring_cost", line.days), "RATE")


def _bill_coarse_increments(invoice: Invoice) -> None:
    """Bills every line by the carrier's own increments."""
    for line in _ours(invoice):
        line.said_quantity = _sum(line, "erring_quantity", line.days)
        line.bill(_amount(line, "erring_cost", line.days), "INCREMENT")


def _repeat_a_line(invoice: Invoice) -> None:
    """Bills the third busiest line twice; nothing of ours stands behind the copy."""
    original = _nth(_ours(invoice), 2)
    if original:
        copy = replace(original, rated=0, invoiced=0, quantity=0, causes={})
        copy.bill(original.invoiced, "DUPLICATE")
        invoice.lines.append(copy)


def _bill_a_silent_destination(invoice: Invoice) -> None:
    """Bills calls to the last destination of the deck, by name, that nobody called."""
    for tally in {id(line.tally): line.tally for line in invoice.lines if line.tally}.values():
        silent = np.flatnonzero(~tally.sums["events"].any(axis=(0, 2)) & ~tally.deck.hidden)
        if tally.deck.plan.service == "voice" and len(silent):
            destination = int(max(silent, key=lambda number: tally.deck.names[number]))
            days = _intervals(tally, destination, len(invoice.month.days))[0]
            line = Line("usage", tally=tally, destination=destination, days=days, events=PHANTOM_CALLS)
            line.said_quantity = PHANTOM_CALLS * PHANTOM_SECONDS_EACH
            line.rate = int(tally.rates[0, destination])
            cost = line.rate * line.said_quantity * 10**invoice.agreement.line_decimals
            line.bill(round_ratio(cost, tally.denominator, invoice.agreement.rounding_mode), "MISSING_OURS")
            invoice.lines.append(line)
            return


def _leave_out_a_day(invoice: Invoice) -> None:
    """Forgets the busiest day of the busiest line of calls."""
    line = next((line for line in _ours(invoice) if line.tally.deck.plan.service == "voice"), None)
    if line is None:
        return
    days = np.arange(line.days.start, line.days.stop)
    by_day = line.tally.sums["cost"][:, line.destination, line.days].sum(axis=0)
    kept = np.delete(days, int(by_day.argmax()))
    right = line.quantity
    _count(line, kept)
    line.quantity = right
    line.bill(_amount(line, "cost", kept), "VOLUME")


def _add_port_fee(invoice: Invoice) -> None:
    line = Line("fee", description="Monthly port fee")
    line.bill(int(PORT_FEE.scaleb(invoice.agreement.line_decimals)), "FEE")
    invoice.lines.append(line)


def _raise_the_surcharge_early(invoice: Invoice) -> None:
    """Bills its only fee by an amount that nobody has agreed to yet."""
    for line in invoice.lines:
        if line.line_type == "fee":
            exact = Fraction(EARLY_SURCHARGE) * line.quantity * 10**invoice.agreement.line_decimals
            line.bill(round_ratio(exact.numerator, exact.denominator, invoice.agreement.rounding_mode), "FEE")


def _slip_a_decimal_point(invoice: Invoice) -> None:
    """Bills the fourth busiest line at ten times its rate."""
    line = _nth(_ours(invoice), 3)
    if line:
        line.rate *= 10
        line.bill(_amount(line, "cost", line.days, times=10), "RATE")


def _omit_a_line(invoice: Invoice) -> None:
    """Never bills the sixth busiest line."""
    line = _nth(_ours(invoice), 5)
    if line:
        line.omitted = True
        line.bill(0, "MISSING_THEIRS")


def _nth(lines: list[Line], number: int) -> Line | None:
    """That line, or in a month with few lines the last one."""
    return lines[min(number, len(lines) - 1)] if lines else None


MISTAKES: dict[str, tuple[Callable[[Invoice], None], ...]] = {
    "atlantic-voice": (_bill_stale_rates, _repeat_a_line),
    "nordlink": (_bill_coarse_increments,),
    "sakura-tel": (_bill_a_silent_destination, _leave_out_a_day),
    "gulf-connect": (_add_port_fee,),
    "textwave": (_slip_a_decimal_point, _omit_a_line, _raise_the_surcharge_early),
}


def _tax(invoice: Invoice, net: int) -> int:
    numerator, denominator = invoice.agreement.tax_ratio.as_integer_ratio()
    return round_ratio(net * numerator, denominator, invoice.agreement.rounding_mode)


def _add_tax(invoice: Invoice) -> None:
    """Tax is expected on the invoice's own net, so it is right even where the net is not."""
    if invoice.agreement.tax_ratio:
        tax = _tax(invoice, invoice.total)
        invoice.lines.append(Line("tax", rated=tax, invoiced=tax, description=f"Tax {invoice.agreement.tax_ratio}"))


def _number(invoice: Invoice) -> None:
    """Usage lines by service and destination, a repeated one after all others, then fees and tax."""
    order = {"usage": 0, "fee": 1, "tax": 2}

    def place(line: Line) -> tuple:
        repeated = "DUPLICATE" in line.causes
        return order[line.line_type], repeated, _place(line) if line.line_type == "usage" else ()

    invoice.lines.sort(key=place)
    sent = [line for line in invoice.lines if not line.omitted]
    for number, line in enumerate(sent, 1):
        line.number = number


def write_invoices(landing: Path, invoices: list[Invoice]) -> None:
    """Writes every invoice that was sent, and the first version of those that were restated."""
    folder = landing / "carrier_invoices" / "native"
    folder.mkdir(parents=True, exist_ok=True)
    for invoice in invoices:
        if not invoice.sent:
            continue
        for version in range(1, invoice.version + 1):
            suffix = f"_v{version}" if invoice.version > 1 else ""
            issued = _as_first_sent(invoice) if version < invoice.version else invoice
            path = folder / f"{invoice.carrier_id}_{invoice.number}{suffix}.csv"
            _write_csv(path, INVOICE_COLUMNS, _invoice_rows(issued))


def write_credit_notes(landing: Path, invoices: list[Invoice]) -> list[dict[str, str]]:
    """Atlantic Voice credits what it billed twice, early in the next month; returns the notes, also when
    there is none.
    """
    folder = landing / "credit_notes" / "native"
    folder.mkdir(parents=True, exist_ok=True)
    notes = []
    for invoice in invoices:
        repeated = sum(line.causes.get("DUPLICATE", 0) for line in invoice.lines)
        if repeated:
            values = (
                invoice.carrier_id,
                f"CN-{invoice.number}",
                str(invoice.month.next_first + timedelta(days=8)),
                invoice.number,
                "DUPLICATE",
                invoice.agreement.currency,
                invoice.amount_text(repeated),
            )
            notes.append(dict(zip(CREDIT_NOTE_COLUMNS, values, strict=True)))
            path = folder / f"{invoice.carrier_id}_CN-{invoice.number}.csv"
            _write_csv(path, CREDIT_NOTE_COLUMNS, [values])
    return notes


def truth_lines(invoice: Invoice) -> list[dict]:
    """The truth about each line of a sent invoice, the omitted ones included; amounts are decimal strings."""
    return [_truth_line(invoice, line) for line in invoice.lines] if invoice.sent else []


def truth_totals(invoice: Invoice) -> dict:
    """The truth about one carrier: what the month should have cost, what was invoiced, and what each cause
    adds.
    """
    causes = {}
    for line in invoice.lines:
        for cause, amount in line.causes.items():
            causes[cause] = causes.get(cause, 0) + amount
    return {
        "carrier_id": invoice.carrier_id,
        "agreement_id": invoice.agreement.agreement_id,
        "currency": invoice.agreement.currency,
        "invoice_number": invoice.number if invoice.sent else None,
        "invoice_version": invoice.version if invoice.sent else None,
        "rated_amount": invoice.amount_text(sum(line.rated for line in invoice.lines)),
        "invoiced_amount": invoice.amount_text(invoice.total) if invoice.sent else None,
        "causes": [
            {"cause": cause, "amount": invoice.amount_text(causes[cause])} for cause in sorted(causes) if invoice.sent
        ],
    }


def _as_first_sent(invoice: Invoice) -> Invoice:
    """The first version: each twelfth line was not ready, and the tax followed."""
    usage = [line for line in invoice.lines if line.line_type != "tax"]
    first = replace(invoice, version=1, lines=[line for line in usage if line.number % 12])
    _add_tax(first)
    for line in first.lines:
        line.number = line.number or len(invoice.lines)
    return first


def _invoice_rows(invoice: Invoice) -> list[tuple]:
    first = invoice.month.first
    issued = invoice.month.next_first + timedelta(days=1 + invoice.version)
    start = (invoice.carrier_id, invoice.number, invoice.version, issued, first, invoice.agreement.currency)
    total = invoice.amount_text(invoice.total)
    return [
        (
            *start,
            line.number,
            line.line_type,
            *_usage_fields(invoice, line),
            invoice.amount_text(line.invoiced),
            line.description,
            total,
        )
        for line in invoice.lines
        if not line.omitted
    ]


def _usage_fields(invoice: Invoice, line: Line) -> tuple:
    if line.line_type != "usage":
        return ("",) * 10
    deck = line.tally.deck
    return (
        *_destination(line), *_dates(invoice, line), line.events, line.said_quantity, deck.unit,
        decimal_text(line.rate), deck.per_quantity,
    )  # fmt: skip


def _destination(line: Line) -> tuple[str, str, str]:
    deck = line.tally.deck
    return deck.plan.service, deck.plan.direction, deck.names[line.destination]


def _dates(invoice: Invoice, line: Line) -> tuple[date, date]:
    return invoice.month.days[line.days.start], invoice.month.days[line.days.stop - 1]


def _truth_line(invoice: Invoice, line: Line) -> dict:
    usage = line.line_type == "usage"
    service, direction, destination = _destination(line) if usage else (None, None, None)
    first, last = map(str, _dates(invoice, line)) if usage else (None, None)
    return {
        "carrier_id": invoice.carrier_id,
        "invoice_number": invoice.number,
        "line_number": line.number,
        "line_type": line.line_type,
        "service": service,
        "direction": direction,
        "destination_name": destination,
        "service_first_date": first,
        "service_last_date": last,
        "currency": invoice.agreement.currency,
        "rated_amount": invoice.amount_text(line.rated),
        "invoiced_amount": invoice.amount_text(line.invoiced),
        "billed_quantity": str(line.quantity) if usage else None,
        "causes": [{"cause": cause, "amount": invoice.amount_text(amount)} for cause, amount in line.causes.items()],
    }


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
