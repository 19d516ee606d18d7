"""What the pages of the site are made of: chunks of data, each a script that the page which needs it loads.

A chunk holds tables, `{"columns": [...], "rows": [...]}`. Amounts and quantities are decimal text, with the digits that
say something; a page adds them up exactly. Nothing is computed here but sums of what a mart holds.

Belongs here: which rows of the published marts are in which chunk. Does not belong here: how a row is read
(`marts.py`), files (`writing.py`), words and looks (`assets/`).
"""

import csv
import hashlib
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import duckdb

from orchestration import settings
from orchestration.site.marts import Marts

LINES_OF_A_CHUNK = 1_000
ROUTES_OF_A_CHUNK = 4_000
FILES_SHOWN = 2_000

Chunk = dict[str, Any]
MONTHS = """
    create or replace temp table months as
    select billing_period_id, any_value(strftime(period_start_date, '%Y-%m')) as period
    from settle.dim_billing_periods group by billing_period_id"""
PERIOD = "coalesce(months.period, strftime(lines.invoice_date, '%Y-%m'))"
"""The month that an invoice is about; of one without an agreement, that of its date."""
OF_INVOICES = "left join months on lines.billing_period_id = months.billing_period_id"


def name_of(kind: str, key: str) -> str:
    """The name of the chunk of one carrier or partner: an id may hold what no file's name can."""
    return f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def chunks(connection: duckdb.DuckDBPyConnection, facts: Chunk) -> Iterator[tuple[str, Chunk]]:
    """Each chunk with its name. `facts`: what the pages say that no mart holds."""
    marts = Marts(connection)
    connection.execute(MONTHS)
    periods, latest = _periods(marts)
    yield "site", _site(marts, periods, latest, facts)
    yield "agenda", _agenda(marts)
    yield "open", _open(marts)
    for period in periods:
        yield f"period-{period}", _period(marts, period)
        yield f"routes-{period}", _routes(marts, period)
    yield from _lines(marts)
    yield from _carriers(marts)
    yield from _partners(marts)
    yield "health", _health(marts, facts)


def _periods(marts: Marts) -> tuple[list[str], str | None]:
    """All months of which there is something, the latest first, and the latest that an invoice is about."""
    found = marts.connection.execute(
        """
        select strftime(period_start_date, '%Y-%m') as period, max(is_settled)
        from (
            select period_start_date, 1 as is_settled from settle.fct_carrier_settlements
            union all select period_start_date, 0 from settle.fct_accruals
            union all select period_start_date, 0 from settle.fct_partner_statements
        )
        group by period order by period desc"""
    ).fetchall()
    periods = [period for period, _ in found]
    return periods, next((period for period, settled in found if settled), periods[0] if periods else None)


def _site(marts: Marts, periods: list[str], latest: str | None, facts: Chunk) -> Chunk:
    return {
        "published_at": facts["published_at"],
        "minor_units": _minor_units(),
        "periods": periods,
        "period": latest,
        "reporting_currency": marts.value("select max(reporting_currency) from settle.fct_margins"),
        "carriers": {
            row[0]: {"name": row[1], "chunk": name_of("carrier", row[0])}
            for row in marts.connection.execute(
                """
                select carrier_id, max(carrier_name) as carrier_name
                from (
                    select carrier_id, carrier_name from settle.dim_carriers
                    union all select carrier_id, null from settle.fct_carrier_settlements
                    union all select carrier_id, null from settle.fct_usage_daily where carrier_id is not null
                )
                group by carrier_id order by carrier_id"""
            ).fetchall()
        },
        "partners": {
            row[0]: {"name": row[1], "chunk": name_of("partner", row[0])}
            for row in marts.connection.execute(
                """
                select partner_id, max(partner_name) as partner_name
                from (
                    select partner_id, partner_name from settle.dim_partners
                    union all select partner_id, null from settle.fct_partner_statements
                )
                group by partner_id order by partner_id"""
            ).fetchall()
        },
        "gate_passed": facts["gate"] and facts["gate"]["passed"],
    }


def _minor_units() -> dict[str, int]:
    with (settings.PROJECT_DIR / "seeds" / "reference" / "currencies.csv").open(encoding="utf-8", newline="") as file:
        return {row["currency_code"]: int(row["minor_unit_decimals"]) for row in csv.DictReader(file)}


