"""Invoices of closed months as UBL 2.1: of charges to partners, and self-billed ones of what partners are owed.

Belongs here: which documents there are, their lines and totals. Does not belong here: what is booked
(`orchestration/ledger`), the order of a document's elements (`templates/invoice.xml.j2`), sending it.

What is booked of a party, a month of origin and a currency in one month of posting is one document. The first is an
invoice, later ones correct it: downwards a credit note, upwards another invoice. Nothing is booked into a closed month
any more, so a document is the same whenever it is written, and so is its number.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from orchestration import pages
from orchestration.exports import US, NoExport, write_csv
from orchestration.figures import plain, unit
from orchestration.packs import minor_units
from orchestration.sql import fetch_rows

Row = dict[str, Any]

STANDARD, OUTSIDE_SCOPE, REVERSE_CHARGE, ZERO_RATED = "S", "O", "AE", "Z"
"""Tax categories (UNCL 5305) that have rules of their own; of the others that are charged at nothing all are alike."""
NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""A character that XML 1.0 cannot hold."""
COLUMNS = [
    "document_number", "document_type", "party_id", "currency", "net_amount", "tax_amount",
    "total_amount", "origin_period", "posting_period", "issue_date", "due_date", "corrects_document", "file", "reason",
]  # fmt: skip
BOOKED = """
    create or replace temp table booked as
    with amounts as (
        select party_id, entry_type = 'revenue_share' as is_self_billed, currency, origin_period_date,
            posting_period_date, entry_type = 'partner_tax' as is_tax,
            case account
                when 'partner_receivable' then debit_amount - credit_amount
                when 'partner_payable' then credit_amount - debit_amount
            end as amount
        from tollgate.ledger.postings
        where entry_type in ('partner_charge', 'partner_tax', 'revenue_share')
            and account in ('partner_receivable', 'partner_payable')
    )
    select party_id, is_self_billed, currency, origin_period_date, posting_period_date,
        coalesce(sum(amount) filter (not is_tax), 0) as net_amount,
        coalesce(sum(amount) filter (is_tax), 0) as tax_amount,
        row_number() over (
            partition by party_id, is_self_billed, currency, origin_period_date order by posting_period_date
        ) as document_order
    from amounts
    group by party_id, is_self_billed, currency, origin_period_date, posting_period_date
    having coalesce(sum(amount) filter (not is_tax), 0) != 0 or coalesce(sum(amount) filter (is_tax), 0) != 0
"""
CLOSED = "select 1 from tollgate.ledger.closings where period_state = 'closed' and period_date = ?"
DOCUMENTS = """
    with closed as (
        select period_date, cast(closed_at as date) as closed_date
        from tollgate.ledger.closings where period_state = 'closed'
    ),
    agreed as (
        select months.party_id, months.origin_period_date,
            max_by(agreements.payment_days, agreements.valid_from_date) as payment_days,
            list(distinct agreements.tax_ratio) as tax_ratios, count(*) as agreement_count
        from (select distinct party_id, origin_period_date from booked) as months
        join tollgate.stage.stg_terms__agreements as agreements
            on agreements.party_id = months.party_id
                and agreements.valid_from_date < months.origin_period_date + interval 1 month
                and agreements.valid_until_date > months.origin_period_date
        where agreements.party_role = 'partner' and agreements.refusal_reason is null
        group by months.party_id, months.origin_period_date
    )
    select booked.*, closed.closed_date as issue_date, closed_first.closed_date as first_issue_date,
        greatest(closed.closed_date, cast(
            booked.posting_period_date + interval 1 month + to_days(coalesce(agreed.payment_days, 30)) as date
        )) as due_date,
        cast(booked.origin_period_date + interval 1 month - interval 1 day as date) as origin_end_date,
        coalesce(agreed.tax_ratios, []) as tax_ratios, coalesce(agreed.agreement_count, 1) as agreement_count,
        other_side.party_id is not null as is_set_off
    from booked
    join closed on closed.period_date = booked.posting_period_date
    join booked as booked_first
        on booked_first.party_id = booked.party_id and booked_first.is_self_billed = booked.is_self_billed
            and booked_first.currency = booked.currency
            and booked_first.origin_period_date = booked.origin_period_date and booked_first.document_order = 1
    join closed as closed_first on closed_first.period_date = booked_first.posting_period_date
    left join agreed
        on agreed.party_id = booked.party_id and agreed.origin_period_date = booked.origin_period_date
    left join booked as other_side
        on other_side.party_id = booked.party_id and other_side.is_self_billed != booked.is_self_billed
            and other_side.currency = booked.currency and other_side.document_order = 1
            and other_side.origin_period_date = booked.origin_period_date
            and other_side.posting_period_date <= booked.posting_period_date
    where booked.posting_period_date = $month and ($party is null or booked.party_id = $party)
    order by booked.party_id, booked.is_self_billed, booked.currency, booked.origin_period_date
"""
# A charge is posted where its run posted what it comes to: into its own month or, where that was closed by then, into
# the first one that was open.
CHARGES = """
    with charges as (
        select *, greatest(period_start_date, (
            select cast(max(closings.period_date) + interval 1 month as date)
            from tollgate.ledger.closings as closings
            where closings.seal_number < charges.seal_number and (
                closings.period_state = 'closed' or cast(charges.known_at as date) > closings.grace_until_date
            )
        )) as posting_period_date
        from tollgate.ledger.charges as charges
    )
    select charges.partner_id as party_id, charges.charge_currency as currency,
        charges.period_start_date as origin_period_date, charges.charge_line_id, charges.plan_id,
        plans.service, plans.direction, plans.quantity_unit, agreements.tax_ratio,
        sum(charges.difference_quantity) as quantity, sum(charges.difference_amount) as amount
    from charges
    left join tollgate.stage.stg_terms__plans as plans using (plan_id)
    left join tollgate.stage.stg_terms__agreements as agreements
        on agreements.agreement_id = charges.partner_agreement_id and agreements.refusal_reason is null
    where charges.posting_period_date = $month and ($party is null or charges.partner_id = $party)
    group by all
    having sum(charges.difference_amount) != 0
    order by charges.charge_line_id
"""
PARTIES = """
    select * exclude (refusal_reason) from tollgate.stage.stg_terms__invoice_parties where refusal_reason is null
"""


