"""The command `tollgate`: what people do by hand. Dagster jobs do the work; this starts them and says what came out.

Belongs here: commands, their options, exit codes. Does not belong here: the work itself, what a summary holds.

Exit codes: 0 done; 1 the run failed, the gate held the publication back, or an explanation or a pack contradicts the
tables; 2 the call or the set-up is wrong; 130 stopped by Ctrl-C.
"""

import getpass
import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click
import duckdb
from rich.console import Console

from orchestration import settings, terms
from orchestration.figures import plain
from orchestration.lock import WarehouseBusy, no_run, only_run

PROCESS_TAG = "tollgate/process"
"""Tag of a run in Dagster's history: the process that does it, for a run that the command line started."""

Written = TypeVar("Written")

if TYPE_CHECKING:
    import dagster as dg

    from orchestration import packs

# A pipe has no width: wide enough that no amount is cut.
console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tollgate")
def main() -> None:
    """Tollgate, the settlement warehouse of a CPaaS provider.

    Everything lives below $TOLLGATE_HOME (default: data/ in the project). Your own terms replace those of the demo
    with $TOLLGATE_TERMS, a folder with the same files as seeds/terms.
    """


def _month(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return f"{datetime.strptime(value, '%Y-%m'):%Y-%m}"
    except ValueError:
        raise click.BadParameter(f"{value!r} is no month; write it as 2026-10") from None


@main.command()
@click.option("--month", callback=_month, default="2026-10", show_default=True, help="Month to simulate, YYYY-MM.")
@click.option("--events", default=200_000, show_default=True, type=click.IntRange(min=1000), help="Events to write.")
@click.option("--seed", default=7, show_default=True, help="The same seed writes the same files.")
def simulate(month: str, events: int, seed: int) -> None:
    """Write a CPaaS month into landing, with carriers that make known mistakes."""
    home = settings.home()
    if any(_files(home.landing)):
        _stop(f"{home.landing} already holds files; simulate writes only into an empty landing folder")
    _simulate(home, month, events, seed)


@main.command()
@click.option(
    "--events",
    default=200_000,
    show_default=True,
    type=click.IntRange(min=1000),
    help="Size of the demo month, where landing is empty.",
)
@click.option("--anew", is_flag=True, help="Read and rate every event again, and not only what changed.")
def run(events: int, anew: bool) -> None:
    """Settle what lies in landing: ingest, stage, rate, attribute, reconcile, settle, gate, publish.

    Events are rated once, and again where a file, a deck or a term touches them. After an upgrade they are all rated
    again without being asked.
    """
    home = settings.home()
    _check_settings()
    with _alone(home):
        if not any(_files(home.landing)):
            if not settings.uses_demo_terms():
                _stop(f"{home.landing} holds no files. Drop usage, rate decks and invoices there: docs/landing.md")
            console.print(f"{home.landing} holds no files: writing the demo month first")
            _simulate(home, "2026-10", events, 7)
        if anew:
            from orchestration.transform import forget_rules

            with duckdb.connect(str(home.warehouse)) as warehouse:
                forget_rules(warehouse)
        console.print(f"settling what lies in {home.landing}", highlight=False, soft_wrap=True)
        _run_job(home, "settle_month")


@main.command()
def publish() -> None:
    """Gate and publish the marts as they stand, without building them again."""
    home = settings.home()
    _check_warehouse(home)
    with _alone(home):
        _run_job(home, "publish_marts")


@main.command()
def status() -> None:
    """What has landed, what is held back and why, what is published."""
    from orchestration import summary

    summary.print_status(settings.home(), console)


@main.command()
@click.option("--carrier", help="Only the decks of this carrier.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Findings to show.")
def decks(carrier: str | None, limit: int) -> None:
    """What is odd about carriers' decks: gaps, overlaps, orphan codes, late increases, prices unlike their neighbours.

    As the last run found it. Nothing is rated by it; docs/landing.md says what each finding means.
    """
    from orchestration import deck_findings

    with _reading(settings.home()) as warehouse:
        try:
            if carrier is not None:
                _check_carrier(warehouse, carrier)
            found = deck_findings.read(warehouse, limit, carrier)
            counts = deck_findings.count(warehouse, carrier)
        except duckdb.CatalogException:
            _stop("no run has looked through the decks yet: run `tollgate run`")
    if found:
        deck_findings.show(console, found, counts)
    else:
        console.print(f"nothing odd in the decks{f' of {carrier}' if carrier else ''}", highlight=False)


@main.command("what-if")
@click.option("--deck", type=click.Path(path_type=Path), help="A carrier's deck: an amendment or a full one.")
@click.option("--plan", type=click.Path(path_type=Path), help="A partner's plan, as YAML (docs/terms.md).")
@click.option("--feed", default="native", show_default=True, help="Feed of rate_decks that reads the deck.")
@click.option("--carrier", help="Whose deck it is, where the file holds decks of several carriers.")
@click.option("--month", callback=_month, help="Of a deck's traffic, YYYY-MM.  [default: the last that is over]")
@click.option(
    "--months", default=3, show_default=True, type=click.IntRange(min=1), help="Last months of a plan's usage."
)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(min=1), help="Codes to show either way.")
@click.option("--json", "in_json", is_flag=True, help="Print everything as JSON, amounts as text.")
def what_if(
    deck: Path | None,
    plan: Path | None,
    feed: str,
    carrier: str | None,
    month: str | None,
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
        _stop("what if what? Say --deck FILE or --plan FILE")
    home = settings.home()
    _check_settings()
    if plan is not None:
        with _answering() as tell:
            answer = what_if_plan.ask(home, plan, months, tell=tell)
        if in_json:
            click.echo(plan_report.as_json(answer))
        else:
            plan_report.show(console, answer, summary.minor_units(home))
        return
    if carrier is not None:
        with _reading(home) as warehouse:
            _check_carrier(warehouse, carrier)
    with _answering() as tell:
        answer = what_if_deck.ask(home, deck, feed, carrier, _first_day(month), tell=tell)
    if in_json:
        click.echo(deck_report.as_json(answer))
    else:
        deck_report.show(console, answer, summary.minor_units(home), limit)


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
        _stop(str(error))
    except WarehouseBusy as error:
        _fail(str(error))
    except duckdb.IOException as error:
        _fail(f"the warehouse is in use by another program; try again later ({error})")
    except dbt_run.DbtFailed as error:
        _fail(f"the models could not be built on the copy; does `tollgate run` build them? ({error})")
    except (KeyboardInterrupt, RuntimeError) as stop:
        # DuckDB's word for a Ctrl-C while it computes.
        if isinstance(stop, RuntimeError) and str(stop) != "Query interrupted":
            raise
        click.echo("tollgate: stopped; nothing was changed", err=True)
        raise SystemExit(130) from None


@main.command()
@click.argument("subject", nargs=-1, required=True, metavar="EVENT|INVOICE_LINE|ENTRY")
@click.option(
    "--as", "kind", type=click.Choice(["event", "line", "entry"]), help="Which of them, where several are named so."
)
@click.option("--json", "wants_json", is_flag=True, help="The same facts as JSON.")
@click.option("--mask", is_flag=True, help="Hide the last four digits of numbers.")
def explain(subject: tuple[str, ...], kind: str | None, wants_json: bool, mask: bool) -> None:
    """Say why an event costs what it costs, why an invoice line is not what we expected, or what an entry of the ledger
    is the sum of: every figure, down to deck, row, agreement and terms.

    An event is named by its id as in rate.int_events_rated (native:ev-1), or by the source's own key alone (ev-1). A
    line is named by its id as in fct_carrier_invoice_lines (carrier:invoice:7), by invoice and number alone
    (invoice:7), or as carrier, invoice and number (carrier invoice 7). An entry, or one of its two postings, is named
    by its id as in fct_settlement_ledger.
    """
    from orchestration import explain

    home = settings.home()
    _check_warehouse(home)
    with _alone(home, is_reading=True):
        try:
            explanation = explain.explain(home.warehouse, " ".join(subject), mask, kind)
        except explain.NotExplained as reason:
            _stop(str(reason))
    if wants_json:
        click.echo(explain.as_json(explanation))
    else:
        explain.print_explanation(explanation, console)
    if explanation.defects:
        raise SystemExit(1)


def _instant(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no instant; write it as 2026-10-20 or 2026-10-20T08:00:00Z") from None
    return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read


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


@main.command()
@click.argument("number", default="")
@click.option("--carrier", help="Tell the price of this carrier step by step.  [default: all carriers, side by side]")
@click.option(
    "--service",
    default="voice",
    show_default=True,
    type=click.Choice(["voice", "sms", "mms", "email", "data", "video", "verification"]),
)
@click.option("--direction", default="outbound", show_default=True, type=click.Choice(["outbound", "inbound"]))
@click.option("--quantity", callback=_quantity, help="Seconds, segments, messages, bytes.  [default: 60, 1, 1, 10^6]")
@click.option("--at", callback=_instant, help="When it begins; UTC where no zone is given.  [default: now]")
@click.option("--as-of", callback=_instant, help="By the decks that had been received until then.  [default: now]")
@click.option("--caller", help="Number of the caller, where decks price by it.")
@click.option("--network", nargs=2, metavar="MCC MNC", help="Network of the destination, where decks price by it.")
@click.option("--json", "wants_json", is_flag=True, help="The same facts as JSON, amounts as text.")
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
    wants_json: bool,
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
    _check_warehouse(home)
    with _alone(home, is_reading=True):
        try:
            if carrier:
                explanation = explain.explain_price(home.warehouse, question, carrier)
            else:
                found = explain.prices(home.warehouse, question)
        except explain.NotExplained as reason:
            _stop(str(reason))
    if carrier:
        click.echo(explain.as_json(explanation)) if wants_json else explain.print_explanation(explanation, console)
        if explanation.defects:
            raise SystemExit(1)
    elif wants_json:
        click.echo(price.as_json(question, found))
    else:
        price.show(console, question, found)


def _number(number: str, service: str) -> str:
    """A number as usage states it: E.164 digits; of an e-mail the domain."""
    if service == "email":
        return number.rpartition("@")[2].lower()
    digits = number.strip().removeprefix("+").translate(str.maketrans("", "", " -()"))
    if digits and not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        _stop(f"{number!r} is no number: at most 15 digits, with the country's code")
    if not digits and service not in ("data", "video"):
        _stop(f"a {service} price is for a number: tollgate price 4915212345678")
    return digits


@main.command("dispute-pack")
@click.argument("dispute", required=False)
@click.option("--carrier", help="All that is open in dispute with this carrier.")
@click.option("--period", callback=_month, help="Only disputes of this month, YYYY-MM.")
@click.option("--events", type=click.IntRange(min=1), help="Events to show of each line.  [default: all]")
@click.option("--sender", help="Your company's name, for the letter.")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: packs/ in the home]")
def dispute_pack(
    dispute: str | None,
    carrier: str | None,
    period: str | None,
    events: int | None,
    sender: str | None,
    into: Path | None,
) -> None:
    """Write what one sends to a carrier: letter, clause, deadline, lines, bridges, days, events.

    DISPUTE is an id as in fct_disputes. The tables are Parquet, CSV and a workbook; recompute.sql adds the disputed
    amount up from them with DuckDB alone.
    """
    from orchestration import packs
    from orchestration.packs import dispute as disputes

    if (dispute is None) == (carrier is None):
        _stop("name a dispute, or a carrier with --carrier")
    if dispute and period:
        _stop("a dispute is of one month; --period goes with --carrier")

    def gather(connection: duckdb.DuckDBPyConnection) -> tuple["packs.Pack", str]:
        chosen = disputes.choose(connection, dispute, carrier, _first_day(period))
        return disputes.gather(connection, chosen, events, sender), packs.folder_name(dispute or carrier, period)

    _pack("disputes", gather, into)


@main.command()
@click.option("--partner", required=True, help="Whose statement.")
@click.option("--period", callback=_month, help="Of which month, YYYY-MM.  [default: the latest settled one]")
@click.option("--sender", help="Your company's name, for the page.")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: packs/ in the home]")
def statement(partner: str, period: str | None, sender: str | None, into: Path | None) -> None:
    """Write a partner's statement: lines, charges, tax, shares, totals, and the SQL that adds them up again.

    Nothing of any other party is in it, but the names of those who get a share under the partner's own rules.
    """
    from orchestration import packs
    from orchestration.packs import statement as statements

    def gather(connection: duckdb.DuckDBPyConnection) -> tuple["packs.Pack", str]:
        month = statements.choose_month(connection, partner, _first_day(period))
        return statements.gather(connection, partner, month, sender), packs.folder_name(partner, f"{month:%Y-%m}")

    _pack("statements", gather, into)


