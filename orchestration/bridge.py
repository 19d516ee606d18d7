"""The variance bridge of an invoice line as a person would tell it: each cause in the order of the walk, and its proof.

What is said was found by the models, and stands in their tables: which policy, since when, how many lines it
reproduces, which other one comes next. Used by `tollgate explain` and by the pack that goes to the carrier.

Belongs here: components and their proofs in words. Does not belong here: looking for causes (`models/reconcile`),
single events (`evidence.py`), what else there is to say of a line (`explain/line.py`).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb

from orchestration.figures import MODES, plain, unit
from orchestration.sql import fetch_rows
from orchestration.summary import counted

Row = dict[str, Any]

CAUSES = {
    "TIMEZONE": "days counted on the clock of another time zone",
    "PERIOD": "a month closed on another day",
    "DUPLICATE": "a line billed twice",
    "DIAL_CODE": "numbers counted at a shorter code",
    "MISSING_OURS": "events billed that our records do not have",
    "MISSING_THEIRS": "events of ours that are not billed",
    "VOLUME": "another quantity",
    "INCREMENT": "another minimum and increment",
    "ROUNDING": "another rounding of calls or increments",
    "RATE": "another price than the deck in force",
    "STATUS": "events billed that the agreement does not charge",
    "FX": "no exchange rate",
    "FEE": "a fee that is not agreed, or not in that amount",
    "TAX": "another tax than agreed",
    "COMMITMENT": "a commitment settled otherwise",
    "RESIDUAL": "a difference that nothing explains",
}
"""In the order of the walk, and in words."""
ORDER = list(CAUSES)

COMPONENTS = """
    select invoice_line_id, cause, component_variance_amount
    from tollgate.reconcile.int_variances_bridged semi join evidence.lines using (invoice_line_id)
"""
POLICIES = """
    select lines.invoice_line_id, questioned.carrier_policy_id, policies.agreed_policy_name,
        countings as counting, increments as increment, roundings as rounding
    from evidence.lines
    join evidence.questioned using (invoice_line_id)
    left join tollgate.reconcile.int_policies_scored as policies using (carrier_policy_id)
    left join tollgate.reconcile.int_countings_scored as countings
        on countings.carrier_policy_id = questioned.carrier_policy_id and countings.is_adopted
    left join tollgate.reconcile.int_increments_scored as increments
        on increments.carrier_policy_id = questioned.carrier_policy_id and increments.is_adopted
    left join tollgate.reconcile.int_roundings_scored as roundings
        on roundings.carrier_policy_id = questioned.carrier_policy_id and roundings.is_adopted
"""
STEPS = """
    select * from tollgate.reconcile.int_lines_rerated semi join evidence.lines using (invoice_line_id)
    order by invoice_line_id, step_number
"""
FILE = "files.kind || '/' || concat_ws('/', files.feed, files.file_name, files.part_name)"
DECK_ROW = f"""
    select decks.*, collected.deck_kind, collected.effective_date, collected.received_at, collected.record_number,
        {FILE} as file
    from tollgate.rate.int_rate_decks_resolved as decks
    left join tollgate.stage.int_deck_rows_collected as collected
        on collected.feed || ':' || collected.file_id || ':' || collected.record_number = decks.deck_row_id
    left join tollgate.ingest.files as files using (file_id)
"""
# At which price each code of a line is billed, beside the agreed one.
PRICES = """
    select prices.*, theirs.code_name as their_code_name, theirs.destination_name as their_destination_name,
        theirs.rate_amount as their_rate_amount, theirs.rate_per_quantity as their_per_quantity,
        theirs.deck_version as their_deck_version, theirs.applies_from_at as their_applies_from_at,
        theirs.applies_until_at as their_applies_until_at, theirs.rate_currency, theirs.rate_unit,
        ours.code_name, ours.destination_name, ours.rate_amount, ours.rate_per_quantity, ours.deck_version,
        ours.applies_from_at, ours.applies_until_at
    from tollgate.reconcile.int_prices_matched as prices
    semi join evidence.lines using (invoice_line_id)
    join tollgate.rate.int_rate_decks_resolved as ours on ours.deck_row_id = prices.deck_row_id
    join tollgate.rate.int_rate_decks_resolved as theirs on theirs.deck_row_id = prices.price_row_id
    order by prices.invoice_line_id, ours.code_name