@dataclass(frozen=True)
class Invoices:
    """What was written: the list, the documents, what they come to by currency, and what could not be written.

    Amounts are of the list: credit notes take away, and what partners are owed stands apart from what they owe.
    """

    file: Path
    documents: list[Path]
    charged: dict[str, Decimal]
    self_billed: dict[str, Decimal]
    left_out: list[Row]


def write(connection: duckdb.DuckDBPyConnection, folder: Path, month: date, party: str | None = None) -> Invoices:
    """The documents of what is booked in a month (its first day), of all parties or of one.

    Raises NoExport where the month is not closed, or nothing of the kind is booked in it.
    """
    if not connection.execute(CLOSED, [month]).fetchone():
        raise NoExport(
            f"{month:%Y-%m} is not closed, and what is booked in it may still change: an invoice is never written "
            f"twice with other amounts. Close it first: `tollgate close-period {month:%Y-%m}`"
        )
    decimals = minor_units(connection)
    connection.execute(BOOKED)
    documents = fetch_rows(connection, DOCUMENTS, month=month, party=party)
    if not documents:
        raise NoExport(f"neither charges nor shares {f'of {party} ' if party else ''}are booked in {month:%Y-%m}")
    charges: dict[tuple, list[Row]] = {}
    for row in fetch_rows(connection, CHARGES, month=month, party=party):
        charges.setdefault((row["party_id"], row["currency"], row["origin_period_date"]), []).append(row)
    parties = fetch_rows(connection, PARTIES)
    template = pages.environment().get_template("invoice.xml.j2")
    name = f"invoices-{month:%Y-%m}" + (f"-{quote(party, safe='')}" if party else "")
    for document in documents:
        key = (document["party_id"], document["currency"], document["origin_period_date"])
        _complete(document, [] if document["is_self_billed"] else charges.get(key, []), parties, decimals)
        document["file"] = None
        if document["reason"] is None:
            document["file"] = f"invoices-{month:%Y-%m}/{quote(document['document_number'], safe='')}.xml"
            text = template.render(document=document, money=_money(document)) + "\n"
            document["reason"] = _write_file(folder / document["file"], text)
    file = folder / f"{name}.csv"
    write_csv(file, COLUMNS, documents, decimals)
    written = [document for document in documents if document["reason"] is None]
    return Invoices(
        file,
        [folder / document["file"] for document in written],
        _totals(document for document in written if not document["is_self_billed"]),
        _totals(document for document in written if document["is_self_billed"]),
        [{name: document[name] for name in COLUMNS} for document in documents if document["reason"] is not None],
    )


