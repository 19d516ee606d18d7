"""Commands that write what leaves the house: dispute-pack, statement, export, push."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import duckdb

from orchestration import settings
from orchestration.cli import shared

if TYPE_CHECKING:
    from orchestration import packs

Written = TypeVar("Written")


@click.command("dispute-pack")
@click.argument("dispute", required=False, shell_complete=shared.completed_from("dispute_id", "fct_disputes"))
@click.option(
    "--carrier",
    shell_complete=shared.completed_from("carrier_id", "dim_carriers"),
    help="All that is open in dispute with this carrier.",
)
@click.option("--period", callback=shared.month, help="Only disputes of this month, YYYY-MM.")
@click.option("--events", type=click.IntRange(min=1), help="Events to show of each line.  [default: all]")
@click.option("--sender", help="Your company's name.  [default: of bank_accounts.csv]")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: packs/ in the home]")
@shared.json_option
def dispute_pack(
    dispute: str | None,
    carrier: str | None,
    period: date | None,
    events: int | None,
    sender: str | None,
    into: Path | None,
    in_json: bool,
) -> None:
    """Write what one sends to a carrier: letter, clause, deadline, lines, bridges, days, events.

    DISPUTE is an id as in fct_disputes. The tables are Parquet, CSV and a workbook; recompute.sql adds the disputed
    amount up from them with DuckDB alone.
    """
    from orchestration import packs
    from orchestration.packs import dispute as disputes

    if (dispute is None) == (carrier is None):
        shared.stop("name a dispute, or a carrier with --carrier")
    if dispute and period:
        shared.stop("a dispute is of one month; --period goes with --carrier")

    def gather(connection: duckdb.DuckDBPyConnection) -> tuple["packs.Pack", str]:
        chosen = disputes.choose(connection, dispute, carrier, period)
        return disputes.gather(connection, chosen, events, sender), packs.folder_name(
            dispute or carrier, f"{period:%Y-%m}" if period else None
        )

    _pack("disputes", gather, into, in_json)


@click.command()
@click.option(
    "--partner",
    required=True,
    shell_complete=shared.completed_from("partner_id", "dim_partners"),
    help="Whose statement.",
)
@click.option("--period", callback=shared.month, help="Of which month, YYYY-MM.  [default: the latest settled one]")
@click.option("--sender", help="Your company's name.  [default: of bank_accounts.csv]")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: packs/ in the home]")
@shared.json_option
def statement(partner: str, period: date | None, sender: str | None, into: Path | None, in_json: bool) -> None:
    """Write a partner's statement: lines, charges, tax, shares, totals, and the SQL that adds them up again.

    Nothing of any other party is in it, but the names of those who get a share under the partner's own rules.
    """
    from orchestration import packs
    from orchestration.packs import statement as statements

    def gather(connection: duckdb.DuckDBPyConnection) -> tuple["packs.Pack", str]:
        month = statements.choose_month(connection, partner, period)
        return statements.gather(connection, partner, month, sender), packs.folder_name(partner, f"{month:%Y-%m}")

    _pack("statements", gather, into, in_json)


@click.group()
def export() -> None:
    """Write what finance systems read: the journal for the general ledger, payments for the bank, invoices."""


@export.command()
@click.option("--after-seal", default=0, show_default=True, type=click.IntRange(min=0), help="Go on after this one.")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: exports/ in the home]")
@shared.json_option
def journal(after_seal: int, into: Path | None, in_json: bool) -> None:
    """Write the booked postings as CSV, under the numbers of chart_of_accounts.csv.

    A posting is in the books once and for all: give --after-seal what the last export said, and each comes once.
    """
    from orchestration.exports import journal

    written = _export(lambda connection, folder: journal.write(connection, folder, after_seal), into)
    if in_json:
        shared.answer(vars(written))
        return
    money = _money(settings.home())
    debits = ", ".join(money(amount, currency) for currency, amount in sorted(written.debits.items()))
    shared.tell(f"{written.file}: {written.postings:,} postings; debits and credits each {debits or 'nothing'}")
    shared.tell(f"next time: --after-seal {written.last_seal}")


@export.command("payments")
@click.option("--until", required=True, callback=shared.day, help="Due until this day.")
@click.option("--on", "execution", callback=shared.day, help="Day of execution.  [default: the same]")
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: exports/ in the home]")
@shared.json_option
def export_payments(until: date, execution: date | None, into: Path | None, in_json: bool) -> None:
    """Propose what is due: a list, and ISO 20022 transfers (pain.001) for the accounts of bank_accounts.csv.

    Nothing is booked by it: a payment counts when it lands as `payments`.
    """
    from orchestration.exports import payments

    written = _export(lambda connection, folder: payments.write(connection, folder, until, execution or until), into)
    if in_json:
        shared.answer(vars(written))
        return
    money = _money(settings.home())
    for currency, amount in sorted(written.proposed.items()):
        shared.tell(f"{money(amount, currency)} proposed")
    for row in written.left_out:
        due = money(row["due_amount"], row["currency"])
        shared.tell(f"  not proposed: {row['party_id']}, {due}: {row['reason']}")
    for file in (written.file, *written.transfers):
        shared.tell(str(file))


@export.command("invoices")
@click.option("--period", required=True, callback=shared.month, help="What was booked in this closed month, YYYY-MM.")
@click.option(
    "--party", shell_complete=shared.completed_from("partner_id", "dim_partners"), help="Only of this partner."
)
@click.option("--into", type=click.Path(path_type=Path), help="The folder.  [default: exports/ in the home]")
@shared.json_option
def export_invoices(period: date, party: str | None, into: Path | None, in_json: bool) -> None:
    """Write invoices and credit notes as UBL 2.1: of charges to partners, and self-billed ones of their shares.

    The month must be closed, so that a document is the same whenever it is written. What is booked in it of an earlier
    month corrects the document of that month. Names, addresses and tax numbers are those of invoice_parties.csv.
    """
    from orchestration.exports import invoices

    written = _export(lambda connection, folder: invoices.write(connection, folder, period, party), into)
    if in_json:
        shared.answer(vars(written))
        return
    money = _money(settings.home())
    for what, totals in (("charged", written.charged), ("self-billed", written.self_billed)):
        for currency, amount in sorted(totals.items()):
            shared.tell(f"{money(amount, currency)} {what}")
    for row in written.left_out:
        amount = money(row["total_amount"], row["currency"])
        shared.tell(f"  not written: {row['document_number']}, {amount}: {row['reason']}")
    for file in (written.file, *written.documents):
        shared.tell(str(file))


def _export(write: Callable[[duckdb.DuckDBPyConnection, Path], Written], into: Path | None) -> Written:
    from orchestration import exports, packs

    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home, is_reading=True):
        try:
            with packs.sources(home) as connection:
                return write(connection, into or home.exports)
        except (exports.NoExport, packs.NoPack) as reason:
            shared.stop(str(reason))


@click.command()
@click.option("--to", "server", required=True, metavar="URL", help="postgresql://user@host/database")
@click.option("--schema", default="settle", show_default=True, help="The schema there.")
@shared.json_option
def push(server: str, schema: str, in_json: bool) -> None:
    """Bring the published marts into a schema of PostgreSQL, with their comments and keys.

    In one transaction: a reader there sees this publication or the one before it. What is there already is not pushed
    again. Leave the password to PGPASSWORD or ~/.pgpass: a command line can be read by others.
    """
    try:
        from orchestration import push as pushing
    except ImportError as missing:
        shared.stop(f"the driver of PostgreSQL is missing ({missing}): uv sync --locked --extra postgresql")

    if not server.startswith(("postgresql://", "postgres://")):
        shared.stop(f"{server!r} is no address of PostgreSQL; write it as postgresql://user@host/database")
    home = settings.home()
    try:
        pushed = pushing.push(home.published, server, schema)
    except pushing.PushError as reason:
        shared.fail(str(reason))
    if in_json:
        shared.answer(vars(pushed) | {"schema": schema})
        return
    for name, rows in pushed.rows.items():
        shared.tell(f"  {name}: {rows:,} rows")
    for name in pushed.dropped:
        shared.tell(f"  {name}: dropped, it is not published any more")
    before = "" if pushed.rows or pushed.dropped else " already"
    shared.tell(f"the publication of {pushed.published_at} is in the schema {schema}{before}")


def _pack(
    kind: str, gather: "Callable[[duckdb.DuckDBPyConnection], tuple[packs.Pack, str]]", into: Path | None, in_json: bool
) -> None:
    """Write a pack of what `gather` finds, and say where it is and what it comes to."""
    from orchestration import packs

    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home, is_reading=True):
        try:
            with packs.sources(home) as connection:
                pack, name = gather(connection)
                packed = packs.write(connection, home, pack, into or home.packs / kind / name)
        except packs.NoPack as reason:
            shared.stop(str(reason))
        except packs.Contradiction as reason:
            shared.fail(str(reason))
    if in_json:
        shared.answer(vars(packed) | {"page": pack.page})
        return
    money = _money(home)
    for total in packed.totals:
        amount = money(total["recomputed_amount"], total["currency"])
        shared.tell(f"{total['id']}: {amount}, recomputed from the pack")
    rows = ", ".join(f"{count:,} {name}" for name, count in packed.rows.items())
    shared.tell(f"{packed.folder}: {pack.page}, {rows}")


def _money(home: settings.Home) -> Callable[[Decimal, str], str]:
    """Writes an amount with the decimals of its currency, or more where it has more."""
    from orchestration import summary
    from orchestration.packs.tables import amount_text

    decimals = summary.minor_units(home)
    return lambda amount, currency: f"{amount_text(amount, decimals.get(currency, 2))} {currency}"


COMMANDS = [dispute_pack, statement, export, push]