"""
# Numbers that a shorter code took from one line to another, told from each of the two.
MOVES = """
    with moved as (
        select invoice_line_id, event_id, carrier_policy_id, deck_row_id, first_step = 3 as has_come
        from evidence.recounted where (first_step = 3) != (end_step = 3)
    )
    select here.invoice_line_id, there.invoice_line_id as other_line_id,
        coalesce(lines.destination_name, lines.dial_code) as other_destination_name,
        any_value(case when here.has_come then here_codes.code_name else there_codes.code_name end)
            as shorter_code_name,
        string_agg(distinct case when here.has_come then there_codes.code_name else here_codes.code_name end, ', ')
            as code_names,
        here.has_come, count(*) as event_count
    from moved as here
    semi join evidence.lines on lines.invoice_line_id = here.invoice_line_id
    join moved as there
        on there.event_id = here.event_id and there.carrier_policy_id = here.carrier_policy_id
            and there.has_come != here.has_come
    join tollgate.reconcile.int_invoice_lines_matched as lines on lines.invoice_line_id = there.invoice_line_id
    join tollgate.rate.int_rate_decks_resolved as here_codes on here_codes.deck_row_id = here.deck_row_id
    join tollgate.rate.int_rate_decks_resolved as there_codes on there_codes.deck_row_id = there.deck_row_id
    group by
        here.invoice_line_id, there.invoice_line_id, coalesce(lines.destination_name, lines.dial_code), here.has_come
"""
DAYS_LEFT_OUT = """
    select invoice_line_id, usage_date, count(*) as event_count from evidence.rebilled
    where end_step = 4 group by invoice_line_id, usage_date
"""
FIRST_COPIES = """
    select copies.invoice_line_id, min_by(
        firsts.invoice_line_id, (firsts.invoice_date, firsts.invoice_number, firsts.line_number)
    ) as first_line_id
    from evidence.lines
    join tollgate.reconcile.int_invoice_lines_versioned as copies using (invoice_line_id)
    join tollgate.reconcile.int_invoice_lines_versioned as firsts
        on firsts.carrier_id = copies.carrier_id and firsts.service is not distinct from copies.service
            and firsts.direction is not distinct from copies.direction
            and lower(firsts.destination_name) is not distinct from lower(copies.destination_name)
            and firsts.dial_code is not distinct from copies.dial_code
            and firsts.service_first_date is not distinct from copies.service_first_date
            and firsts.service_last_date is not distinct from copies.service_last_date
            and firsts.invoiced_event_count is not distinct from copies.invoiced_event_count
            and firsts.invoiced_quantity is not distinct from copies.invoiced_quantity
            and firsts.invoiced_amount = copies.invoiced_amount and firsts.line_type = 'usage'
            and not firsts.is_repeated
    where copies.is_repeated
    group by copies.invoice_line_id
"""
UNRATED = """
    select lines.invoice_line_id, sum(usage.event_count) as event_count
    from evidence.lines
    join tollgate.attribute.int_usage_aggregated as usage
        on usage.carrier_id = lines.carrier_id and usage.rating_status = 'unrated'
            and coalesce(usage.service = lines.service, true) and coalesce(usage.direction = lines.direction, true)
            and date_trunc('month', usage.carrier_local_date) = lines.period_start_date
    group by lines.invoice_line_id