@main.group()
def export() -> None:
    """Write what finance systems read: the journal for the general ledger, payments for the bank."""


@export.command()
@click.option("--after-seal", default=0, show_default=True, type=click.IntRange(min=0), help="Go on after this one.")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: exports/ in the home]")
def journal(after_seal: int, into: Path | None) -> None:
    """Write the booked postings as CSV, under the numbers of chart_of_accounts.csv.

    A posting is in the books once and for all: give --after-seal what the last export said, and each comes once.
    """
    from orchestration.exports import journal

    written = _export(lambda connection, folder: journal.write(connection, folder, after_seal), into)
    debits = ", ".join(f"{plain(amount)} {currency}" for currency, amount in sorted(written.debits.items()))
    console.print(
        f"{written.file}: {written.postings:,} postings; debits and credits each {debits or 'nothing'}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"next time: --after-seal {written.last_seal}", highlight=False)


@export.command("payments")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Due until this day.")
@click.option("--on", "execution", type=click.DateTime(["%Y-%m-%d"]), help="Day of execution.  [default: the same]")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: exports/ in the home]")
def export_payments(until: datetime, execution: datetime | None, into: Path | None) -> None:
    """Propose what is due: a list, and ISO 20022 transfers (pain.001) for the accounts of bank_accounts.csv.

    Nothing is booked by it: a payment counts when it lands as `payments`.
    """
    from orchestration.exports import payments

    written = _export(
        lambda connection, folder: payments.write(connection, folder, until.date(), (execution or until).date()), into
    )
    for currency, amount in sorted(written.proposed.items()):
        console.print(f"{plain(amount)} {currency} proposed", highlight=False)
    for row in written.left_out:
        console.print(
            f"  not proposed: {row['party_id']}, {plain(row['due_amount'])} {row['currency']}: {row['reason']}",
            highlight=False,
            soft_wrap=True,
        )
    for file in (written.file, *written.transfers):
        console.print(str(file), highlight=False, soft_wrap=True)


