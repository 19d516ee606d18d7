"""The pack of a partner's statement: its lines, charges, tax and shares, and what they come to.

Everything is as it was published; only the rounding and the tax of its agreement are read from the terms. A partner
sees nothing of anybody else: of a share that it receives its own part and ratio, and neither whose revenue it is of nor
how much that was; of a share that it gives the beneficiaries of its own rules, which its agreement names.

Belongs here: what goes to a partner. Does not belong here: charges and shares, which the models compute.
"""

from datetime import date
from typing import Any

import duckdb

from orchestration.packs import NoPack, Pack, check_published, sender_name
from orchestration.packs.tables import Table
from orchestration.sql import fetch_rows

Row = dict[str, Any]

TABLES = [
    Table("statements", "One row per month and currency: charges, tax, shares, and what is due."),
    Table("lines", "One row per line: quantity, price and charge, and what discounts and minimums add or take."),
    Table("charges", "One row per charge as it was booked: later ones correct earlier ones of their line."),
    Table("taxes", "One row per agreement and month: the tax on its charges."),
    Table("shares_received", "One row per share of another's revenue that is owed to the partner."),
    Table(
        "account", "One row per balance and movement of the month's account: above zero you owe us, below zero we you."
    ),
    Table(
        "netting",
        "One row per settlement and statement that are netted, where you are a carrier too: its amounts, the exchange "
        "rates, and the net that all of them come to.",
    ),
    Table("shares_given", "One row per beneficiary of the partner's own rules, with its part."),
]

PARTNERS = "select partner_id from published.settle.dim_partners order by partner_id"
PARTNER = "select * from published.settle.dim_partners where partner_id = $partner_id"
# A month for which a carrier's invoice has come is a settled one; the edges of the months beside it are not.
MONTHS = """
    select period_start_date, period_start_date in (
        select period_start_date from published.settle.fct_carrier_settlements
    ) as is_settled
    from published.settle.fct_partner_statements where partner_id = $partner_id
    group by period_start_date order by is_settled desc, period_start_date desc
"""
PACK_STATEMENTS = """
    create table pack.statements as
    select statements.* exclude (billing_period_id)
    from published.settle.fct_partner_statements as statements
    where partner_id = $partner_id and period_start_date = $month order by statement_id
"""
PACK_LINES = """
    create table pack.lines as
    select
        lines.* exclude (partner_id, billing_period_id, tax_ratio, seller_partner_id, rule_id), periods.agreement_id
    from published.settle.fct_partner_statement_lines as lines
    left join published.settle.dim_billing_periods as periods using (billing_period_id)
    where lines.partner_id = $partner_id and lines.period_start_date = $month
        and lines.charge_type not in ('tax', 'revenue_share')
    order by lines.statement_id, lines.plan_id nulls last, lines.line_key nulls first, lines.statement_line_id
"""
PACK_CHARGES = """
    create table pack.charges as
    select * exclude (partner_id, charge_posting_id)
    from published.settle.fct_partner_charges
    where partner_id = $partner_id and period_start_date = $month
    order by charge_line_id, posting_date, batch_number
"""
PACK_TAXES = """
    create table pack.taxes as
    select statements.statement_id, taxes.partner_agreement_id as agreement_id,
        cast(taxes.charge_amount as decimal(18, 6)) as taxable_amount, taxes.tax_ratio,
        cast(taxes.tax_amount as decimal(18, 6)) as tax_amount, taxes.charge_currency as tax_currency,
        taxes.line_rounding_decimals as rounding_decimals, taxes.rounding_mode
    from tollgate.attribute.int_taxes_charged as taxes
    join pack.statements as statements
        on statements.statement_currency = taxes.charge_currency
    where taxes.partner_id = $partner_id and taxes.period_start_date = $month
    order by all
"""
PACK_SHARES_RECEIVED = """
    create table pack.shares_received as
    select statements.statement_id, substring(md5(shares.allocation_id), 1, 16) as share_reference, shares.service,
        shares.allocation_type, shares.share_kind, shares.share_basis, shares.share_ratio, shares.unit_amount,
        shares.priced_per_quantity, shares.allocated_amount, shares.balance_amount, shares.share_currency,
        shares.origin_period_date, shares.period_start_date
    from published.settle.fct_revenue_share_allocations as shares
    left join pack.statements as statements
        on statements.statement_currency = shares.share_currency
            and statements.period_start_date = shares.period_start_date
    where shares.beneficiary_partner_id = $partner_id and shares.period_start_date = $month
    order by all
"""
PACK_SHARES_GIVEN = """
    create table pack.shares_given as
    select shares.rule_id, shares.service, shares.beneficiary_partner_id, partners.partner_name as beneficiary_name,
        shares.allocation_type, shares.share_kind, shares.share_basis, shares.share_ratio, shares.unit_amount,
        shares.priced_per_quantity, shares.gross_amount, shares.shared_amount, shares.allocated_amount,
        shares.balance_amount, shares.share_currency, shares.origin_period_date, shares.period_start_date
    from published.settle.fct_revenue_share_allocations as shares
    left join published.settle.dim_partners as partners on partners.partner_id = shares.beneficiary_partner_id
    where shares.seller_partner_id = $partner_id and shares.period_start_date = $month
    order by shares.share_currency, shares.service, shares.rule_id, shares.beneficiary_partner_id, shares.allocation_id
"""
# The books, and not the statement: payments, and what corrects months that were closed, are in it too.
PACK_ACCOUNT = """
    create table pack.account as
    with postings as (
        select currency, entry_type, description, origin_period_date, posting_period_date,
            debit_amount - credit_amount as amount
        from published.settle.fct_settlement_ledger
        where party_id = $partner_id and account in ('partner_receivable', 'partner_payable')
            and posting_period_date <= $month
    ),
    positions as (
        select currency as account_currency, 1 as position, 'Opening balance' as description,
            cast(null as date) as origin_period_date,
            coalesce(sum(amount) filter (posting_period_date < $month), 0) as amount
        from postings group by currency
        union all
        select currency, 2, description, origin_period_date, sum(amount)
        from postings where posting_period_date = $month
        group by currency, entry_type, description, origin_period_date having sum(amount) != 0
        union all
        select currency, 3, 'Closing balance', null, sum(amount) from postings group by currency
    )
    select account_currency, position, description, origin_period_date, cast(amount as decimal(18, 6)) as amount
    from positions
    order by account_currency, position, origin_period_date nulls first, description
"""
PACK_NETTING = """
    create table pack.netting as
    select lines.* exclude (netting_line_id, party_id, is_rate_missing, fx_date), currencies.minor_unit_decimals,
        netted.net_payable_amount, netted.net_receivable_amount
    from published.settle.fct_netting_lines as lines
    join published.settle.fct_netting_statements as netted using (netting_statement_id)
    join tollgate.reference.currencies as currencies on currencies.currency_code = lines.netting_currency
    where lines.party_id = $partner_id and lines.period_start_date = $month
    order by lines.netting_statement_id, lines.party_role, lines.document_id
"""
TOTALS = """
    select statement_id as id, receivable_amount - payable_amount as amount from pack.statements
    union all
    select distinct 'net of ' || netting_statement_id, net_receivable_amount - net_payable_amount from pack.netting
"""