"""
# What is due under the name of a fee line; of a fee that no line names, what was left out.
FEES = """
    select lines.invoice_line_id, fees.*, commitments.committed_quantity, commitments.used_quantity,
        commitments.committed_amount, commitments.used_amount, commitments.held_first_date, commitments.held_end_date
    from evidence.lines
    left join tollgate.reconcile.int_invoice_lines_versioned as named using (invoice_line_id)
    left join tollgate.reconcile.int_fees_expected as omitted
        on omitted.omitted_by_invoice_id = lines.invoice_id
            and lines.invoice_line_id = lines.invoice_id || ':' || omitted.expected_fee_id
    join tollgate.reconcile.int_fees_counted as fees
        on fees.carrier_id = lines.carrier_id and fees.period_start_date = lines.period_start_date
            and fees.fee_key = coalesce(named.fee_key, omitted.fee_key)
    left join tollgate.reconcile.int_commitments_counted as commitments
        on commitments.carrier_fee_id = fees.carrier_fee_id and commitments.period_start_date = fees.period_start_date
    where lines.line_type = 'fee'
    order by lines.invoice_line_id, fees.carrier_fee_id
"""
TAXES = """
    select lines.invoice_line_id, taxes.taxable_amount, taxes.tax_ratio, taxes.expected_tax_amount
    from evidence.lines join tollgate.reconcile.int_taxes_expected as taxes using (invoice_id)
    where lines.line_type = 'tax'
"""
TOTALS = """
    select lines.invoice_line_id, invoices.*
    from evidence.lines join tollgate.reconcile.int_invoices_footed as invoices using (invoice_id)
    where lines.line_type = 'rounding'
"""


@dataclass(frozen=True)
class Component:
    """One cause of a line's variance, with what proves it."""

    cause: str
    amount: Decimal
    amount_after: Decimal
    proof: list[str]


@dataclass
class Bridge:
    """From what a line should have been to what was invoiced."""

    line: Row
    components: list[Component] = field(default_factory=list)

    def does_not_add_up(self) -> str | None:
        """What of the walk contradicts its own ends, if anything does."""
        reached = self.components[-1].amount_after if self.components else self.line["rated_amount"]
        if reached == self.line["invoiced_amount"]:
            return None
        return (
            f"the walk of {self.line['invoice_line_id']} ends at {plain(reached)}; "
            f"invoiced are {plain(self.line['invoiced_amount'])}"
        )


def bridges(connection: duckdb.DuckDBPyConnection, proofs: "Proofs") -> dict[str, Bridge]:
    """The bridge of each line that `evidence.gather` was asked for, by its id."""
    found = {line["invoice_line_id"]: Bridge(line) for line in fetch_rows(connection, "from evidence.lines")}
    amounts: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in fetch_rows(connection, COMPONENTS):
        amounts[row["invoice_line_id"]][row["cause"]] = row["component_variance_amount"]
    for line_id, bridge in found.items():
        reached = bridge.line["rated_amount"]
        for cause in sorted(amounts[line_id], key=ORDER.index):
            reached += amounts[line_id][cause]
            proof = proofs.of(bridge.line, cause)
            bridge.components.append(Component(cause, amounts[line_id][cause], reached, proof))
    return found


def price_in_words(rate: Decimal | None, per: int | None, currency: str | None, rate_unit: str | None) -> str:
    if rate is None or per is None:
        return "prices for time bands or steps"
    counted_in = unit(rate_unit or "", per)
    return f"{plain(rate)} {currency or ''} for {per} {counted_in}".replace("  ", " ").strip()