# --- What is open ------------------------------------------------------------------------------------


def _agenda(marts: Marts) -> Chunk:
    return {
        "disputes": marts.table(
            f"""
            select {PERIOD} as period, lines.* from settle.fct_disputes as lines {OF_INVOICES}
            where lines.open_amount <> 0 order by lines.raise_by_date, lines.dispute_id"""
        ),
        "running": marts.table(
            """
            select
                partner_id, plan_id, service, direction, event_count, used_quantity, quantity_unit, free_quantity_left,
                charge_amount, commitment_left_amount, projected_charge_amount, projected_true_up_amount,
                charge_currency, known_until_at, strftime(period_start_date, '%Y-%m') as period
            from settle.fct_partner_running_charges
            where commitment_left_amount is not null order by partner_id, plan_id"""
        ),
    }


def _open(marts: Marts) -> Chunk:
    if not marts.has("fct_open_items"):
        return {"items": {"columns": [], "rows": []}, "is_paid_known": False}
    return {
        "items": marts.table(
            """
            select
                party_id, paid_as, document_type, cleared_amount, payable_amount, receivable_amount,
                item_currency as currency, due_date, strftime(period_start_date, '%Y-%m') as period
            from settle.fct_open_items where due_date is not null order by due_date, party_id, open_item_id"""
        ),
        "is_paid_known": marts.value(
            "select count(*) > 0 from settle.fct_landed_files where feed_kind = 'payments' and loaded_count > 0"
        ),
    }


def _period(marts: Marts, period: str) -> Chunk:
    of_period = f"strftime(period_start_date, '%Y-%m') = '{period}'"
    usage = f"strftime(usage_date, '%Y-%m') = '{period}'"
    return {
        "settlements": marts.table(
            f"select * from settle.fct_carrier_settlements where {of_period} order by carrier_id"
        ),
        "accruals": marts.table(
            f"""
            select carrier_id, accrual_currency, sum(accrued_amount) as accrued_amount
            from settle.fct_accruals where {of_period} group by all order by carrier_id"""
        ),
        "causes": marts.table(
            f"""
            select
                lines.carrier_id, lines.invoice_currency, lines.cause, count(*) as line_count,
                sum(lines.component_variance_amount) as variance_amount,
                sum(case when lines.dispute_id is not null then lines.component_variance_amount else 0 end)
                    as disputed_amount
            from settle.fct_variance_components as lines {OF_INVOICES}
            where {PERIOD} = '{period}' group by all
            order by lines.carrier_id, lines.invoice_currency, lines.cause"""
        ),
        "statements": marts.table(
            f"""
            select
                statement_id, partner_id, event_count, charge_amount, tax_amount, revenue_share_amount,
                receivable_amount, payable_amount, statement_currency, due_date
            from settle.fct_partner_statements where {of_period} order by partner_id, statement_currency"""
        ),
        "netting": marts.table(
            f"""
            select * exclude (netting_statement_id, period_start_date)
            from settle.fct_netting_statements where {of_period} order by party_id, netting_currency"""
        ),
        "policies": marts.table(
            f"""
            select carrier_id, service, direction, agreed_policy_name, deviating_policy_name, reproduced_line_count,
                deviating_line_count, lead_line_count, reproduces_from_date
            from settle.fct_carrier_policies as policies
            where deviating_policy_name is not null and billing_period_id in (
                select billing_period_id from settle.dim_billing_periods where {of_period}
            )
            order by carrier_id, service, direction"""
        ),
        "margins": marts.table(
            f"""
            select
                partner_id, reporting_currency, sum(event_count) as event_count, sum(revenue_amount) as revenue_amount,
                sum(corrected_cost_amount) as corrected_cost_amount, sum(share_amount) as share_amount,
                sum(margin_amount) as margin_amount
            from settle.fct_margins where {usage} group by all order by partner_id"""
        ),
        "losses": marts.table(
            f"""
            with routes as (
                select
                    carrier_id, destination_id, service, direction, reporting_currency,
                    sum(margin_amount) as margin_amount, sum(revenue_amount - corrected_cost_amount) as gross_amount
                from settle.fct_margins where {usage} group by all
            )
            select
                reporting_currency, count(*) as route_count, sum(margin_amount) as margin_amount,
                count(*) filter (where gross_amount < 0) as below_cost_count
            from routes where margin_amount < 0 group by all"""
        ),
        "unrated": _leaks(marts, "unrated", usage, "at_risk_amount", "at_risk_currency"),
        "uncharged": _leaks(marts, "uncharged", usage, "rated_cost_amount", "rated_cost_currency"),
    }