def _export(write: "Callable[[duckdb.DuckDBPyConnection, Path], Written]", into: Path | None) -> "Written":
    from orchestration import exports, packs

    home = settings.home()
    _check_warehouse(home)
    with _alone(home, is_reading=True):
        try:
            with packs.sources(home) as connection:
                return write(connection, into or home.exports)
        except (exports.NoExport, packs.NoPack) as reason:
            _stop(str(reason))


@main.command()
@click.option("--to", "server", required=True, metavar="URL", help="postgresql://user@host/database")
@click.option("--schema", default="settle", show_default=True, help="The schema there.")
def push(server: str, schema: str) -> None:
    """Bring the published marts into a schema of PostgreSQL, with their comments and keys.

    In one transaction: a reader there sees this publication or the one before it. What is there already is not pushed
    again. Leave the password to PGPASSWORD or ~/.pgpass: a command line can be read by others.
    """
    try:
        from orchestration import push as pushing
    except ImportError as missing:
        _stop(f"the driver of PostgreSQL is missing ({missing}): uv sync --locked --extra postgresql")

    home = settings.home()
    try:
        pushed = pushing.push(home.published, server, schema)
    except pushing.PushError as reason:
        _fail(str(reason))
    for name, rows in pushed.rows.items():
        console.print(f"  {name}: {rows:,} rows", highlight=False)
    for name in pushed.dropped:
        console.print(f"  {name}: dropped, it is not published any more", highlight=False)
    what = f"the publication of {pushed.published_at}"
    if pushed.rows or pushed.dropped:
        console.print(f"{what} is in the schema {schema}", highlight=False, soft_wrap=True)
    else:
        console.print(f"{what} was in the schema {schema} already", highlight=False, soft_wrap=True)


