"""Commands that answer a question and change nothing: explain, price, what-if."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click
import duckdb
from rich.console import Console

from orchestration import settings, terms
from orchestration.cli import shared
from orchestration.lock import WarehouseBusy


def _quantity(_: click.Context, __: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        read = Decimal(value)
    except InvalidOperation:
        raise click.BadParameter(f"{value!r} is no number") from None
    if not (read.is_finite() and 0 <= read <= 10**12 and read == round(read, 6)):
        raise click.BadParameter(f"{value!r} is no quantity: from 0 to 10^12, with at most 6 decimals")
    return read


@click.command()
@click.argument("subject", nargs=-1, required=True, metavar="EVENT|INVOICE_LINE|ENTRY")
@click.option(
    "--as", "kind", type=click.Choice(["event", "line", "entry"]), help="Which of them, where several are named so."
)
@shared.json_option
@click.option("--mask", is_flag=True, help="Hide the last four digits of numbers.")
def explain(subject: tuple[str, ...], kind: str | None, in_json: bool, mask: bool) -> None:
    """Say why an event costs what it costs, why an invoice line is not what we expected, or what an entry of the ledger
    is the sum of: every figure, down to deck, row, agreement and terms.

    An event is named by its id as in rate.int_events_rated (native:ev-1), or by the source's own key alone (ev-1). A
    line is named by its id as in fct_carrier_invoice_lines (carrier:invoice:7), by invoice and number alone
    (invoice:7), or as carrier, invoice and number (carrier invoice 7). An entry, or one of its two postings, is named
    by its id as in fct_settlement_ledger.
    """
    from orchestration import explain

    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home, is_reading=True):
        try:
            explanation = explain.explain(home.warehouse, " ".join(subject), mask, kind)
        except explain.NotExplained as reason:
            shared.stop(str(reason))
    if in_json:
        click.echo(explain.as_json(explanation))
    else:
        explain.print_explanation(explanation, shared.console())
    if explanation.defects:
        raise SystemExit(1)


@click.command()
@click.argument("number", default="")
@click.option(
    "--carrier",
    shell_complete=shared.completed_from("carrier_id", "dim_carriers"),
    help="Tell the price of this carrier step by step.  [default: all carriers, side by side]",
)
@click.option(
    "--service",
    default="voice",
    show_default=True,
    type=click.Choice(["voice", "sms", "mms", "email", "data", "video", "verification"]),
)
@click.option("--direction", default="outbound", show_default=True, type=click.Choice(["outbound", "inbound"]))
@click.option("--quantity", callback=_quantity, help="Seconds, segments, messages, bytes.  [default: 60, 1, 1, 10^6]")
@click.option("--at", callback=shared.instant, help="When it begins; UTC where no zone is given.  [default: now]")
@click.option("--as-of", callback=shared.instant, help="By the decks that had come until then.  [default: now]")
@click.option("--caller", help="Number of the caller, where decks price by it.")
@click.option("--network", nargs=2, metavar="MCC MNC", help="Network of the destination, where decks price by it.")
@shared.json_option
def price(
    number: str,
    carrier: str | None,
    service: str,
    direction: str,
    quantity: Decimal | None,
    at: datetime | None,
    as_of: datetime | None,
    caller: str | None,
    network: tuple[str, str] | None,
    in_json: bool,
) -> None:
    """What a call (message, session ...) to NUMBER would cost us with each carrier, or would have cost.

    It is rated by the SQL of the models, on the decks as they were known: --as-of leaves out what was received later,
    so that what somebody was told then can be told again.
    """
    from orchestration import explain
    from orchestration.explain import price

    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    question = price.Question(
        number=_number(number, service),
        service=service,
        direction=direction,
        quantity=price.DEFAULTS[service][1] if quantity is None else quantity,
        at=at or now,
        known_at=as_of or now,
        caller=caller.removeprefix("+") if caller else None,
        mcc=network[0] if network else None,
        mnc=network[1] if network else None,
    )
    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home, is_reading=True):
        try:
            if carrier:
                explanation = explain.explain_price(home.warehouse, question, carrier)
            else:
                found = explain.prices(home.warehouse, question)
        except explain.NotExplained as reason:
            shared.stop(str(reason))
    if carrier:
        click.echo(explain.as_json(explanation)) if in_json else explain.print_explanation(
            explanation, shared.console()
        )
        if explanation.defects:
            raise SystemExit(1)
    elif in_json:
        click.echo(price.as_json(question, found))
    else:
        price.show(shared.console(), question, found)


def _number(number: str, service: str) -> str:
    """A number as usage states it: E.164 digits; of an e-mail the domain."""
    if service == "email":
        return number.rpartition("@")[2].lower()
    digits = number.strip().removeprefix("+").translate(str.maketrans("", "", " -()"))
    if digits and not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        shared.stop(f"{number!r} is no number: at most 15 digits, with the country's code")
    if not digits and service not in ("data", "video"):
        shared.stop(f"a {service} price is for a number: tollgate price 4915212345678")
    return digits


@click.command("what-if")
@click.option("--deck", type=click.Path(path_type=Path), help="A carrier's deck: an amendment or a full one.")
@click.option("--plan", type=click.Path(path_type=Path), help="A partner's plan, as YAML (docs/terms.md).")
@click.option("--feed", default="native", show_default=True, help="Feed of rate_decks that reads the deck.")
@click.option("--carrier", help="Whose deck it is, where the file holds decks of several carriers.")
@click.option("--month", callback=shared.month, help="Of a deck's traffic, YYYY-MM.  [default: the last that is over]")
@click.option(
    "--months", default=3, show_default=True, type=click.IntRange(min=1), help="Last months of a plan's usage."
)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(min=1), help="Codes to show either way.")
@shared.json_option
def what_if(
    deck: Path | None,
    plan: Path | None,
    feed: str,
    carrier: str | None,
    month: date | None,
    months: int,
    limit: int,
    in_json: bool,
) -> None:
    """What a deck would cost, or a plan would charge, on real traffic, before it takes effect.

    The models answer on a copy: for a deck the carrier's events of a month, for a plan the partner's events of its last
    months, once as things are and once as if the file had been in force from the first day on. Nothing is loaded,
    booked or changed.
    """
    from orchestration import summary
    from orchestration.what_if import deck as what_if_deck
    from orchestration.what_if import deck_report, plan_report
    from orchestration.what_if import plan as what_if_plan

    if (deck is None) == (plan is None):
        shared.stop("what if what? Say --deck FILE or --plan FILE")
    home = settings.home()
    shared.check_settings()
    if plan is not None:
        with _answering() as tell:
            answer = what_if_plan.ask(home, plan, months, tell=tell)
        if in_json:
            click.echo(plan_report.as_json(answer))
        else:
            plan_report.show(shared.console(), answer, summary.minor_units(home))
        return
    if carrier is not None:
        with shared.reading(home) as warehouse:
            shared.check_carrier(warehouse, carrier)
    with _answering() as tell:
        answer = what_if_deck.ask(home, deck, feed, carrier, month, tell=tell)
    if in_json:
        click.echo(deck_report.as_json(answer))
    else:
        deck_report.show(shared.console(), answer, summary.minor_units(home), limit)


@contextmanager
def _answering() -> Iterator[Callable[[str], None]]:
    """A question that takes its time on a copy of the warehouse: progress, and what may go wrong, in words."""
    from orchestration import dbt_run
    from orchestration.what_if.scratch import CannotAnswer

    # Who is told to end takes its copy of the warehouse along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Console(stderr=True).status("") as progress:
            yield progress.update
    except (CannotAnswer, terms.TermsError) as error:
        shared.stop(str(error))
    except WarehouseBusy as error:
        shared.fail(str(error))
    except duckdb.IOException as error:
        shared.fail(f"the warehouse is in use by another program; try again later ({error})")
    except dbt_run.DbtFailed as error:
        shared.fail(f"the models could not be built on the copy; does `tollgate run` build them? ({error})")
    except (KeyboardInterrupt, RuntimeError) as stop:
        # DuckDB's word for a Ctrl-C while it computes.
        if isinstance(stop, RuntimeError) and str(stop) != "Query interrupted":
            raise
        click.echo("tollgate: stopped; nothing was changed", err=True)
        raise SystemExit(130) from None


COMMANDS = [explain, price, what_if]
