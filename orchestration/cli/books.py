"""Commands about the books: close-period, verify."""

import getpass
from contextlib import nullcontext
from datetime import UTC, date, datetime

import click
import duckdb

from orchestration import settings
from orchestration.cli import shared


@click.command("close-period")
@click.argument("month", callback=shared.month)
@click.option("--soft-until", callback=shared.day, help="Close it softly, with grace until this day.")
@click.option("--accept", "reason", help="Close it in spite of the money at risk; say why.")
@shared.json_option
def close_period(month: date, soft_until: date | None, reason: str | None, in_json: bool) -> None:
    """Close MONTH (YYYY-MM): nothing is booked into it any more; what is learned later corrects it in a later month.

    Refused while the month is not over, an earlier one is open, the last run is not whole or not booked, files were
    loaded since, or more money is at risk than closing_limits.csv allows. There is no way back. A softly closed month
    takes what is learned until the day of grace.
    """
    from orchestration.ledger import periods

    home = settings.home()
    shared.check_warehouse(home)
    with shared.alone(home), duckdb.connect(str(home.warehouse)) as warehouse:
        try:
            closing = periods.close(
                warehouse,
                home.published / "ledger",
                month,
                datetime.now(UTC).replace(tzinfo=None),
                getpass.getuser(),
                soft_until,
                reason,
            )
        except periods.CannotClose as refusal:
            shared.fail(str(refusal))
    if in_json:
        shared.answer(closing)
        return
    how = f"softly closed, with grace until {closing.grace_until}" if closing.grace_until else "closed"
    shared.tell(f"{month:%Y-%m} is {how}; seal {closing.seal}")
    for risk in closing.risks:
        shared.tell(f"  left at risk: {risk}")
    shared.tell("the published tables say so after the next `tollgate run`")


@click.command()
@click.option("--seal", help="A seal that you noted earlier: the books up to it must still be what they were.")
@shared.json_option
def verify(seal: str | None, in_json: bool) -> None:
    """Are the books still what was booked? Recomputes the chain of seals and compares the exports with it.

    Exit code 1 where anything was changed, added or taken away.
    """
    from orchestration.ledger import verification

    home = settings.home()
    exports = home.published / "ledger"
    if not (home.warehouse.exists() or exports.exists()):
        shared.stop(f"{home.root} holds no books yet: run `tollgate run`")
    with shared.alone(home, is_reading=True) if home.warehouse.exists() else nullcontext():
        try:
            with verification.opened(home.warehouse, exports) as books:
                found = verification.verify(books, exports, seal)
        except verification.NoSeals as reason:
            shared.stop(str(reason))
    if in_json:
        shared.answer(found)
    else:
        for defect in found.defects:
            shared.tell(f"  {defect}")
        rows = ", ".join(f"{count:,} {table}" for table, count in found.rows.items())
        verdict = "the books are NOT what was booked" if found.defects else "the books are what was booked"
        shared.tell(f"{verdict}: {found.seals:,} seals over {rows}")
        if found.last_hash:
            shared.tell(f"last seal {found.last_hash}")
    if found.defects:
        raise SystemExit(1)


COMMANDS = [close_period, verify]