@main.command("close-period")
@click.argument("month", callback=_month)
@click.option("--soft-until", type=click.DateTime(["%Y-%m-%d"]), help="Close it softly, with grace until this day.")
@click.option("--accept", "reason", help="Close it in spite of the money at risk; say why.")
def close_period(month: str, soft_until: datetime | None, reason: str | None) -> None:
    """Close MONTH (YYYY-MM): nothing is booked into it any more; what is learned later corrects it in a later month.

    Refused while the month is not over, an earlier one is open, the last run is not booked, or more money is at risk
    than closing_limits.csv allows. There is no way back. A softly closed month takes what is learned until the day of
    grace.
    """
    from orchestration.ledger import periods

    home = settings.home()
    _check_warehouse(home)
    with _alone(home), duckdb.connect(str(home.warehouse)) as warehouse:
        try:
            closing = periods.close(
                warehouse,
                home.published / "ledger",
                _first_day(month),
                datetime.now(UTC).replace(tzinfo=None),
                getpass.getuser(),
                soft_until.date() if soft_until else None,
                reason,
            )
        except periods.CannotClose as refusal:
            _fail(str(refusal))
    how = f"softly closed, with grace until {closing.grace_until}" if closing.grace_until else "closed"
    console.print(f"{month} is {how}; seal {closing.seal}", highlight=False, soft_wrap=True)
    for risk in closing.risks:
        console.print(f"  left at risk: {risk}", highlight=False, soft_wrap=True)
    console.print("the published tables say so after the next `tollgate run`", highlight=False)