def _complete(document: Row, charges: list[Row], parties: list[Row], decimals: dict[str, int]) -> None:
    """Number, kind, sides, lines and tax of a document, or the reason why it cannot be written."""
    document["total_amount"] = document["net_amount"] + document["tax_amount"]
    document["is_credit_note"] = document["total_amount"] < 0
    document["document_type"] = ("self_billed_" if document["is_self_billed"] else "") + (
        "credit_note" if document["is_credit_note"] else "invoice"
    )
    document["document_number"] = _number(document, document["document_order"])
    document["corrects_document"] = _number(document, 1) if document["document_order"] > 1 else None
    document["origin_period"] = f"{document['origin_period_date']:%Y-%m}"
    document["posting_period"] = f"{document['posting_period_date']:%Y-%m}"
    document["statement_id"] = f"{document['party_id']}:{document['origin_period']}:{document['currency']}"
    document["unit"] = Decimal(1).scaleb(-decimals[document["currency"]])
    us, them = (_standing(parties, party_id, document["issue_date"]) for party_id in (US, document["party_id"]))
    document["supplier"], document["customer"] = (them, us) if document["is_self_billed"] else (us, them)
    document["them"] = them
    document["reason"] = _missing(document, us, them)
    if document["reason"] is None:
        document["lines"] = _lines(document, charges)
        document["reason"] = _unwritable(document) or _untaxable(document)
    if document["reason"] is None:
        document["taxes"] = _taxes(document)
        document["reason"] = _contradicted(document)


def _number(document: Row, order: int) -> str:
    kind = "SB" if document["is_self_billed"] else "IN"
    return f"{kind}-{document['party_id']}-{document['origin_period_date']:%Y-%m}-{document['currency']}-{order}"


def _standing(parties: list[Row], party_id: str, day: date) -> Row | None:
    """How a party stands on what is issued on a day."""
    for row in parties:
        if row["party_id"] == party_id and row["valid_from_date"] <= day < row["valid_until_date"]:
            return row
    return None


def _missing(document: Row, us: Row | None, them: Row | None) -> str | None:
    """What the terms lack, or the books have too much of, for any document of these two."""
    for party_id, row in ((US, us), (document["party_id"], them)):
        if row is None:
            return f"invoice_parties.csv has no row of {party_id} for {document['issue_date']}"
        if row["endpoint_id"] is None:
            return f"invoice_parties.csv has no endpoint_id of {party_id}"
        for name, value in row.items():
            if isinstance(value, str) and NO_XML.search(value):
                return f"invoice_parties.csv has a character that no document can hold: {name} of {party_id}"
    if document["is_self_billed"] and them["self_billing_agreement"] is None:
        return (
            f"{document['party_id']} has not agreed that it is billed in its name: invoice_parties.csv has no "
            "self_billing_agreement of it"
        )
    if any(document[amount] % document["unit"] for amount in ("net_amount", "tax_amount")):
        return (
            f"{plain(document['net_amount'])} and tax of {plain(document['tax_amount'])} are booked, finer than "
            f"{document['currency']} is paid in: total_rounding_decimals of an agreement rounds its charges"
        )
    return None


def _lines(document: Row, charges: list[Row]) -> list[Row]:
    """The booked charges, where they add up to what is booked on the account, else a line for all of it.

    Amounts are of the currency's minor unit; what finer ones leave is laid on the largest remainders.
    """
    corrected = f"Correction of {document['corrects_document']}: " if document["corrects_document"] else ""
    if document["is_self_billed"]:
        return [_line(f"{corrected}Revenue shares of {document['origin_period']}", document["net_amount"], Decimal(0))]
    ratios = {row["tax_ratio"] for row in charges}
    if None in ratios or sum((row["amount"] for row in charges), Decimal(0)) != document["net_amount"] or not charges:
        (ratio,) = document["tax_ratios"] if len(document["tax_ratios"]) == 1 else (None,)
        return [_line(f"{corrected}Charges of {document['origin_period']}", document["net_amount"], ratio)]
    amounts = _allocated(document["net_amount"], [row["amount"] for row in charges], document["unit"])
    return [
        _line(corrected + _name(row), amount, row["tax_ratio"])
        for row, amount in zip(charges, amounts, strict=True)
        if amount
    ]


def _line(name: str, amount: Decimal, tax_ratio: Decimal | None) -> Row:
    return {"name": name, "amount": amount, "tax_ratio": tax_ratio}


def _name(charge: Row) -> str:
    """What a booked charge is for, in the words of its plan."""
    if charge["plan_id"] is None:
        return "Rounding"
    _, _, line_key = charge["charge_line_id"].partition(f":{charge['plan_id']}:")
    what = " ".join(word for word in (charge["service"], charge["direction"]) if word and word != "*")
    parts = [part for part in (what, f"plan {charge['plan_id']}", line_key) if part]
    quantity = charge["quantity"]
    if charge["quantity_unit"] and quantity:
        parts.append(f"{plain(quantity)} {unit(charge['quantity_unit'], quantity)}")
    return ", ".join(parts)


