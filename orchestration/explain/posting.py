"""Why is it booked? An entry of the ledger, down to the invoice lines, disputes, credit notes, charges, shares and
payments that it is the sum of.

Belongs here: what each kind of entry rests on. Does not belong here: why one of those is what it is (`line.py`,
`event.py`); the explanation names the next command.
"""

from decimal import Decimal

import duckdb

from orchestration.explain.explanation import Explanation, Row
from orchestration.figures import instant, plain
from orchestration.sql import fetch_rows

ROWS_SHOWN = 12
MEANT = """
    select distinct entry_id from tollgate.settle.fct_settlement_ledger
    where entry_id = $meant or posting_id = $meant order by entry_id
"""
ENTRY = """
    select ledger.*, booked.posting_id is not null as is_booked, booked.seal_number
    from tollgate.settle.fct_settlement_ledger as ledger
    left join tollgate.ledger.postings as booked using (posting_id)
    where ledger.entry_id = $entry_id order by ledger.credit_amount > 0
"""
# An amount is signed by the account that its kind of entry debits.
HISTORY = """
    select ledger.entry_id, ledger.batch_number, ledger.debit_amount - ledger.credit_amount as amount,
        ledger.posting_period_date, ledger.known_at
    from tollgate.settle.fct_settlement_ledger as ledger
    join tollgate.reference.ledger_entry_types as types
        on types.entry_type = ledger.entry_type and types.debit_account = ledger.account
    where ledger.entry_type = $entry_type and ledger.party_id = $party_id and ledger.currency = $currency
        and ledger.origin_period_date = $month
    order by ledger.batch_number
"""
INVOICE_LINES = """
    select 'invoice line ' || invoice_line_id as what, invoiced_amount as amount,
        'tollgate explain ''' || invoice_line_id || '''' as next
    from tollgate.reconcile.int_invoice_lines_matched
    where carrier_id = $party_id and invoice_currency = $currency and period_start_date = $month
        and invoiced_amount != 0 and {which}
"""
CLAIMS = """
    select 'dispute ' || dispute_id || ', ' || dispute_status || ': claimed' as what, {sign}claimed_amount as amount,
        'tollgate dispute-pack ''' || dispute_id || '''' as next
    from tollgate.reconcile.int_disputes_followed
    where carrier_id = $party_id and dispute_currency = $currency and period_start_date = $month
        and claimed_amount != 0 and {which}
"""
CREDITS = """
    select 'credit note ' || credits.credit_note_number || ' of ' || credits.issue_date
            || coalesce(' for dispute ' || credits.dispute_id, ' for invoice ' || credits.invoice_id) as what,
        credits.part_amount as amount, null as next
    from tollgate.reconcile.int_credits_matched as credits
    join tollgate.reconcile.int_invoices_footed as invoices using (invoice_id)
    left join tollgate.reconcile.int_disputes_followed as disputes using (dispute_id)
    where credits.carrier_id = $party_id and credits.credit_currency = $currency and credits.refusal_reason is null
        and coalesce(disputes.period_start_date, invoices.period_start_date) = $month and {which}
"""
SOURCES = (
    {
        "carrier_cost": INVOICE_LINES.format(which="line_type != 'tax'")
        + " union all "
        + CLAIMS.format(sign="-", which="cause != 'TAX'"),
        "carrier_tax": INVOICE_LINES.format(which="line_type = 'tax'")
        + " union all "
        + CLAIMS.format(sign="-", which="cause = 'TAX'"),
        "carrier_dispute": CLAIMS.format(sign="", which="true"),
        "carrier_credit": CREDITS.format(which="credits.dispute_id is not null"),
        "carrier_credit_cost": CREDITS.format(which="credits.dispute_id is null"),
        "carrier_accrual": """
        select 'not invoiced yet: ' || accrual_id as what, accrued_amount as amount, null as next
        from tollgate.reconcile.int_accruals_estimated
        where carrier_id = $party_id and accrual_currency = $currency and period_start_date = $month
            and accrued_amount != 0
    """,
        "partner_charge": """
        select 'statement line ' || statement_line_id as what, charge_amount as amount,
            'tollgate statement --partner ' || partner_id as next
        from tollgate.settle.fct_partner_statement_lines
        where partner_id = $party_id and charge_currency = $currency and period_start_date = $month
            and charge_amount != 0 and charge_type not in ('tax', 'revenue_share')
    """,
        "partner_tax": """
        select 'tax on the statement' as what, tax_amount as amount,
            'tollgate statement --partner ' || partner_id as next
        from tollgate.settle.fct_partner_statements
        where partner_id = $party_id and statement_currency = $currency and period_start_date = $month
            and tax_amount != 0
    """,
        "revenue_share": """
        select 'share ' || allocation_id as what, allocated_amount as amount,
            'tollgate statement --partner ' || beneficiary_partner_id as next
        from tollgate.settle.fct_revenue_share_allocations
        where beneficiary_partner_id = $party_id and share_currency = $currency and period_start_date = $month
            and allocated_amount != 0
    """,
    }
    | {
        entry_type: f"""
        select 'netted ' || document_id || case when document_currency = $currency then ' into ' || netting_currency
                else ' from ' || document_currency || ' at ' || netting_units_per_base || ' / '
                    || document_units_per_base || ' of ' || rate_date end as what,
            case when document_currency = $currency then {amount} else -({netted}) end as amount, null as next
        from tollgate.reconcile.int_nettings_converted
        where party_id = $party_id and $currency in (document_currency, netting_currency) and is_converted
            and period_start_date = $month and party_role = '{role}'
    """
        for entry_type, role, amount, netted in (
            (
                "carrier_exchange",
                "carrier",
                "payable_amount - receivable_amount",
                "netted_payable_amount - netted_receivable_amount",
            ),
            ("partner_exchange", "partner", "receivable_amount", "netted_receivable_amount"),
            ("share_exchange", "partner", "payable_amount", "netted_payable_amount"),
        )
    }
    | {
        entry_type: f"""
        select direction || ' ' || payment_reference || ' on ' || value_date as what,
            case when direction = '{direction}' then paid_amount else -paid_amount end as amount, null as next
        from tollgate.stage.int_payments_collected
        where party_id = $party_id and payment_currency = $currency and refusal_reason is null
            and settles = '{settles}' and date_trunc('month', value_date) = $month
    """
        for entry_type, settles, direction in (
            ("carrier_payment", "carrier", "paid"),
            ("partner_receipt", "partner", "received"),
            ("partner_payout", "share", "paid"),
        )
    }
)
"""What an entry of each kind is the sum of: a row per part, with the command that explains the part."""


