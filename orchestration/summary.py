"""What a person reads after a run: the settlement summary, or why there is none, and the state of things.

Belongs here: reading published tables and the file ledger, and laying them out. Does not belong here: computing
anything that is not in a table already, beyond adding up.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from orchestration import settings
from orchestration.landing import unclaimed
from orchestration.lock import why_busy
from orchestration.sql import fetch_rows

# A settled month is one for which an invoice has come; the edges of the month before and after are told in one line.
SETTLED = "period_start_date in (select period_start_date from settle.fct_carrier_settlements)"
CARRIERS = f"""
    select carrier_id, strftime(period_start_date, '%Y-%m') as month, settlement_currency, invoiced_amount,
        rated_amount, variance_amount, disputed_amount, withheld_amount, credited_amount, payable_amount,
        strftime(due_date, '%Y-%m-%d') as due_date
    from settle.fct_carrier_settlements where {SETTLED} order by period_start_date, carrier_id
"""
CAUSES = """
    select carrier_id, invoice_currency, cause, count(*) as lines, sum(component_variance_amount) as amount
    from settle.fct_variance_components group by carrier_id, invoice_currency, cause
    order by carrier_id, abs(sum(component_variance_amount)) desc
"""
ACCRUALS = f"""
    select carrier_id, strftime(period_start_date, '%Y-%m') as month, accrual_currency, sum(accrued_amount) as amount
    from settle.fct_accruals where {SETTLED} group by carrier_id, period_start_date, accrual_currency
    having sum(accrued_amount) != 0 order by period_start_date, carrier_id
"""
POLICIES = """
    select carrier_id, service, agreed_policy_name, deviating_policy_name, reproduced_line_count, deviating_line_count,
        reproduces_from_date
    from settle.fct_carrier_policies where deviating_policy_name is not null order by carrier_id, service
"""
CALLS = """
    select carrier_id, service, match_class, sum(greatest(event_count, cdr_count)) as calls
    from settle.fct_carrier_calls_daily group by carrier_id, service, match_class
    order by carrier_id, service, calls desc
"""
PARTNERS = f"""
    select partner_id, strftime(period_start_date, '%Y-%m') as month, statement_currency, charge_amount, tax_amount,
        revenue_share_amount, receivable_amount, payable_amount
    from settle.fct_partner_statements where {SETTLED} order by period_start_date, partner_id, statement_currency
"""
OPEN_MONTHS = f"""
    select strftime(period_start_date, '%Y-%m') as month, sum(accruals) as accruals, sum(statements) as statements
    from (
        select period_start_date, 1 as accruals, 0 as statements from settle.fct_accruals
        union all
        select period_start_date, 0, 1 from settle.fct_partner_statements
    )
    where not {SETTLED} group by period_start_date order by period_start_date
"""
UNRATED = """
    select unrated_reason, carrier_id, sum(unrated_event_count) as events, at_risk_currency,
        sum(at_risk_amount) as at_risk
    from settle.fct_usage_daily where unrated_event_count > 0
    group by unrated_reason, carrier_id, at_risk_currency order by at_risk desc nulls last, events desc
"""
UNCHARGED = """
    select uncharged_reason, coalesce(partner_id, 'no partner') as partner, service,
        sum(uncharged_event_count) as events
    from settle.fct_usage_daily where uncharged_event_count > 0 group by all order by events desc
"""
EVENTS = """
    select sum(event_count) as event_count, sum(rated_event_count) as rated_event_count,
        sum(not_charged_event_count) as not_charged_event_count, sum(unrated_event_count) as unrated_event_count
    from settle.fct_usage_daily
"""
MINOR_UNITS = "select currency_code, minor_unit_decimals from reference.currencies"

FILES = """
    select kind || '/' || feed as feed, count(*) filter (where outcome = 'loaded') as loaded,
        count(*) filter (where outcome = 'duplicate') as repeated, count(*) filter (where outcome = 'failed') as failed,
        coalesce(sum(loaded_count), 0) as rows, coalesce(sum(quarantined_count), 0) as quarantined,
        max(loaded_at) as last_load
    from ingest.files group by kind, feed order by kind, feed