def _leaks(marts: Marts, leak: str, usage: str, amount: str, currency: str) -> Chunk:
    return marts.table(
        f"""
        select
            {leak}_reason as reason, carrier_id, partner_id, service, direction,
            sum({leak}_event_count) as event_count, sum(coalesce({amount}, 0)) as amount, {currency} as currency
        from settle.fct_usage_daily where {usage} and {leak}_event_count > 0 group by all
        order by amount desc nulls last, event_count desc, reason, carrier_id, partner_id, service limit 3000"""
    )


# --- Routes -----------------------------------------------------------------------------------------


def _routes(marts: Marts, period: str) -> Chunk:
    usage = f"strftime(usage_date, '%Y-%m') = '{period}'"
    sums = """
        sum(event_count) as event_count, sum(revenue_amount) as revenue_amount,
        sum(corrected_cost_amount) as corrected_cost_amount, sum(share_amount) as share_amount,
        sum(margin_amount) as margin_amount"""
    return {
        "heat": marts.table(
            f"""
            select carrier_id, country_code, reporting_currency, {sums}
            from settle.fct_margins left join settle.dim_destinations using (destination_id)
            where {usage} group by all order by carrier_id, country_code"""
        ),
        # Those that lose most, and the rest by country, so that the whole of the table is the whole of the month.
        "routes": marts.table(
            f"""
            with routes as (
                select
                    carrier_id, destination_id, destination_name, country_code, service, direction, reporting_currency,
                    {sums}
                from settle.fct_margins left join settle.dim_destinations using (destination_id)
                where {usage} group by all
            ),
            ranked as (
                select *, row_number() over (order by margin_amount, carrier_id, destination_id, service, direction)
                    <= {ROUTES_OF_A_CHUNK} as is_named
                from routes
            )
            select
                carrier_id,
                case when is_named then destination_name else 'all other destinations' end as destination_name,
                country_code, service, direction, reporting_currency, count(*) as route_count, {sums}
            from ranked group by all order by margin_amount, carrier_id, destination_name, service, direction"""
        ),
        "unconverted": marts.value(f"select count(*) from settle.fct_margins where {usage} and has_unconverted_money"),
    }


# --- Invoice lines ----------------------------------------------------------------------------------

LINES = f"""
    with components as (
        select
            invoice_line_id,
            list(
                [cause, rtrim(rtrim(cast(component_variance_amount as varchar), '0'), '.'), dispute_id] order by cause
            ) as components
        from settle.fct_variance_components group by invoice_line_id
    )
    select
        lines.carrier_id, lines.invoice_number, {PERIOD} as period,
        lines.invoice_currency, lines.invoice_line_id, lines.line_number, lines.line_type, lines.service,
        lines.direction, coalesce(lines.destination_name, lines.dial_code) as destination_name,
        lines.line_description, lines.line_status, lines.matched_grain,
        lines.quantity_unit, lines.invoiced_event_count, lines.rated_event_count, lines.invoiced_quantity,
        lines.rated_quantity, lines.invoiced_rate_amount, lines.rated_rate_amount, lines.invoiced_amount,
        lines.rated_amount, lines.variance_amount, lines.disputed_variance_amount, lines.call_proven_amount,
        lines.is_invoiced, lines.is_repeated, lines.invoice_date, lines.service_first_date, lines.service_last_date,
        components.components, calls.calls
    from settle.fct_carrier_invoice_lines as lines {OF_INVOICES}
    left join components using (invoice_line_id)
    left join calls_of_lines as calls using (invoice_line_id)
    order by lines.carrier_id, lines.invoice_number, period, lines.invoice_currency, lines.invoice_line_id"""
