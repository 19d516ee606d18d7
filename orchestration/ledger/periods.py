"""Closing a month: from then on nothing is booked into it, and what is learned later is a correction in a later month.

Belongs here: when a month may be closed, and the record of it. Does not belong here: where a posting goes; the model
`settle.fct_settlement_ledger` reads the closings and says that.

A month is open, then perhaps softly closed (what is learned until a day of grace still goes into it), then closed.
There is no way back: reopening would change what was reported.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration import builds, ledger
from orchestration.figures import plain
from orchestration.file_ledger import NEWEST_VERSIONS
from orchestration.ledger import seals
from orchestration.ledger.books import BOOKS, CLOSINGS
from orchestration.sql import fetch_rows, transaction

SOFT, HARD = "soft_closed", "closed"
RISKS_SHOWN = 10


class CannotClose(Exception):
    """The month stays as it is. The message says why, row by row where rows are the reason, and what to do."""


@dataclass(frozen=True)
class Risk:
    """Money of the month that nobody has judged yet. `amount` is None where its worth is not known."""

    what: str
    unit: str
    """`rows` or `files`."""
    count: int
    amount: Decimal | None
    currency: str | None

    def __str__(self) -> str:
        worth = f"{plain(self.amount)} {self.currency}" if self.amount is not None else "of unknown worth"
        return f"{self.what}: {self.count:,}, {worth}"


@dataclass(frozen=True)
class Closing:
    """A month that was closed, with the money at risk that was known then."""

    month: date
    state: str
    grace_until: date | None
    risks: list[Risk]
    seal: str


RISKS = f"""
    with rows_held_back as (
        select file_id, kind, feed, refusal_reason || ' (refused rows)' as reason, at_risk_amount, at_risk_currency
        from stage.int_rows_refused
        where refusal_reason not like '%repeated' and refusal_reason not like '%another_feed'
        union all
        select file_id, kind, feed, reason_code || ' (rows in quarantine)', at_risk_amount, at_risk_currency
        from ingest.quarantine
    ),
    rows_at_risk as (
        -- An amount in no currency is worth nobody knows what. Rows without an amount are that only where each of them
        -- is money: a row of a deck, an exchange rate or a call record is none.
        select kind, feed, reason, if(at_risk_currency is null, null, abs(at_risk_amount)) as amount,
            if(at_risk_amount is null, null, at_risk_currency) as currency
        from rows_held_back
        where (at_risk_amount != 0
                or at_risk_amount is null and kind in ('usage', 'carrier_invoices', 'credit_notes', 'payments'))
            -- What was sent again under its name is judged there; the rows of the versions before are a record.
            and file_id in (select file_id from ({NEWEST_VERSIONS}))
    )
    select coalesce(carrier_id, 'no carrier') || ': ' || unrated_reason || ' (unrated events)' as what, 'rows' as unit,
        sum(unrated_event_count) as count, sum(at_risk_amount) as amount, at_risk_currency as currency
    from settle.fct_usage_daily
    where unrated_event_count > 0 and date_trunc('month', usage_date) = $month
    group by carrier_id, unrated_reason, at_risk_currency, at_risk_amount is null
    union all
    select coalesce(partner_id, 'no partner') || ': ' || uncharged_reason || ' (uncharged events)', 'rows',
        sum(uncharged_event_count), null, null
    from settle.fct_usage_daily
    where uncharged_event_count > 0 and date_trunc('month', usage_date) = $month
    group by partner_id, uncharged_reason
    union all
    select kind || '/' || feed || ': ' || reason, 'rows', count(*), sum(amount), currency
    from rows_at_risk
    group by kind, feed, reason, currency
    union all
    select kind || '/' || feed || ': such as ' || min(concat_ws('/', file_name, part_name)) || ' (files that failed)',
        'files', count(*), null, null
    from ingest.files
    where outcome = 'failed'
    group by kind, feed
    order by amount desc nulls first, what
"""
"""Refused rows, rows in quarantine and files that failed name no month that could be trusted, so they stand in the way
of every month."""
FILES_UNSETTLED = """
    select concat_ws('/', kind, feed, file_name, part_name) as file
    from ingest.files
    where outcome = 'loaded'
        and (file_id, loaded_count) not in (select (file_id, loaded_count) from settle.fct_landed_files)
    order by loaded_at, file