"""
NEW_COLUMNS = """
    select kind || '/' || feed || '/' || min(file_name) as file, new_columns from ingest.files
    where new_columns is not null group by kind, feed, new_columns order by 1
"""
FAILED_FILES = """
    -- The message begins with the name of the file, or of what is wrong in it.
    select kind || '/' || feed || '/' || message as message from ingest.files
    where outcome = 'failed' order by concat_ws('/', kind, feed, file_name, part_name)
"""
QUARANTINED = """
    with by_money as (
        select kind || '/' || feed as feed, reason_code, at_risk_currency, count(*) as rows,
            sum(at_risk_amount) as amount,
            min(file_name || ' line ' || coalesce(line_number, record_number)) as first_one
        from ingest.quarantine group by all
    )
    select feed, reason_code, sum(rows) as rows, min(first_one) as first_one,
        string_agg(at_risk_currency || ' ' || amount, ', ' order by at_risk_currency) as at_risk
    from by_money group by all order by 1, 2
"""
REFUSED = """
    with by_money as (
        select refused.kind || '/' || refused.feed as feed, refused.refusal_reason, refused.at_risk_currency,
            count(*) as rows, sum(refused.at_risk_amount) as amount,
            min(concat_ws('/', files.file_name, files.part_name) || ' record ' || refused.record_number) as first_one
        from stage.int_rows_refused as refused left join ingest.files as files using (file_id) group by all
    )
    select feed, refusal_reason, sum(rows) as rows, min(first_one) as first_one,
        string_agg(at_risk_currency || ' ' || amount, ', ' order by at_risk_currency) as at_risk
    from by_money group by all order by 1, 2
"""
UNFOOTED = """
    select carrier_id, invoice_number, invoice_currency, sum(invoiced_amount) as lines_amount,
        max(invoice_total_amount) as stated_amount
    from reconcile.int_invoice_lines_versioned group by carrier_id, invoice_number, invoice_currency
    having sum(invoiced_amount) is distinct from max(invoice_total_amount) order by 1, 2
"""
QUARANTINED_ROWS = """
    select kind || '/' || feed as feed, file_name, coalesce(line_number, record_number) as line_number, reason_code,
        coalesce(column_name, '') as column_name, message, at_risk_amount, at_risk_currency, raw_text
    from ingest.quarantine where kind || '__' || feed in (select unnest(?)) order by loaded_at desc, 1, 2, 3
"""
RESTATED = """
    select count(*) as event_count, coalesce(sum(record_count - 1), 0) as copy_count,
        count(*) filter (where is_restated) as restated_count
    from stage.int_events_repeated
"""
DECK_FINDINGS = """
    select count(*) filter (where severity = 'error') as error_count,
        count(*) filter (where severity = 'warning') as warning_count
    from rate.int_deck_findings_raised