CALLS_OF_LINES = """
    create or replace temp table calls_of_lines as
    with found as (
        select
            lines.invoice_line_id, calls.match_class, sum(calls.event_count) as event_count,
            sum(calls.cdr_count) as cdr_count, sum(calls.billed_quantity) as billed_quantity,
            sum(calls.carrier_quantity) as carrier_quantity
        from settle.fct_carrier_invoice_lines as lines
        inner join settle.fct_carrier_calls_daily as calls
            on lines.carrier_id = calls.carrier_id and lines.service = calls.service
            and lines.direction = calls.direction and lines.destination_id = calls.destination_id
            and calls.call_date between lines.service_first_date and lines.service_last_date
        where lines.matched_grain = 'call'
        group by lines.invoice_line_id, calls.match_class
    )
    select
        invoice_line_id,
        list([match_class, cast(event_count as varchar), cast(cdr_count as varchar), cast(billed_quantity as varchar),
            cast(carrier_quantity as varchar)] order by match_class) as calls
    from found group by invoice_line_id"""


def _lines(marts: Marts) -> Iterator[tuple[str, Chunk]]:
    """Chunks of lines, none of two invoices, in the order of ids; and the index by which a page finds a line's."""
    marts.connection.execute(CALLS_OF_LINES)
    columns, rows = marts.read(LINES)
    own = columns[4:]
    index, number = [], 0
    for (carrier, invoice, period, currency), lines in groupby(rows, key=lambda row: row[:4]):
        for part in _parts(lines, LINES_OF_A_CHUNK):
            number += 1
            name = f"lines-{number:05}"
            kept = [row[4:] for row in part]
            ids = [row[0] for row in kept]
            index.append([carrier, invoice, period, currency, name, ids[0], ids[-1], len(ids)])
            yield name, {"lines": {"columns": own, "rows": kept}}
    names = ["carrier_id", "invoice_number", "period", "invoice_currency", "chunk", "first_id", "last_id", "line_count"]
    yield "lines", {"index": {"columns": names, "rows": index}}