class Proofs:
    """What the search left of each line, read once for all lines."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        def by_line(query: str) -> dict[str, list[Row]]:
            gathered = defaultdict(list)
            for row in fetch_rows(connection, query):
                gathered[row["invoice_line_id"]].append(row)
            return gathered

        self.policies = by_line(POLICIES)
        self.steps = by_line(STEPS)
        self.prices = by_line(PRICES)
        self.moves = by_line(MOVES)
        self.days_left_out = by_line(DAYS_LEFT_OUT)
        self.first_copies = by_line(FIRST_COPIES)
        self.unrated = by_line(UNRATED)
        self.fees = by_line(FEES)
        self.taxes = by_line(TAXES)
        self.totals = by_line(TOTALS)

    def of(self, line: Row, cause: str) -> list[str]:
        told = getattr(self, f"_{cause.lower()}", None)
        return told(line) if told else []

    # --- the carrier's one policy -----------------------------------------------------------------------------------

    def _policy(self, line: Row, attribute: str) -> Row | None:
        return next((row[attribute] for row in self.policies[line["invoice_line_id"]] if row[attribute]), None)

    def _score(self, found: Row, what: str) -> str:
        reproduced, runner_up = found["reproduced_line_count"], found["runner_up_line_count"]
        sentence = (
            f"That reproduces the {what} of {counted(reproduced, 'line')} of the month, {found['gained_line_count']:,} "
            f"of them among the {found['deviating_line_count']:,} that the agreement does not reproduce"
        )
        if not found["runner_up_name"]:
            return f"{sentence}; nothing else that was tried comes near."
        lead = reproduced - runner_up
        tie = "so it may be either" if lead == 0 else f"a lead of {lead:,}"
        return f"{sentence}; the runner-up, {found['runner_up_name']}, {runner_up:,}: {tie}."

    def _counting(self, line: Row, told: str) -> list[str]:
        found = self._policy(line, "counting")
        if found is None:
            return []
        return [f"{told}: {found['counting_name']}.", self._score(found, "number of events")]

    def _timezone(self, line: Row) -> list[str]:
        return self._counting(line, "The carrier counts its days on another clock")

    def _period(self, line: Row) -> list[str]:
        return self._counting(line, "The carrier closes its month on another day")

    def _status(self, line: Row) -> list[str]:
        return self._counting(line, "The carrier bills what the agreement does not charge")

    def _increment(self, line: Row) -> list[str]:
        found = self._policy(line, "increment")
        if found is None:
            return []
        agreed = self.policies[line["invoice_line_id"]][0]["agreed_policy_name"]
        before, after = self._step(line, 4), self._step(line, 5)
        counted_in = unit(line["quantity_unit"] or "second")
        return [
            f"Billed by {found['policy_name']} since {found['since_date']}, agreed are {agreed}: "
            f"{plain(after['billed_quantity'])} {counted_in} instead of {plain(before['billed_quantity'])}.",
            self._score(found, "quantity"),
        ]

    def _rounding(self, line: Row) -> list[str]:
        if line["line_type"] == "rounding":
            return self.total_in_words(line)
        found = self._policy(line, "rounding")
        return [f"The carrier rounds otherwise: {found['policy_name']}.", self._score(found, "amount")] if found else []

    def _step(self, line: Row, number: int) -> Row:
        return next(step for step in self.steps[line["invoice_line_id"]] if step["step_number"] == number)

    # --- prices and codes -------------------------------------------------------------------------------------------

    def _rate(self, line: Row) -> list[str]:
        prices = [row for row in self.prices[line["invoice_line_id"]] if row["step_number"] == 7]
        if not prices:
            ours = price_in_words(
                line["rated_rate_amount"], line["rated_rate_per_quantity"], None, line["quantity_unit"]
            )
            theirs = price_in_words(
                line["invoiced_rate_amount"], line["invoiced_rate_per_quantity"], None, line["quantity_unit"]
            )
            return [f"The line states {theirs}; the deck in force has {ours}."]
        first = prices[0]
        explained = first["explained_line_count"]
        leads = (
            "It leads to the amount of the line" if first["is_reproduced"] else "It is the price that the line states"
        )
        sentences = [
            f"Billed at another price: {first['price_name']}. {leads}, and to that of {counted(explained, 'line')} of "
            "the month in all."
        ]
        for row in prices:
            stated = row["stated_rate_amount"] is not None
            rate = row["stated_rate_amount"] if stated else row["their_rate_amount"]
            per = row["stated_rate_per_quantity"] if stated else row["their_per_quantity"]
            if rate is not None and not stated:
                rate, per = rate * row["rate_factor"], per * row["per_factor"]
            ours = price_in_words(row["rate_amount"], row["rate_per_quantity"], row["rate_currency"], row["rate_unit"])
            theirs = price_in_words(rate, per, row["rate_currency"], row["rate_unit"])
            whence = ""
            if row["price_row_id"] != row["deck_row_id"]:
                whence = f", as deck {row['their_deck_version']} has it for {row['their_code_name']}"
            sentences.append(
                f"Code {row['code_name']}: agreed is {ours} (deck {row['deck_version']}, in force since "
                f"{row['applies_from_at']:%Y-%m-%d %H:%M} UTC); billed {theirs}{whence}."
            )
        return sentences

    def _dial_code(self, line: Row) -> list[str]:
        sentences = []
        for move in self.moves[line["invoice_line_id"]]:
            events = counted(move["event_count"], "event")
            where = f"{move['other_destination_name']} ({move['other_line_id']})"
            if move["has_come"]:
                sentences.append(
                    f"{events} to {move['code_names']} belong to {where}; the carrier counts them here, at the shorter "
                    f"code {move['shorter_code_name']}."
                )
            else:
                sentences.append(
                    f"{events} to {move['code_names']} are counted at the shorter code {move['shorter_code_name']}, on "
                    f"the line of {where}."
                )
        for row in self.prices[line["invoice_line_id"]]:
            if row["step_number"] == 3:
                theirs = price_in_words(
                    row["their_rate_amount"], row["their_per_quantity"], row["rate_currency"], row["rate_unit"]
                )
                sentences.append(
                    f"Code {row['code_name']} is priced at the shorter code {row['their_code_name']}, "
                    f"{row['their_destination_name']}: {theirs}."
                )
        return sentences

    # --- what one side lacks ----------------------------------------------------------------------------------------

    def _duplicate(self, line: Row) -> list[str]:
        return [
            f"It repeats {copy['first_line_id']}: the same destination, days, events, quantity and amount. Our events "
            "stand behind that line, and nothing stands behind this one."
            for copy in self.first_copies[line["invoice_line_id"]]
        ]

    def _missing_ours(self, line: Row) -> list[str]:
        theirs = line["invoiced_event_count"]
        counted_by_them = "does not say how many it counted" if theirs is None else f"counted {theirs:,}"
        sentences = [
            f"No rated event of ours is for {line['destination_name'] or 'it'} from {line['service_first_date']} to "
            f"{line['service_last_date']}; the carrier {counted_by_them}."
        ]
        unrated = sum(row["event_count"] for row in self.unrated[line["invoice_line_id"]])
        if unrated:
            sentences.append(
                f"{counted(int(unrated), 'event')} of this kind could not be rated in that month; some may be these."
            )
        return sentences

    def _missing_theirs(self, line: Row) -> list[str]:
        if line["line_type"] != "usage":
            return ["The agreement has it, and no line of the invoice names it."]
        return [
            "The invoice is about these days and has no line for "
            f"{line['destination_name'] or 'numbers that no code begins'}; our records have "
            f"{counted(int(line['rated_event_count'] or 0), 'event')} from {line['service_first_date']} to "
            f"{line['service_last_date']}."
        ]

    def _volume(self, line: Row) -> list[str]:
        sentences = [
            f"The carrier left out {day['usage_date']}: it alone has the {counted(day['event_count'], 'event')} that "
            "the line lacks, and their quantity."
            for day in self.days_left_out[line["invoice_line_id"]]
        ]
        steps = self.steps[line["invoice_line_id"]]
        ours = steps[-1]["billed_quantity"] if steps else line["rated_quantity"]
        events = steps[-1]["event_count"] if steps else line["rated_event_count"]
        if line["invoiced_quantity"] is not None and ours != line["invoiced_quantity"]:
            counted_in = unit(line["quantity_unit"] or "", 0)
            sentences.append(
                f"The line states {line['invoiced_event_count'] or 0:,} events and {plain(line['invoiced_quantity'])} "
                f"{counted_in}; {int(events or 0):,} and {plain(ours or Decimal(0))} are in our records, and no policy "
                "that was tried leads to what it states."
            )
        return sentences

    # --- beside usage -----------------------------------------------------------------------------------------------

    def _fee(self, line: Row) -> list[str]:
        return self.fee_in_words(line) or ["No fee of that name is agreed for the month."]

    def _commitment(self, line: Row) -> list[str]:
        return self.fee_in_words(line)

    def fee_in_words(self, line: Row) -> list[str]:
        return [
            self._commitment_in_words(fee)
            if fee["is_commitment"]
            else f"Agreed is {fee['fee_name']}, {plain(fee['fee_amount'])} {fee['fee_currency']}"
            + (f" for {fee['fee_per_quantity']}" if fee["fee_per_quantity"] != 1 else "")
            + f", due for {plain(fee['due_quantity'])} x {fee['due_unit']} "
            + f"({fee['carrier_fee_id']} in carrier_fees.csv)."
            for fee in self.fees[line["invoice_line_id"]]
        ]

    def _commitment_in_words(self, fee: Row) -> str:
        days = f"from {fee['held_first_date']} to {fee['held_end_date'] - timedelta(days=1)}"
        row = f"({fee['carrier_fee_id']} in carrier_fees.csv)"
        if fee["fee_kind"] == "minimum_amount":
            money = fee["fee_currency"]
            return (
                f"Committed is usage for {plain(fee['committed_amount'])} {money} {days}; it came to "
                f"{plain(fee['used_amount'])} {money}: {plain(fee['fee_amount'])} {money} are due for the rest {row}."
            )
        counted_in = fee["due_unit"]
        price = f"{plain(fee['fee_amount'])} {fee['fee_currency']} for {fee['fee_per_quantity']}"
        return (
            f"Committed are {plain(fee['committed_quantity'])} x {counted_in} {days}; "
            f"{plain(fee['used_quantity'])} were used: {plain(fee['due_quantity'])} are due at {price} {row}."
        )

    def _tax(self, line: Row) -> list[str]:
        return self.tax_in_words(line)

    def tax_in_words(self, line: Row) -> list[str]:
        return [
            f"The agreement's tax is {plain(tax['tax_ratio'])} on what the invoice itself says without tax, "
            f"{plain(tax['taxable_amount'])}: {plain(tax['expected_tax_amount'])} {line['invoice_currency']}."
            for tax in self.taxes[line["invoice_line_id"]]
        ]

    def total_in_words(self, line: Row) -> list[str]:
        return [
            f"The lines sum to {plain(total['lines_amount'])}. The agreement rounds the total "
            f"{MODES[total['rounding_mode']]} to {counted(total['total_rounding_decimals'], 'decimal')}: "
            f"{plain(total['expected_rounding_amount'])}; the carrier's total is "
            f"{plain(total['invoice_total_amount'])} {line['invoice_currency']}."
            for total in self.totals[line["invoice_line_id"]]
        ]

    def _fx(self, line: Row) -> list[str]:
        return [
            f"There is no exchange rate between {line['agreement_currency']} and {line['invoice_currency']}, so the "
            "line cannot be compared."
        ]

    def _residual(self, line: Row) -> list[str]:
        if line["line_type"] == "usage" and (line["service"] is None or line["direction"] is None):
            return ["One amount for several services tells of no one policy, so none was looked for."]
        return ["Nothing that was tried explains it. It is shown, and spread over no other cause."]
