"""The answer of `tollgate what-if --plan` as a person reads it, and as JSON for whoever goes on from there.

Belongs here: laying out an answer. Does not belong here: finding it (`plan.py`).
"""

from collections import defaultdict
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction

from rich.console import Console
from rich.table import Table

from orchestration import figures
from orchestration.figures import plain, unit
from orchestration.what_if.plan import Answer, Charge, Jump


def show(console: Console, answer: Answer, decimals: dict[str, int]) -> None:
    """Month by month what is charged and what would be, then plan by plan, then where the plan jumps.

    decimals: of the minor unit of each currency.
    """

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def money(amount: Decimal | Fraction, currency: str) -> str:
        shown = Decimal(round(Fraction(amount) * 10 ** (places := decimals.get(currency, 2)))).scaleb(-places)
        return f"{shown:,.{places}f}"

    replaced = f", in place of {', '.join(answer.replaced_plans)}" if answer.replaced_plans else ""
    say(
        f"{answer.partner_id}: {answer.service} {answer.direction} of {answer.first_month:%Y-%m} to "
        f"{answer.last_month:%Y-%m}, as if {answer.plan_id} had been in force from {answer.first_month}{replaced}"
    )
    table = Table(box=None, pad_edge=False)
    for name in ("month", "", "events", "as agreed", "as proposed", "difference", ""):
        table.add_column(name, justify="left" if name == "month" else "right")
    before, after = _by_month_and_currency(answer.before), _by_month_and_currency(answer.after)
    agreed, proposed = ({charge.currency for charge in charges} for charges in (answer.before, answer.after))
    one_sided = agreed ^ proposed if agreed and proposed else set()
    for name, currency in sorted({*before, *after}):  # "together" comes behind all digits
        was, would = before[name, currency], after[name, currency]
        old, new = (sum((charge.charge_amount for charge in charges), Decimal(0)) for charges in (was, would))
        part = f"{Decimal(round(Fraction(new - old) / Fraction(old) * 1000)).scaleb(-1):+} %" if old else ""
        difference = money(new - old, currency)
        if currency in one_sided:  # what is charged in another currency is not charged less
            difference, part = "", ""
        events = sum(charge.event_count for charge in would)
        table.add_row(name, currency, f"{events:,}", money(old, currency), money(new, currency), difference, part)
    console.print(table, highlight=False)
    if one_sided:
        say(
            f"Charges are in {', '.join(sorted(agreed))} as agreed and in {', '.join(sorted(proposed))} as proposed: "
            f"those in {' and '.join(sorted(one_sided))} cannot be compared."
        )
    _show_plans(console, "Plans as agreed", answer.before, money)
    _show_plans(console, "Plans as proposed", answer.after, money)
    for title, found in (("now", answer.uncharged_before), ("then", answer.uncharged_after)):
        for month, reason, count in found:
            say(f"uncharged {title}: {count:,} events of {month:%Y-%m} ({reason})")
    _say_jumps(answer, say, money)


def _by_month_and_currency(charges: tuple[Charge, ...]) -> dict[tuple[str, str], list[Charge]]:
    """Those of each month, and of all months together. Amounts in two currencies are never added up."""
    found: dict[tuple[str, str], list[Charge]] = defaultdict(list)
    for charge in charges:
        for name in (f"{charge.month:%Y-%m}", "together"):
            found[name, charge.currency].append(charge)
    return found


def _show_plans(console: Console, title: str, charges: tuple[Charge, ...], money) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("month", "plan", "country", "model", "quantity", "of it true-up", "charge"):
        table.add_column(name, justify="right" if name in ("quantity", "of it true-up", "charge") else "left")
    for charge in charges:
        quantity = f"{charge.quantity.normalize():,f} {unit(charge.quantity_unit, charge.quantity)}"
        table.add_row(
            f"{charge.month:%Y-%m}",
            charge.plan_id,
            charge.country_code,
            charge.pricing_model,
            quantity if charge.quantity_unit else "",
            money(charge.true_up_amount, charge.currency) if charge.true_up_amount else "",
            f"{money(charge.charge_amount, charge.currency)} {charge.currency}",
        )
    if charges:
        console.print(table, highlight=False)


def _say_jumps(answer: Answer, say, money) -> None:
    currency = next((charge.currency for charge in answer.after if charge.plan_id == answer.plan_id), "")
    quantities = {charge.month: charge.quantity for charge in answer.after if charge.plan_id == answer.plan_id}
    for jump in answer.jumps:
        falls = jump.amount_above < jump.amount_at
        by = f"{money(abs(jump.amount_above - jump.amount_at), currency)} {'less: a volume cliff' if falls else 'more'}"
        say(
            f"Above {plain(jump.quantity)} the price {'falls' if falls else 'jumps'} from "
            f"{money(jump.amount_at, currency)} to {money(jump.amount_above, currency)} {currency}, {by}."
        )
        if jump.cheaper_from is None:
            continue
        caught = [month for month, used in sorted(quantities.items()) if jump.cheaper_from < used <= jump.quantity]
        months = f"; so it was in {', '.join(f'{month:%Y-%m}' for month in caught)}" if caught else ""
        bounds = f"more than {plain(_rounded(jump.cheaper_from))} and at most {plain(jump.quantity)}"
        say(f"  Whoever uses {bounds} pays more than somebody just above{months}.")


def _rounded(quantity: Fraction) -> Fraction:
    return Fraction(round(quantity * 1000), 1000)


def as_json(answer: Answer) -> str:
    """All of it; amounts and quantities as text, those of jumps to twelve decimals."""

    def jump_of(jump: Jump) -> dict[str, str | None]:
        return {name: None if value is None else plain(value) for name, value in asdict(jump).items()}

    told = asdict(answer) | {"jumps": [jump_of(jump) for jump in answer.jumps]}
    return figures.as_json(told)