def _parts(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    part: list[Any] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


# --- One party --------------------------------------------------------------------------------------


def _carriers(marts: Marts) -> Iterator[tuple[str, Chunk]]:
    tables = {
        "carrier": "select carrier_id, * exclude (carrier_id) from settle.dim_carriers order by carrier_id",
        "settlements": """
            select carrier_id, strftime(period_start_date, '%Y-%m') as period, * exclude (carrier_id, period_start_date)
            from settle.fct_carrier_settlements order by carrier_id, period, settlement_currency""",
        "accruals": """
            select
                carrier_id, strftime(period_start_date, '%Y-%m') as period, service, direction, fee_name, event_count,
                accrued_amount, accrual_currency
            from settle.fct_accruals order by carrier_id, period, service, direction, fee_name""",
        "causes": f"""
            select
                lines.carrier_id, {PERIOD} as period, lines.invoice_currency, lines.cause, count(*) as line_count,
                sum(lines.component_variance_amount) as variance_amount
            from settle.fct_variance_components as lines {OF_INVOICES} group by all
            order by lines.carrier_id, period, lines.invoice_currency, lines.cause""",
        "policies": """
            select
                policies.carrier_id, strftime(periods.period_start_date, '%Y-%m') as period,
                policies.* exclude (carrier_policy_id, carrier_id, billing_period_id)
            from settle.fct_carrier_policies as policies inner join settle.dim_billing_periods as periods
                using (billing_period_id)
            order by policies.carrier_id, period, policies.service, policies.direction""",
        "disputes": f"""
            select lines.carrier_id, {PERIOD} as period, lines.* exclude (carrier_id)
            from settle.fct_disputes as lines {OF_INVOICES} order by lines.carrier_id, period, lines.dispute_id""",
        "destinations": f"""
            select
                lines.carrier_id, {PERIOD} as period, lines.invoice_currency, lines.line_type, lines.service,
                coalesce(lines.destination_name, lines.dial_code, lines.line_description) as destination_name,
                count(*) as line_count,
                sum(lines.invoiced_amount) as invoiced_amount, sum(lines.rated_amount) as rated_amount,
                sum(lines.variance_amount) as variance_amount
            from settle.fct_carrier_invoice_lines as lines {OF_INVOICES} group by all
            order by
                lines.carrier_id, period, variance_amount desc, destination_name, lines.service, lines.line_type""",
        "invoices": f"""
            select
                lines.carrier_id, {PERIOD} as period, lines.invoice_number, lines.invoice_currency,
                max(lines.invoice_date) as invoice_date, count(*) as line_count,
                count(*) filter (where lines.variance_amount <> 0) as differing_line_count,
                sum(lines.invoiced_amount) as invoiced_amount, sum(lines.rated_amount) as rated_amount,
                sum(lines.variance_amount) as variance_amount
            from settle.fct_carrier_invoice_lines as lines {OF_INVOICES} group by all
            order by lines.carrier_id, period, lines.invoice_number, lines.invoice_currency""",
        "usage_days": """
            select
                carrier_id, strftime(usage_date, '%Y-%m') as period, usage_date, rated_cost_currency,
                sum(event_count) as event_count, sum(rated_cost_amount) as rated_cost_amount
            from settle.fct_usage_daily where carrier_id is not null and rated_cost_currency is not null
            group by all order by carrier_id, usage_date, rated_cost_currency""",
        "call_days": """
            select
                carrier_id, strftime(call_date, '%Y-%m') as period, call_date, service, quantity_unit,
                sum(greatest(event_count, cdr_count)) filter (where match_class = 'exact') as exact_count,
                sum(greatest(event_count, cdr_count)) filter (where match_class <> 'exact') as differing_count,
                sum(billed_quantity) as billed_quantity, sum(carrier_quantity) as carrier_quantity,
                sum(rated_cost_amount) as rated_cost_amount, max(rated_cost_currency) as rated_cost_currency,
                sum(carrier_amount) as carrier_amount, max(carrier_currency) as carrier_currency
            from settle.fct_carrier_calls_daily group by all order by carrier_id, call_date, service""",
    }
    if marts.has("fct_account_balances"):
        tables["balances"] = _balances("carrier")
    if marts.has("fct_commitments"):
        tables["commitments"] = _commitments("carrier")
    yield from _parties(marts, "carrier", tables)


def _balances(role: str) -> str:
    return f"""
        select
            party_id, strftime(posting_period_date, '%Y-%m') as period,
            * exclude (account_balance_id, party_id, posting_period_date)
        from settle.fct_account_balances where party_id in (select {role}_id from settle.dim_{role}s)
        order by party_id, posting_period_date, account, balance_currency"""


def _commitments(role: str) -> str:
    return f"""
        select party_id, * exclude (commitment_id, party_id)
        from settle.fct_commitments where party_id in (select {role}_id from settle.dim_{role}s)
        order by party_id, first_date, committed_by, fee_name, plan_id"""


STATEMENT_LINES = "fct_partner_statement_lines"


def _partners(marts: Marts) -> Iterator[tuple[str, Chunk]]:
    tables = {
        "partner": "select partner_id, * exclude (partner_id) from settle.dim_partners order by partner_id",
        "statements": """
            select partner_id, strftime(period_start_date, '%Y-%m') as period, * exclude (partner_id, period_start_date)
            from settle.fct_partner_statements order by partner_id, period, statement_currency""",
        "lines": f"""
            select
                partner_id, strftime(period_start_date, '%Y-%m') as period, statement_id, plan_id, service, direction,
                country_code, pricing_model, charge_type, quantity_unit, tier_number, event_count, charged_quantity,
                priced_per_quantity, unit_amount, flat_amount, {marts.column(STATEMENT_LINES, "tax_ratio", "decimal")},
                {marts.column(STATEMENT_LINES, "rule_id", "varchar")}, charge_amount, charge_currency
            from settle.{STATEMENT_LINES} order by partner_id, period, statement_line_id""",
        "running": """
            select partner_id, strftime(period_start_date, '%Y-%m') as period, * exclude (partner_id, period_start_date)
            from settle.fct_partner_running_charges order by partner_id, period, plan_id""",
        "given": """
            select
                seller_partner_id, strftime(period_start_date, '%Y-%m') as period, beneficiary_partner_id, rule_id,
                service, allocation_type, participant_role, sum(allocated_amount) as allocated_amount, share_currency
            from settle.fct_revenue_share_allocations group by all
            order by seller_partner_id, period, beneficiary_partner_id, rule_id, service, allocation_type""",
        "earned": """
            select
                beneficiary_partner_id, strftime(period_start_date, '%Y-%m') as period, seller_partner_id, rule_id,
                service, allocation_type, participant_role, sum(allocated_amount) as allocated_amount, share_currency
            from settle.fct_revenue_share_allocations group by all
            order by beneficiary_partner_id, period, seller_partner_id, rule_id, service, allocation_type""",
        "margins": """
            select
                partner_id, strftime(usage_date, '%Y-%m') as period, service, direction, reporting_currency,
                sum(event_count) as event_count, sum(revenue_amount) as revenue_amount,
                sum(corrected_cost_amount) as corrected_cost_amount, sum(share_amount) as share_amount,
                sum(margin_amount) as margin_amount
            from settle.fct_margins where partner_id is not null group by all
            order by partner_id, period, service, direction""",
        "margin_days": """
            select
                partner_id, strftime(usage_date, '%Y-%m') as period, usage_date, reporting_currency,
                sum(revenue_amount) as revenue_amount, sum(corrected_cost_amount) as corrected_cost_amount,
                sum(margin_amount) as margin_amount
            from settle.fct_margins where partner_id is not null group by all order by partner_id, usage_date""",
    }
    if marts.has("fct_account_balances"):
        tables["balances"] = _balances("partner")
    if marts.has("fct_commitments"):
        tables["commitments"] = _commitments("partner")
    yield from _parties(marts, "partner", tables)


def _parties(marts: Marts, kind: str, tables: dict[str, str]) -> Iterator[tuple[str, Chunk]]:
    found = {name: marts.tables_by(sql) for name, sql in tables.items()}
    for party in sorted({party for of in found.values() for party in of if party is not None}):
        yield name_of(kind, party), {name: of[party] for name, of in found.items() if party in of}


# --- Health -----------------------------------------------------------------------------------------


def _health(marts: Marts, facts: Chunk) -> Chunk:
    health: Chunk = {
        "gate": facts["gate"],
        "tables": {"columns": ["table", "row_count"], "rows": sorted(map(list, facts["rows"].items()))},
        "unrated": marts.table(
            """
            select
                strftime(usage_date, '%Y-%m') as period, unrated_reason as reason, carrier_id, service,
                sum(unrated_event_count) as event_count, sum(coalesce(at_risk_amount, 0)) as amount,
                at_risk_currency as currency
            from settle.fct_usage_daily where unrated_event_count > 0 group by all
            order by period desc, amount desc, reason, carrier_id, service limit 5000"""
        ),
    }
    if marts.has("dim_billing_periods"):
        health["months"] = marts.table(
            """
            select
                strftime(period_start_date, '%Y-%m') as period, period_state, max(grace_until_date) as grace_until_date,
                max(closed_at) as closed_at, max(closed_by) as closed_by, max(accepted_reason) as accepted_reason
            from settle.dim_billing_periods group by all order by period desc"""
        )
    if marts.has("fct_held_back_rows"):
        health["held"] = marts.table(
            """
            select * exclude (held_back_row_id) from settle.fct_held_back_rows
            order by feed_kind, feed_name, held_back_reason, held_back_row_id"""
        )
    if marts.has("fct_landed_files"):
        health["feeds"] = marts.table(
            """
            select
                feed_kind, feed_name, max(expected_every_hours) as expected_every_hours, count(*) as file_count,
                count(*) filter (where file_status = 'duplicate') as duplicate_file_count,
                count(*) filter (where file_status = 'failed') as failed_file_count, sum(loaded_count) as loaded_count,
                sum(quarantined_count) as quarantined_count, sum(refused_count) as refused_count,
                max(loaded_at) filter (where file_status = 'loaded') as last_loaded_at
            from settle.fct_landed_files group by all order by feed_kind, feed_name"""
        )
        health["files"] = marts.table(
            f"""
            select
                feed_kind, feed_name, concat_ws('/', file_name, part_name) as file_name, file_status, failure_message,
                loaded_count, quarantined_count, refused_count, loaded_at
            from settle.fct_landed_files
            order by file_status = 'failed' desc, loaded_at desc, file_id limit {FILES_SHOWN}"""
        )
        health["files_left_out"] = max(marts.value("select count(*) from settle.fct_landed_files") - FILES_SHOWN, 0)
    return health