@main.command()
@click.option("--seal", help="A seal that you noted earlier: the books up to it must still be what they were.")
@click.option("--json", "wants_json", is_flag=True, help="The same facts as JSON.")
def verify(seal: str | None, wants_json: bool) -> None:
    """Are the books still what was booked? Recomputes the chain of seals and compares the exports with it.

    Exit code 1 where anything was changed, added or taken away.
    """
    from orchestration.ledger import verification

    home = settings.home()
    exports = home.published / "ledger"
    if not (home.warehouse.exists() or exports.exists()):
        _stop(f"{home.root} holds no books yet: run `tollgate run`")
    with _alone(home, is_reading=True) if home.warehouse.exists() else nullcontext():
        try:
            with verification.opened(home.warehouse, exports) as books:
                found = verification.verify(books, exports, seal)
        except verification.NoSeals as reason:
            _stop(str(reason))
    if wants_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        for defect in found.defects:
            console.print(f"  {defect}", highlight=False, soft_wrap=True)
        rows = ", ".join(f"{count:,} {table}" for table, count in found.rows.items())
        verdict = "the books are NOT what was booked" if found.defects else "the books are what was booked"
        console.print(f"{verdict}: {found.seals:,} seals over {rows}", highlight=False, soft_wrap=True)
        if found.last_hash:
            console.print(f"last seal {found.last_hash}", highlight=False, soft_wrap=True)
    if found.defects:
        raise SystemExit(1)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port of the web page, on this machine only.")
def ui(port: int) -> None:
    """Open Dagster: the graph of the pipeline, its runs, checks, schedule and sensor."""
    home = settings.home()
    _check_settings()
    settings.prepare_environment(home)
    console.print(f"Dagster at http://127.0.0.1:{port} (stop it with Ctrl-C)")
    dagster = shutil.which("dagster", path=str(Path(sys.executable).parent)) or "dagster"
    command = [dagster, "dev", "--module-name", "orchestration.definitions", "--host", "127.0.0.1", "--port", str(port)]
    os.chdir(settings.PROJECT_DIR)
    sys.stdout.flush()
    # Dagster takes the place of this process, so whoever stops it stops Dagster, which ends its own processes. To a
    # SIGTERM it does what it does to Ctrl-C, and that is nothing where a shell's `&` has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(command[0], command)