def find_entries(connection: duckdb.DuckDBPyConnection, meant: str) -> list[str]:
    """The entries that may be meant, by their own id or by that of a posting."""
    try:
        return [row["entry_id"] for row in fetch_rows(connection, MEANT, meant=meant)]
    except duckdb.CatalogException:  # nothing was settled here yet
        return []


def explain_entry(connection: duckdb.DuckDBPyConnection, entry_id: str) -> Explanation:
    """What the entry moves, the entries before and after it, and what all of them together are the sum of. The
    warehouse is attached as `tollgate`."""
    told = Explanation("ledger entry", entry_id)
    debit, credit = fetch_rows(connection, ENTRY, entry_id=entry_id)
    scope = {
        "entry_type": debit["entry_type"],
        "party_id": debit["party_id"],
        "currency": debit["currency"],
        "month": debit["origin_period_date"],
    }
    _tell_entry(told, debit, credit)
    history = fetch_rows(connection, HISTORY, **scope)
    _tell_history(told, entry_id, history, debit["currency"])
    parts = fetch_rows(
        connection,
        f"select * from ({SOURCES[scope.pop('entry_type')]}) order by abs(amount) desc, what",
        **scope,
    )
    _tell_parts(told, parts, sum((row["amount"] for row in history), Decimal(0)), debit["currency"])
    return told


def _tell_entry(told: Explanation, debit: Row, credit: Row) -> None:
    amount = f"{plain(debit['debit_amount'])} {debit['currency']}"
    sentences = [
        f"{debit['description']}, {debit['party_id']}: {amount} from {credit['account']} (credit) to "
        f"{debit['account']} (debit).",
        f"It is about {debit['origin_period_date']:%Y-%m} and posted into {debit['posting_period_date']:%Y-%m}"
        + (
            ", the first month that was still open."
            if debit["posting_period_date"] > debit["origin_period_date"]
            else "."
        ),
        f"It was known on {instant(debit['known_at'])} UTC; "
        + (f"it is booked under seal {debit['seal_number']}." if debit["is_booked"] else "it is proposed, not booked."),
    ]
    told.add("entry", sentences, debit=debit, credit=credit)


def _tell_history(told: Explanation, entry_id: str, history: list[Row], currency: str) -> None:
    total = Decimal(0)
    sentences = []
    for row in history:
        total += row["amount"]
        this = " (this entry)" if row["entry_id"] == entry_id else ""
        sentences.append(
            f"{row['batch_number']}. {instant(row['known_at'])}, posted into {row['posting_period_date']:%Y-%m}: "
            f"{_signed(row['amount'])} {currency}, together {plain(total)} {currency}{this}"
        )
    told.add("booked of the same", sentences, entries=history, booked_amount=total)


def _tell_parts(told: Explanation, parts: list[Row], booked: Decimal, currency: str) -> None:
    right = sum((row["amount"] for row in parts), Decimal(0))
    sentences = [
        f"{row['what']}: {plain(row['amount'])} {currency}" + (f"; {row['next']}" if row["next"] else "")
        for row in parts[:ROWS_SHOWN]
    ]
    if len(parts) > ROWS_SHOWN:
        rest = sum((row["amount"] for row in parts[ROWS_SHOWN:]), Decimal(0))
        sentences.append(f"and {len(parts) - ROWS_SHOWN:,} more: {plain(rest)} {currency}; --json has all of them")
    if not parts:
        sentences.append("nothing any more: what was booked was taken back")
    sentences.append(f"together {plain(right)} {currency}")
    if right != booked:
        told.defects.append(
            f"the entries come to {plain(booked)} {currency}; what they rest on to {plain(right)} {currency}"
        )
    told.add("is the sum of", sentences, parts=parts, right_amount=right)


def _signed(amount: Decimal) -> str:
    return f"+{plain(amount)}" if amount > 0 else plain(amount)