"""
REFUSED_TERMS = "select terms_table, term_id, refusal_reason from stage.int_terms_refused order by 1, 2, 3"


@dataclass(frozen=True)
class News:
    """What a run did that the run before it had not."""

    files_loaded: int
    rows_loaded: int
    postings_booked: int
    changed_tables: int

    def __str__(self) -> str:
        if not (self.files_loaded or self.postings_booked or self.changed_tables):
            return "Nothing new landed: nothing was loaded, booked or published again, and no table changed."
        return (
            f"{counted(self.files_loaded, 'new file')} with {counted(self.rows_loaded, 'row')}; "
            f"{counted(self.postings_booked, 'posting')} booked; {counted(self.changed_tables, 'table')} changed."
        )


def settlement(home: settings.Home, news: News) -> dict[str, Any]:
    """What print_settlement says, for a program."""
    with duckdb.connect(str(home.published / "settlement.duckdb"), read_only=True) as published:
        facts = {
            name: fetch_rows(published, query)
            for name, query in {
                "carriers": CARRIERS,
                "accruals": ACCRUALS,
                "causes": CAUSES,
                "policies": POLICIES,
                "calls": CALLS,
                "partners": PARTNERS,
                "open_months": OPEN_MONTHS,
                "events": EVENTS,
                "unrated": UNRATED,
                "uncharged": UNCHARGED,
            }.items()
        }
    return facts | {
        "repeated_events": _facts(home, RESTATED),
        "held_back": _held_back(home),
        "news": vars(news),
        "publication": _publication(home),
    }


def failure(home: settings.Home, is_published: bool) -> dict[str, Any]:
    """What print_failure says, for a program."""
    gate = home.reports / "gate.json"
    return {
        "is_published": is_published,
        "gate": json.loads(gate.read_text()) if gate.exists() else None,
        "log": home.reports / "dbt.log",
        "held_back": _held_back(home),
        "publication": _publication(home),
    }


def status(home: settings.Home) -> dict[str, Any]:
    """What print_status says, for a program."""
    return {"files": _facts(home, FILES), "held_back": _held_back(home), "publication": _publication(home)}


def quarantine(home: settings.Home, feeds: list[str], limit: int) -> dict[str, Any]:
    """What print_quarantine says, for a program."""
    rows = _facts(home, QUARANTINED_ROWS, [feeds])
    return {"row_count": len(rows), "rows": rows[:limit]}


def _held_back(home: settings.Home) -> dict[str, Any]:
    queries = {
        "failed_files": FAILED_FILES,
        "quarantined": QUARANTINED,
        "refused": REFUSED,
        "unfooted_invoices": UNFOOTED,
        "new_columns": NEW_COLUMNS,
        "refused_terms": REFUSED_TERMS,
        "deck_findings": DECK_FINDINGS,
    }
    left_alone = unclaimed(home.landing) if home.landing.is_dir() else []
    return {name: _facts(home, query) for name, query in queries.items()} | {
        "left_alone": [path.relative_to(home.landing) for path in left_alone]
    }


def _publication(home: settings.Home) -> dict[str, Any] | None:
    manifest = home.published / "manifest.json"
    if not manifest.exists():
        return None
    told = json.loads(manifest.read_text())
    return {
        "published_at": told["published_at"],
        "ledger_seal": told["ledger_seal"],
        "rows": {name: table["rows"] for name, table in told["tables"].items()},
        "file": home.published / "settlement.duckdb",
    }


def print_settlement(home: settings.Home, console: Console, news: News) -> None:
    """The settlement of everything published, per carrier and partner, what is held back, and what the run changed."""
    decimals = minor_units(home)
    with duckdb.connect(str(home.published / "settlement.duckdb"), read_only=True) as published:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return published.execute(query).fetchall()

        def money(amount: Decimal | None, currency: str | None) -> str:
            if amount is None:
                return "unknown"
            return f"{amount:,.{decimals.get(currency, 2)}f}"

        table = _table(
            "Carriers",
            "carrier",
            "month",
            "",
            "invoiced",
            "expected",
            "variance",
            "disputed",
            "withheld",
            "credited",
            "to pay",
            "due",
        )
        for carrier, month, currency, *amounts, due in rows(CARRIERS):
            table.add_row(carrier, month, currency, *(money(amount, currency) for amount in amounts), due)
        for carrier, month, currency, amount in rows(ACCRUALS):
            table.add_row(carrier, month, currency, "not yet", money(amount, currency), "", "", "", "", "accrued")
        if table.rows:
            console.print(table)
        else:
            console.print("No carrier's invoice has come yet: there is nothing to settle with carriers.")

        table = _table("Variance by cause", "carrier", "", "cause", "lines", "amount")
        for carrier, currency, cause, lines, amount in rows(CAUSES):
            table.add_row(carrier, currency, cause, f"{lines:,}", money(amount, currency))
        if table.rows:
            console.print(table)
        for carrier, service, agreed, other, reproduced, deviating, since in rows(POLICIES):
            console.print(
                f"  {carrier} bills {service} otherwise than agreed ({agreed}): {other}"
                f"{f' since {since}' if since else ''}; "
                f"that reproduces {reproduced} of the {deviating} lines that the agreement does not",
                highlight=False,
            )

        for (carrier, service), classes in groupby(rows(CALLS), key=lambda row: row[:2]):
            told = ", ".join(f"{calls:,} {match_class.replace('_', ' ')}" for *_, match_class, calls in classes)
            console.print(f"  {carrier} lists single calls ({service}): {told}", highlight=False)

        table = _table("Partners", "partner", "month", "", "charged", "tax", "their shares", "they owe", "we owe")
        for partner, month, currency, *amounts in rows(PARTNERS):
            table.add_row(partner, month, currency, *(money(amount, currency) for amount in amounts))
        if table.rows:
            console.print(table)

        for month, accruals, statements in rows(OPEN_MONTHS):
            parts = [(accruals, "accrual"), (statements, "partner statement")]
            told = " and ".join(counted(count, word) for count, word in parts if count)
            are = "is" if accruals + statements == 1 else "are"
            console.print(f"{month} has no invoice yet: {told} {are} in the tables", highlight=False)

        events, rated, not_charged, unrated = rows(EVENTS)[0]
        console.print(
            f"\n{counted(events or 0, 'event')}: {rated or 0:,} rated, "
            f"{not_charged or 0:,} not charged by the carrier, {unrated or 0:,} unrated",
            highlight=False,
        )
        for repeated, copies, restated in _rows(home, RESTATED):
            if copies:
                console.print(
                    f"  {counted(repeated, 'event')} came more than once "
                    f"({counted(copies, 'copy', 'copies')}, each event counts once); "
                    f"{restated:,} with other values: the last final word counts",
                    highlight=False,
                )
        for reason, carrier, count, currency, at_risk in rows(UNRATED):
            console.print(
                f"  {count:,} unrated: {reason}, {carrier}; money at risk {money(at_risk, currency)} {currency}",
                highlight=False,
            )
        for reason, partner, service, count in rows(UNCHARGED):
            console.print(f"  {count:,} not charged to anyone: {reason}, {partner}, {service}", highlight=False)
    _print_held_back(home, console)
    manifest = json.loads((home.published / "manifest.json").read_text())
    console.print(f"\n{news}", highlight=False)
    console.print(f"Published {manifest['published_at']}, {len(manifest['tables'])} tables:", highlight=False)
    console.print(f"  {home.published / 'settlement.duckdb'}  (schema settle)", highlight=False, soft_wrap=True)
    console.print(f"  {home.published / 'parquet'}", highlight=False, soft_wrap=True)
    console.print(f"  {home.reports / 'gate.html'}  (what the gate checked)", highlight=False, soft_wrap=True)
    site = home.published / "site" / "index.html"
    if site.exists():
        console.print(f"  {site.as_uri()}  (the pages: open them in a browser)", highlight=False, soft_wrap=True)


def print_failure(home: settings.Home, console: Console, is_published: bool = False) -> None:
    """Why nothing was published, or no pages of it, and what still stands."""
    if is_published:
        console.print("\n[bold red]The tables are published, their pages are not:[/] the reason is told above.")
        return
    console.print("\n[bold red]Nothing was published.[/]")
    gate = home.reports / "gate.json"
    if gate.exists():
        verdict = json.loads(gate.read_text())
        for message in [] if verdict["passed"] else verdict["messages"]:
            console.print(f"  {message}", highlight=False, soft_wrap=True)
        console.print(f"  the rows are in {home.reports / 'gate.html'}", highlight=False, soft_wrap=True)
    _print_held_back(home, console)
    if (home.published / "settlement.duckdb").exists():
        console.print(f"What was published before is untouched: {home.published}", highlight=False, soft_wrap=True)


def print_status(home: settings.Home, console: Console) -> None:
    """Files, what is held back, what is published."""
    if not home.warehouse.exists():
        console.print(f"{home.root} holds no warehouse yet: run `tollgate run`", soft_wrap=True)
        return
    try:
        duckdb.connect(str(home.warehouse), read_only=True).close()
    except duckdb.IOException as error:
        console.print(why_busy(home, error), soft_wrap=True, highlight=False, markup=False)
        return
    table = _table("Files", "feed", "loaded", "repeated", "failed", "rows", "quarantined", "last load (UTC)")
    for feed, *counts, last_load in _rows(home, FILES):
        table.add_row(feed, *(f"{count:,}" for count in counts), f"{last_load:%Y-%m-%d %H:%M}")
    console.print(table)
    _print_held_back(home, console)
    manifest = home.published / "manifest.json"
    if manifest.exists():
        facts = json.loads(manifest.read_text())
        rows = sum(table["rows"] for table in facts["tables"].values())
        console.print(
            f"published {facts['published_at']}: {counted(len(facts['tables']), 'table')}, {counted(rows, 'row')} "
            f"in {home.published}",
            highlight=False,
            soft_wrap=True,
        )
    else:
        console.print("nothing is published yet")


def _print_held_back(home: settings.Home, console: Console) -> None:
    """Everything that landed and does not settle, with its reason. Silent where all of it does."""
    for (message,) in _rows(home, FAILED_FILES):
        console.print(f"  file not loaded: {message}", highlight=False, soft_wrap=True, markup=False)
    for path in unclaimed(home.landing) if home.landing.is_dir() else []:
        console.print(
            f"  left alone: {path.relative_to(home.landing)}, which no feed claims", highlight=False, soft_wrap=True
        )
    for word, query in (("quarantined", QUARANTINED), ("refused", REFUSED)):
        for feed, reason, count, example, at_risk in _rows(home, query):
            money = f"; money at risk {_plain(at_risk)}" if at_risk else ""
            console.print(
                f"  {counted(count, 'row')} {word}: {feed}, {reason} (first: {example}){money}",
                highlight=False,
                soft_wrap=True,
            )
    for carrier, invoice, currency, lines, total in _rows(home, UNFOOTED):
        console.print(
            f"  invoice {invoice} of {carrier} does not foot: its lines add up to {lines.normalize():f} {currency}, "
            f"its total says {'nothing' if total is None else f'{total.normalize():f}'}",
            highlight=False,
            soft_wrap=True,
        )
    for file, new_columns in _rows(home, NEW_COLUMNS):
        console.print(f"  new columns: {file}: {new_columns}; kept, read by nothing", highlight=False, soft_wrap=True)
    for table, term, reason in _rows(home, REFUSED_TERMS):
        console.print(f"  term refused: {table}, {term}: {reason}", highlight=False, soft_wrap=True)
    for errors, warnings in _rows(home, DECK_FINDINGS):
        if errors or warnings:
            told = " and ".join(counted(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n)
            console.print(f"  {told} in the carriers' decks: `tollgate decks` lists them", highlight=False)


def print_quarantine(home: settings.Home, console: Console, feeds: list[str], limit: int) -> None:
    """The records that could not be read, the latest file first, with what they say that they are worth."""
    rows = _rows(home, QUARANTINED_ROWS, [feeds])
    for feed, file, line, reason, column, message, amount, currency, raw_text in rows[:limit]:
        place = f"{feed}/{file} line {line}"
        money = f"; {currency or 'money'} {amount.normalize():f} at risk" if amount is not None else ""
        about = f" in {column}" if column else ""
        console.print(f"{place}: {reason}{about}: {message}{money}", highlight=False, soft_wrap=True, markup=False)
        text = "(text not kept)" if raw_text is None else raw_text[:300]
        console.print(f"    {text}", highlight=False, soft_wrap=True, markup=False)
    shown = f", the first {limit} shown" if len(rows) > limit else ""
    console.print(f"{counted(len(rows), 'row')} in quarantine{shown}", highlight=False)


def _plain(amounts: str) -> str:
    """`USD 1.250000000000` -> `USD 1.25`."""
    return re.sub(r"(\.[0-9]*?)0+(?![0-9])", lambda match: match.group(1).rstrip("."), amounts)


def _rows(home: settings.Home, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Rows of the warehouse; none where the table was never built, because a run stopped before it."""
    return [tuple(row.values()) for row in _facts(home, query, parameters)]


def _facts(home: settings.Home, query: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
    """The same rows by the names of their columns."""
    if not home.warehouse.exists():
        return []
    try:
        with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
            return fetch_rows(warehouse, query, parameters)
    except duckdb.CatalogException:
        return []


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def stay(count: int) -> str:
    """`1 stays`, `2 stay`."""
    return f"{count:,} {'stays' if count == 1 else 'stay'}"


def minor_units(home: settings.Home) -> dict[str, int]:
    """Decimals of the minor unit of each currency."""
    return dict(_rows(home, MINOR_UNITS))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        words = column in ("month", "", "cause") or index == 0
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    return table