@main.command()
@click.option("--feed", "feed_name", help="Only this feed, as kind/feed: usage/native.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Rows to show.")
@click.option("--replay", is_flag=True, help="Try quarantined records again, as their feeds are declared now.")
def quarantine(feed_name: str | None, limit: int, replay: bool) -> None:
    """List the records that could not be read; with --replay, try them again.

    What was read but not understood is listed by `tollgate status`: it is judged anew at each run.
    """
    from orchestration import feeds, summary
    from orchestration.replay import replay_quarantine

    home = settings.home()
    chosen = [feed for feed in feeds.declared() if feed_name in (None, f"{feed.kind}/{feed.feed}")]
    if not chosen:
        known = ", ".join(f"{feed.kind}/{feed.feed}" for feed in feeds.declared())
        _stop(f"{feed_name!r} is no feed; known: {known}")
    _check_warehouse(home)
    if not replay:
        summary.print_quarantine(home, console, [feed.name for feed in chosen], limit)
        return
    with _alone(home), duckdb.connect(str(home.warehouse)) as warehouse:
        replays = [done for feed in chosen for done in replay_quarantine(warehouse, feed, home.landing)]
        (left,) = warehouse.execute(
            "select count(*) from ingest.quarantine where kind || '__' || feed in (select unnest(?))",
            [[feed.name for feed in chosen]],
        ).fetchone()
    for done in replays:
        told = done.message or f"{done.label}: {done.loaded_count:,} loaded, {summary.stay(done.quarantined_count)}"
        console.print(f"  {done.feed.kind}/{done.feed.feed}/{told}", highlight=False, soft_wrap=True)
    loaded = sum(done.loaded_count for done in replays)
    its_table, it = ("its table", "it") if loaded == 1 else ("their tables", "them")
    settle = f"; run `tollgate run` to settle {it}" if loaded else ""
    console.print(
        f"{summary.counted(loaded, 'record')} moved to {its_table}; {summary.stay(left)} in quarantine{settle}",
        highlight=False,
    )


def _first_day(month: str | None) -> date | None:
    return datetime.strptime(month, "%Y-%m").date() if month else None


def _pack(
    kind: str, gather: "Callable[[duckdb.DuckDBPyConnection], tuple[packs.Pack, str]]", into: Path | None
) -> None:
    """Write a pack of what `gather` finds, and say where it is and what it comes to."""
    from orchestration import packs

    home = settings.home()
    _check_warehouse(home)
    with _alone(home, is_reading=True):
        try:
            with packs.sources(home) as connection:
                pack, name = gather(connection)
                packed = packs.write(connection, home, pack, into or home.packs / kind / name)
        except packs.NoPack as reason:
            _stop(str(reason))
        except packs.Contradiction as reason:
            _fail(str(reason))
    for total in packed.totals:
        amount = f"{plain(total['recomputed_amount'])} {total['currency']}"
        console.print(f"{total['id']}: {amount}, recomputed from the pack", highlight=False, soft_wrap=True)
    rows = ", ".join(f"{count:,} {name}" for name, count in packed.rows.items())
    console.print(f"{packed.folder}: {pack.page}, {rows}", highlight=False, soft_wrap=True)