def choose_month(connection: duckdb.DuckDBPyConnection, partner_id: str, month: date | None) -> date:
    """The month that is meant, by default the latest settled one. Raises NoPack where the partner has none."""
    partners = [row["partner_id"] for row in fetch_rows(connection, PARTNERS)]
    if partner_id not in partners:
        raise NoPack(f"{partner_id!r} is no partner; published are {', '.join(partners)}")
    months = [row["period_start_date"] for row in fetch_rows(connection, MONTHS, partner_id=partner_id)]
    if month is None and months:
        return months[0]
    if month not in months:
        there = ", ".join(f"{known:%Y-%m}" for known in sorted(months)) or "none"
        raise NoPack(f"{partner_id} has no statement{f' of {month:%Y-%m}' if month else ''}; there are {there}")
    return month


def gather(connection: duckdb.DuckDBPyConnection, partner_id: str, month: date, sender: str | None = None) -> Pack:
    """Everything that goes to this partner for this month."""
    values = {"partner_id": partner_id, "month": month}
    check_published(
        connection, "fct_partner_statements", "partner_id = $partner_id and period_start_date = $month", **values
    )
    for statement in (
        *(PACK_STATEMENTS, PACK_LINES, PACK_CHARGES, PACK_TAXES),
        *(PACK_SHARES_RECEIVED, PACK_SHARES_GIVEN, PACK_ACCOUNT, PACK_NETTING),
    ):
        connection.execute(statement, values)
    (partner,) = fetch_rows(connection, PARTNER, partner_id=partner_id)
    return Pack(
        kind="statement",
        subject=f"{partner_id}, {month:%Y-%m}",
        page="statement.html",
        template="statement.html.j2",
        tables=TABLES,
        totals=TOTALS,
        facts={
            "partner": partner,
            "month": month,
            "sender": sender or sender_name(connection),
            **{
                table.name: fetch_rows(connection, f"from pack.{table.name}")
                for table in TABLES
                if table.name != "charges"
            },
        },
    )
