"""The answer of `tollgate what-if --deck` as a person reads it, and as JSON for whoever goes on from there.

Belongs here: laying out an answer. Does not belong here: finding it (`deck.py`), the words of a finding
(`deck_findings.py`).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration import deck_findings, figures
from orchestration.what_if.deck import Answer, Line, Rate

MORE_DECIMALS_THAN_AN_INVOICE = 2
ROWS_SHOWN = 5

Say = Callable[[str], None]
Money = Callable[[Decimal, str], str]


def show(console: Console, answer: Answer, decimals: dict[str, int], limit: int) -> None:
    """Totals, what gets dearer and cheaper, what loses or gains its price, bad rows of the file, findings.

    decimals: of the minor unit of each currency; limit: of the codes and changes that are shown.
    """

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def money(amount: Decimal, currency: str) -> str:
        return f"{amount:,.{decimals.get(currency, 2) + MORE_DECIMALS_THAN_AN_INVOICE}f}"

    say(
        f"{answer.carrier_id}: the {answer.event_count:,} events of {answer.month:%Y-%m}, "
        f"as if {answer.file_name} had been in force from {answer.month}"
    )
    _say_decks(answer, say)
    if answer.lines:
        console.print(_totals(answer, money), highlight=False)
    dearer = sorted((line for line in answer.lines if line.difference > 0), key=lambda line: -line.difference)
    cheaper = sorted((line for line in answer.lines if line.difference < 0), key=lambda line: line.difference)
    for title, lines in (("Dearer", dearer), ("Cheaper", cheaper)):
        if lines:
            console.print(_table_of(title, lines, limit, money), highlight=False)
    if not dearer and not cheaper:
        say("No code costs more or less than it did.")
    _say_changes(answer, limit, say, money)
    _say_bad_rows(answer, say)
    if answer.finding_counts:
        say("\nWhat is odd about the deck, by its own dates:")
        deck_findings.show(console, list(answer.findings), answer.finding_counts)


def as_json(answer: Answer) -> str:
    """Everything, amounts as text with all their decimals."""
    document = asdict(answer)
    document["lines"] = [asdict(line) | {"difference": line.difference} for line in answer.lines]
    document["totals"] = [
        {
            "currency": currency,
            "event_count": sum(line.event_count for line in lines),
            "cost_before": sum(line.cost_before for line in lines),
            "cost_after": sum(line.cost_after for line in lines),
            "difference": sum(line.difference for line in lines),
        }
        for currency, lines in _by_currency(answer)
    ]
    document["quarantined"] = [{"line_number": line, "message": message} for line, message in answer.quarantined]
    document["refused"] = [
        {"refusal_reason": reason, "row_count": rows, "first_record_number": first}
        for reason, rows, first in answer.refused
    ]
    document |= deck_findings.facts(answer.findings, answer.finding_counts)
    return figures.as_json(document)


def _by_currency(answer: Answer) -> list[tuple[str, list[Line]]]:
    currencies = sorted({line.currency for line in answer.lines})
    return [(currency, [line for line in answer.lines if line.currency == currency]) for currency in currencies]


def _say_decks(answer: Answer, say: Say) -> None:
    for deck in answer.decks:
        days = _days(deck.first_date, deck.last_date)
        received = "does not say when it was received, so its notice is not judged"
        if deck.received_at:
            received = f"was received {deck.received_at:%Y-%m-%d %H:%M} UTC"
        say(
            f"  {deck.service} {deck.direction}: {deck.deck_kind} {deck.deck_version} with "
            f"{_counted(deck.row_count, 'row')}; its own first day is {days}, and it {received}"
        )
    if answer.codes_of_several_days:
        codes = _counted(answer.codes_of_several_days, "code")
        say(f"  {codes} with prices for several days: the last of them is taken")


def _days(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first}, of some rows {last}"


def _totals(answer: Answer, money: Money) -> Table:
    table = _table("Cost", "", "events", "now", "then", "difference", "%")
    for currency, lines in _by_currency(answer):
        before, after = sum(line.cost_before for line in lines), sum(line.cost_after for line in lines)
        table.add_row(
            currency,
            f"{sum(line.event_count for line in lines):,}",
            money(before, currency),
            money(after, currency),
            _signed(after - before, currency, money),
            f"{100 * (after - before) / before:+.1f}" if before else "",
        )
    return table


def _table_of(title: str, lines: list[Line], limit: int, money: Money) -> Table:
    shown = lines[:limit]
    kinds = Counter(
        (rate.rate_per_quantity, rate.rate_currency, rate.rate_unit)
        for line in shown
        for rate in (*line.rates_before, *line.rates_after)
    )
    [(usual, _)] = kinds.most_common(1) or [(None, 0)]
    of_all = f", {limit} of {len(lines):,} codes" if len(lines) > limit else ""
    rates = (
        f"; rates are {deck_findings.price(None, *usual).replace(' ?', '')} where nothing else stands" if usual else ""
    )
    table = _table(
        f"{title}{of_all}{rates}",
        *("code", "destination", "events", "quantity", "now", "then", "difference", "rate now", "rate then"),
    )
    for line in shown:
        quantities = dict.fromkeys(deck_findings.plain(one) for one in (line.quantity_before, line.quantity_after))
        table.add_row(
            line.code_name or "all",
            Text(line.destination_name or ""),
            f"{line.event_count:,}",
            " > ".join(quantities),
            money(line.cost_before, line.currency),
            money(line.cost_after, line.currency),
            _signed(line.difference, line.currency, money),
            _rates(line.rates_before, usual),
            _rates(line.rates_after, usual),
        )
    return table


def _rates(rates: tuple[Rate, ...], usual: tuple[int, str, str] | None) -> str:
    """One, or the lowest and the highest of those that the events had in the course of the month."""
    told = []
    for rate in dict.fromkeys((rates[0], rates[-1])) if rates else []:
        kind = (rate.rate_per_quantity, rate.rate_currency, rate.rate_unit)
        if rate.rate_amount is None:
            told.append("by time")
        else:
            told.append(
                deck_findings.plain(rate.rate_amount) if kind == usual else deck_findings.price(rate.rate_amount, *kind)
            )
    return " to ".join(told)


def _say_changes(answer: Answer, limit: int, say: Say, money: Money) -> None:
    for becomes, title in (
        ("unrated", "would have no price any more"),
        ("rated", "would have a price and have none now"),
    ):
        changes = [change for change in answer.changes if change.becomes == becomes]
        if changes:
            say(f"{_counted(sum(change.event_count for change in changes), 'event')} {title}:")
        for change in changes[:limit]:
            cost = f", {change.currency} {money(change.cost, change.currency)}" if change.cost else ""
            when = "cost now" if becomes == "unrated" else "cost then"
            place = " ".join(part for part in (change.code_name, change.destination_name) if part)
            say(
                f"  {change.event_count:,} {change.service} {change.direction}{f' to {place}' if place else ''}: "
                f"{change.reason}{cost and f'{cost} {when}'}"
            )
        if len(changes) > limit:
            say(f"  and {len(changes) - limit:,} more groups of them")
    if answer.unrated_count:
        say(f"{_counted(answer.unrated_count, 'event')} unrated either way.")
    changed = sum(change.event_count for change in answer.changes)
    rated = sum(line.event_count for line in answer.lines)
    if free := answer.event_count - rated - changed - answer.unrated_count:
        say(f"{_counted(free, 'event')} not charged by the carrier either way.")


def _say_bad_rows(answer: Answer, say: Say) -> None:
    if answer.quarantined:
        say(f"{_counted(len(answer.quarantined), 'row')} of the file cannot be read and would go to quarantine:")
        for line, message in answer.quarantined[:ROWS_SHOWN]:
            say(f"  line {line}: {message}")
        if len(answer.quarantined) > ROWS_SHOWN:
            say(f"  and {len(answer.quarantined) - ROWS_SHOWN:,} more")
    for reason, rows, first in answer.refused:
        say(f"{_counted(rows, 'row')} of the file refused: {reason} (first: record {first})")


def _signed(amount: Decimal, currency: str, money: Money) -> str:
    return f"{'+' if amount > 0 else ''}{money(amount, currency)}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        words = column in ("", "code", "destination")
        table.add_column(column, justify="left" if words else "right", no_wrap=column != "destination")
    return table