"""
"""Loaded since the marts were built; also those of which rows were brought back from quarantine."""


def close(
    connection: duckdb.DuckDBPyConnection,
    export_dir: Path,
    month: date,
    now: datetime,
    closed_by: str,
    grace_until: date | None = None,
    reason: str | None = None,
) -> Closing:
    """Close a month (its first day) for good or, with `grace_until`, softly; the closing is sealed and exported.

    Raises CannotClose where the month is closed already, not over, not the first open one, not booked as the last run
    left it, where that run was not whole or does not hold all that is loaded, or where more money is at risk than the
    terms allow and no `reason` is given to close it all the same.
    """
    ledger.prepare(connection, export_dir)
    _check_that_all_is_settled(connection)
    _check_that_all_is_booked(connection)
    _check_order(connection, month, SOFT if grace_until else HARD)
    _check_that_it_is_over(connection, month, now)
    if grace_until and grace_until < now.date():
        raise CannotClose(f"the grace would have ended on {grace_until}: name a day that is still to come")
    risks = _risks(connection, month)
    if not reason:
        _check_limits(risks, _limits(connection), month)
    state = SOFT if grace_until else HARD
    with transaction(connection):
        connection.execute(
            f"insert into {CLOSINGS.table} ({CLOSINGS.names}) values (?, ?, ?, ?, ?, ?, ?)",
            [f"{month:%Y-%m}:{state}", month, state, grace_until, now.replace(microsecond=0), closed_by, reason],
        )
        seals.seal(connection, CLOSINGS)
    ledger.export(connection, export_dir)
    return Closing(month, state, grace_until, risks, seals.last(connection))


def _check_that_all_is_settled(connection: duckdb.DuckDBPyConnection) -> None:
    if not builds.is_whole(connection):
        raise CannotClose(builds.NOT_WHOLE)
    files = [file for (file,) in connection.execute(FILES_UNSETTLED).fetchall()]
    if files:
        raise CannotClose(
            f"{len(files):,} loaded files are not settled yet, such as {files[0]}. Run `tollgate run` until it "
            "publishes, then close"
        )


def _check_that_all_is_booked(connection: duckdb.DuckDBPyConnection) -> None:
    for book in BOOKS:
        (proposed,) = connection.execute(f"select count(*) from ({book.proposed})").fetchone()
        if proposed:
            raise CannotClose(
                f"{proposed:,} rows of {book.mart} are not booked yet: the last run was stopped or held back by the "
                "gate. Run `tollgate run` until it publishes, then close"
            )


def _check_order(connection: duckdb.DuckDBPyConnection, month: date, state: str) -> None:
    """Months are closed one after the other, each once softly at most and once for good."""
    states = {
        (row["period_date"], row["period_state"]): row["closed_at"]
        for row in fetch_rows(connection, f"select period_date, period_state, closed_at from {CLOSINGS.table}")
    }
    for closed_as in (HARD, state):
        if closed_at := states.get((month, closed_as)):
            what = "closed" if closed_as == HARD else "softly closed"
            raise CannotClose(f"{month:%Y-%m} was {what} on {closed_at:%Y-%m-%d}, and a closed month stays closed")
    booked = [
        period
        for (period,) in connection.execute(
            """select distinct unnest([origin_period_date, posting_period_date]) as period
            from ledger.postings order by period"""
        ).fetchall()
    ]
    if month not in booked:
        known = ", ".join(f"{period:%Y-%m}" for period in booked) or "no month"
        raise CannotClose(f"nothing is booked in {month:%Y-%m}, only in {known}")
    accepted = {HARD} if state == HARD else {HARD, SOFT}
    still_open = [
        period for period in booked if period < month and not any((period, closed) in states for closed in accepted)
    ]
    if still_open:
        raise CannotClose(f"{still_open[0]:%Y-%m} is still open; months are closed in their order")


def _check_that_it_is_over(connection: duckdb.DuckDBPyConnection, month: date, now: datetime) -> None:
    (ends_at,) = connection.execute(
        "select max(period_end_at) from settle.dim_billing_periods where period_start_date = ?", [month]
    ).fetchone()
    if ends_at and ends_at > now:
        raise CannotClose(f"{month:%Y-%m} is not over before {ends_at:%Y-%m-%d %H:%M} UTC on every agreement's clock")


def _risks(connection: duckdb.DuckDBPyConnection, month: date) -> list[Risk]:
    return [
        Risk(row["what"], row["unit"], int(row["count"]), row["amount"], row["currency"])
        for row in fetch_rows(connection, RISKS, month=month)
    ]


def _limits(connection: duckdb.DuckDBPyConnection) -> dict[str, Decimal]:
    """A limit that cannot be read is none."""
    return dict(
        connection.execute(
            "select currency, at_risk_limit_amount from stage.stg_terms__closing_limits where refusal_reason is null"
        ).fetchall()
    )


def _check_limits(risks: list[Risk], limits: dict[str, Decimal], month: date) -> None:
    """Without a limit in a currency, any money at risk in it is too much."""
    sums: dict[str, Decimal] = {}
    for risk in risks:
        if risk.amount is not None:
            sums[risk.currency] = sums.get(risk.currency, Decimal(0)) + risk.amount
    over = {currency: amount for currency, amount in sums.items() if amount > limits.get(currency, Decimal(0))}
    unknown = [risk for risk in risks if risk.amount is None]
    if not over and not unknown:
        return
    told = [
        f"{plain(amount)} {currency} at risk, and the limit is {plain(limits.get(currency, Decimal(0)))} {currency}"
        for currency, amount in sorted(over.items())
    ]
    for unit in ("rows", "files"):
        if count := sum(risk.count for risk in unknown if risk.unit == unit):
            told.append(f"{count:,} {unit} of unknown worth")
    rows = [risk for risk in risks if risk.amount is None or risk.currency in over]
    listed = "".join(f"\n  {risk}" for risk in rows[:RISKS_SHOWN])
    more = f"\n  and {len(rows) - RISKS_SHOWN:,} more" if len(rows) > RISKS_SHOWN else ""
    raise CannotClose(
        f"{month:%Y-%m} stays open: {'; '.join(told)}{listed}{more}\n"
        "mend them and run again, raise the limit in closing_limits.csv, or close all the same with --accept REASON.\n"
        "A file is mended by sending it again under its name; rows in quarantine also by a declaration that reads them "
        "and `tollgate quarantine --replay`; a failed file that nobody needs by taking it out of landing"
    )