def _allocated(whole: Decimal, parts: list[Decimal], smallest: Decimal) -> list[Decimal]:
    """Parts that add up to the whole, each a multiple of the smallest unit: rounded down, and what that leaves goes one
    by one to the largest remainders, of equal ones to the first."""
    units = [part // smallest - (1 if part % smallest < 0 else 0) for part in parts]
    left = int(whole / smallest - sum(units))
    by_remainder = sorted(range(len(parts)), key=lambda number: (units[number] * smallest - parts[number], number))
    for number in by_remainder[:left]:
        units[number] += 1
    return [number * smallest for number in units]


def _unwritable(document: Row) -> str | None:
    """Which line has a name that no document can hold."""
    for line in document["lines"]:
        if NO_XML.search(line["name"]):
            return f"a plan or an account has a character that no document can hold: {line['name']!r}"
    return None


def _untaxable(document: Row) -> str | None:
    """Why nobody can say at which ratio a line is taxed, or why one is not taxed."""
    them = document["them"]
    for line in document["lines"]:
        if line["tax_ratio"] is None:
            return (
                f"the agreements of {document['party_id']} in {document['origin_period']} have "
                f"{len(document['tax_ratios'])} tax ratios, and the books do not say which part is taxed at which"
            )
        if line["tax_ratio"] == 0 and them["untaxed_category"] is None:
            return f"there is no tax, and invoice_parties.csv has no untaxed_category of {document['party_id']}"
        line["category"] = STANDARD if line["tax_ratio"] else them["untaxed_category"]
        line["percent"] = _percent(line["category"], line["tax_ratio"])
    return None


def _percent(category: str, ratio: Decimal) -> str | None:
    """What is outside the scope of tax has no rate, not even zero."""
    return None if category == OUTSIDE_SCOPE else plain(ratio * 100)


def _taxes(document: Row) -> list[Row]:
    """What each ratio taxes; the tax that is booked is laid on them by what they tax."""
    groups: dict[tuple[str, Decimal], Decimal] = {}
    for line in document["lines"]:
        key = (line["category"], line["tax_ratio"])
        groups[key] = groups.get(key, Decimal(0)) + line["amount"]
    exact = [taxable * ratio for (_, ratio), taxable in groups.items()]
    rounding = document["tax_amount"] - sum(exact, Decimal(0))
    taxing = [number for number, (_, ratio) in enumerate(groups) if ratio]
    # The tax was rounded once for each agreement, and a correction is the difference of two such amounts.
    if taxing and abs(rounding) <= document["unit"] * document["agreement_count"]:
        exact[taxing[0]] += rounding
    taxes = _allocated(sum(exact, Decimal(0)).quantize(document["unit"]), exact, document["unit"])
    return [
        {
            "category": category,
            "percent": _percent(category, ratio),
            "taxable_amount": taxable,
            "tax_amount": tax,
            "reason": None if category in (STANDARD, ZERO_RATED) else document["them"]["untaxed_reason"],
        }
        for ((category, ratio), taxable), tax in zip(groups.items(), taxes, strict=True)
    ]


def _contradicted(document: Row) -> str | None:
    """Which rule of EN 16931 about tax the document would break."""
    supplier, customer = document["supplier"], document["customer"]
    categories = {tax["category"] for tax in document["taxes"]}
    if sum((tax["tax_amount"] for tax in document["taxes"]), Decimal(0)) != document["tax_amount"]:
        return (
            f"tax of {plain(document['tax_amount'])} is booked on {plain(document['net_amount'])}, which is not at the "
            "ratio of the agreement: write it by hand"
        )
    if OUTSIDE_SCOPE in categories and len(categories) > 1:
        return "what is outside the scope of tax (O) stands on no document with what is taxed: write them by hand"
    needed = "registration_id" if OUTSIDE_SCOPE in categories else "tax_id"
    if supplier[needed] is None:
        return f"invoice_parties.csv has no {needed} of {supplier['party_id']}, which supplies"
    if REVERSE_CHARGE in categories and not (customer["tax_id"] or customer["registration_id"]):
        return f"invoice_parties.csv has no tax_id of {customer['party_id']}, which owes the tax"
    return None


def _money(document: Row) -> Any:
    """Writes an amount of a document: above zero where it goes the document's way, with its currency's decimals."""

    def money(amount: Decimal) -> str:
        turned = -amount if document["is_credit_note"] else amount
        return f"{turned.quantize(document['unit']) + 0:f}"

    return money


def _totals(documents: Iterable[Row]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for document in documents:
        currency = document["currency"]
        totals[currency] = totals.get(currency, Decimal(0)) + document["total_amount"]
    return totals


def _write_file(file: Path, text: str) -> str | None:
    """Writes a document, or says why not: what was issued is never written over with something else."""
    if file.exists():
        if file.read_text(encoding="utf-8") == text:
            return None
        return f"{file} holds it with other words, which may have been sent: terms or plans were changed since"
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
    return None