def _run_job(home: settings.Home, name: str) -> None:
    """Run a job in this process and say what came out; `tollgate ui` shows its history."""
    settings.prepare_environment(home)
    try:
        terms.hand_to_dbt()
    except terms.TermsError as error:
        _stop(str(error))
    # A verdict of an earlier run must not pass for the reason why this one failed.
    (home.reports / "gate.json").unlink(missing_ok=True)
    with console.status("starting Dagster and dbt"):
        import dagster as dg

        from orchestration import progress, summary
        from orchestration.definitions import defs

        job = defs.resolve_job_def(name)
    watched = progress.watch(Counter(progress.verb_of(key) for key in job.asset_layer.selected_asset_keys), console)
    home.reports.mkdir(parents=True, exist_ok=True)
    # dbt prints two lines for each of its nodes; they are kept for whoever looks for a fault.
    with (
        (home.reports / "dbt.log").open("w") as log,
        redirect_stdout(log),
        dg.DagsterInstance.get() as instance,
        watched.status,
    ):
        _end_the_dead(instance)
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
            tags={PROCESS_TAG: str(os.getpid())},
        )
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    if any("DagsterExecutionInterruptedError" in str(error) for error in failures):
        click.echo("tollgate: stopped; nothing is half loaded or half published, run it again", err=True)
        raise SystemExit(130)
    if not result.success:
        is_published = any(
            event.asset_key.path == ["publish", "settlement"] for event in result.get_asset_materialization_events()
        )
        summary.print_failure(home, console, is_published)
        raise SystemExit(1)
    facts = [event.materialization.metadata for event in result.get_asset_materialization_events()]

    def total(name: str) -> int:
        return sum(fact[name].value for fact in facts if name in fact)

    summary.print_settlement(
        home,
        console,
        summary.News(
            files_loaded=total("files_loaded"),
            rows_loaded=total("rows_loaded"),
            postings_booked=total("booked"),
            changed_tables=sum(len(fact["changed tables"].value) for fact in facts if "changed tables" in fact),
        ),
    )


def _end_the_dead(instance: "dg.DagsterInstance") -> None:
    """A run whose process was killed stands as started for ever, and Dagster starts one run at a time.

    We hold the lock, so no run that the command line started can be alive but this one.
    """
    import dagster as dg

    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if process := run.tags.get(PROCESS_TAG):
            instance.report_run_failed(run, f"its process {process} was killed")


@contextmanager
def _alone(home: settings.Home, is_reading: bool = False) -> Iterator[None]:
    """Nobody else works on the warehouse; a second run would fail in the middle, so it does not begin."""
    try:
        with no_run(home) if is_reading else only_run(home):
            duckdb.connect(str(home.warehouse), read_only=is_reading).close()
            yield
    except WarehouseBusy as error:
        _fail(str(error))
    except duckdb.IOException as error:
        _fail(f"the warehouse is in use by another program; try again later ({error})")


@contextmanager
def _reading(home: settings.Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse as the last run left it; who reads it must not stand in the way of one that is under way."""
    _check_warehouse(home)
    try:
        connection = duckdb.connect(str(home.warehouse), read_only=True)
    except duckdb.IOException:
        _fail("a run is under way: it holds the warehouse; ask again when it is done")
    with connection:
        yield connection


def _check_carrier(warehouse: duckdb.DuckDBPyConnection, carrier: str) -> None:
    from orchestration import deck_findings

    try:
        known = deck_findings.carriers(warehouse)
    except duckdb.CatalogException:
        _stop("no run has read the terms yet: run `tollgate run`")
    if carrier not in known:
        _stop(f"{carrier!r} is no carrier of the terms; they know {', '.join(known)}")


def _simulate(home: settings.Home, month: str, events: int, seed: int) -> None:
    from simulation import write_month

    write_month(
        home.landing,
        home.simulation / "truth.json",
        month=month,
        events=events,
        seed=seed,
        report=lambda line: console.print(f"  {line}", highlight=False),
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def _check_settings() -> None:
    """What is set wrongly stops the command before it does anything, not each feed when its turn comes."""
    try:
        settings.quiet_seconds()
    except settings.SettingError as error:
        _stop(str(error))


def _check_warehouse(home: settings.Home) -> None:
    """There is something to work on: some run has been here."""
    if not home.warehouse.exists():
        _stop(f"{home.root} holds no warehouse yet: run `tollgate run`")


def _fail(message: str) -> NoReturn:
    click.echo(f"tollgate: {message}", err=True)
    raise SystemExit(1)


def _stop(message: str) -> NoReturn:
    click.echo(f"tollgate: {message}", err=True)
    raise SystemExit(2)
