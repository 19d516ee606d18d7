"""Proposals of payments: what is due to whom, as a list and as ISO 20022 credit transfers (pain.001) for the bank.

Belongs here: what is due, and the files. Does not belong here: deciding to pay, booking it (payments are booked when
they land as `payments`), bank details (`bank_accounts.csv`).

Due is what `fct_open_items` has until a day: settlements and statements less what was paid, and a party that is carrier
and partner netted. What cannot be proposed, or not yet, is in the list with its reason.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import duckdb
from sepaxml import SepaTransfer

from orchestration.exports import US, NoExport, write_csv
from orchestration.figures import plain
from orchestration.packs import Contradiction, check_published, minor_units
from orchestration.sql import fetch_rows

COLUMNS = ["party_id", "party_name", "currency", "due_amount", "due_date", "parts", "end_to_end_id", "reason"]
SCHEMA = "pain.001.001.09"
DUE = """
    select items.party_id, parties.party_name, items.item_currency as currency,
        sum(items.payable_amount - items.receivable_amount) as due_amount,
        min(items.due_date) filter (items.payable_amount > 0) as due_date,
        list(
            {
                'what': case when items.document_type = 'on_account' then 'on account'
                    else items.document_type || ' ' || items.document_id end,
                'amount': items.payable_amount - items.receivable_amount
            } order by items.open_item_id
        ) as parts,
        max(netted.fx_date) filter (netted.is_rate_provisional) as provisional_date,
        any_value(ahead.item_currency) as ahead_currency
    from published.settle.fct_open_items as items
    left join published.settle.fct_netting_lines as netted
        on netted.document_id = items.document_id
            and netted.party_role = case items.document_type when 'settlement' then 'carrier' else 'partner' end
    left join (
        select party_id, min(item_currency) as item_currency
        from published.settle.fct_open_items
        where paid_as = 'net' and document_type = 'on_account' and receivable_amount > 0
        group by party_id
    ) as ahead on ahead.party_id = items.party_id and ahead.item_currency != items.item_currency
    left join tollgate.stage.stg_terms__parties as parties
        on parties.party_id = items.party_id and parties.refusal_reason is null
    where items.due_date <= $until
    group by items.party_id, parties.party_name, items.paid_as, items.item_currency
    having sum(items.payable_amount - items.receivable_amount) > 0
    order by items.party_id, currency
"""
# Where the gate holds a publication back, payments may have landed that the published items do not know.
UNPUBLISHED_PAYMENTS = """
    select min(payment_reference) as payment_reference
    from tollgate.stage.int_payments_collected
    where refusal_reason is null and file_id not in (select file_id from published.settle.fct_landed_files)
"""
ACCOUNTS = """
    select party_id, currency, account_holder, iban, bic from tollgate.stage.stg_terms__bank_accounts
    where refusal_reason is null
"""


@dataclass(frozen=True)
class Proposals:
    """What was written: the list, a file of transfers for each currency, and how much of what is proposed and not."""

    file: Path
    transfers: list[Path]
    proposed: dict[str, Decimal]
    left_out: list[dict]


def write(connection: duckdb.DuckDBPyConnection, folder: Path, until: date, execution: date) -> Proposals:
    """All that is due until a day, to be executed on another. Raises NoExport where nothing is due, and where what is
    open is no more what was published: what was paid since would be proposed again."""
    try:
        check_published(connection, "fct_open_items", "true")
    except Contradiction as error:
        raise NoExport(str(error)) from error
    (unpublished,) = fetch_rows(connection, UNPUBLISHED_PAYMENTS)
    if unpublished["payment_reference"]:
        raise NoExport(
            f"payments landed since the publication, such as {unpublished['payment_reference']}: what they paid would "
            "be proposed again; `tollgate run` publishes them, or says what holds the publication back"
        )
    decimals = minor_units(connection)
    accounts = {(row["party_id"], row["currency"]): row for row in fetch_rows(connection, ACCOUNTS)}
    due = fetch_rows(connection, DUE, until=until)
    if not due:
        raise NoExport(f"nothing is due until {until}")
    for row in due:
        row["parts"] = "; ".join(f"{part['what']} {plain(part['amount'])}" for part in row["parts"])
        row["reason"] = _reason(row, accounts, decimals)
        # The same debt has the same id, so that a bank refuses it the second time.
        told = f"{row['party_id']}|{row['currency']}|{row['parts']}"
        row["end_to_end_id"] = None if row["reason"] else f"TG{sha256(told.encode()).hexdigest()[:30].upper()}"
    file = folder / f"payments-{until}.csv"
    write_csv(file, COLUMNS, due, decimals)
    transfers, proposed = [], {}
    for currency in sorted({row["currency"] for row in due if not row["reason"]}):
        rows = [row for row in due if row["currency"] == currency and not row["reason"]]
        proposed[currency] = sum((row["due_amount"] for row in rows), Decimal(0))
        target = folder / f"payments-{until}-{currency}.xml"
        target.write_bytes(_transfers(rows, currency, accounts, execution))
        transfers.append(target)
    return Proposals(file, transfers, proposed, [row for row in due if row["reason"]])


def _reason(row: dict, accounts: dict[tuple[str, str], dict], decimals: dict[str, int]) -> str | None:
    if row["provisional_date"]:
        return f"it is netted at the exchange rate of {row['provisional_date']}, which has not come yet"
    if row["ahead_currency"]:
        return f"more was paid to it in {row['ahead_currency']} than is open there: see fct_open_items, pay it by hand"
    if decimals.get(row["currency"]) != 2:
        return "transfers are written in currencies with two decimals only; pay it by hand"
    for party in (row["party_id"], US):
        account = accounts.get((party, row["currency"]))
        if account is None:
            return f"bank_accounts.csv has no {row['currency']} account of {party}"
        if not _is_iban(account["iban"]):
            return f"the IBAN of {party} is wrong: its check digits do not fit"
    return None


def _is_iban(text: str) -> bool:
    """ISO 13616: letters as numbers, the first four places last, and one is left of a division by 97."""
    turned = text[4:] + text[:4]
    return bool(re.fullmatch(r"[A-Z0-9]+", turned)) and int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _transfers(rows: list[dict], currency: str, accounts: dict[tuple[str, str], dict], execution: date) -> bytes:
    """A message of credit transfers, valid against its schema."""
    ours = accounts[US, currency]
    message = SepaTransfer(
        {"name": ours["account_holder"], "IBAN": ours["iban"], "batch": True, "currency": currency}
        | ({"BIC": ours["bic"]} if ours["bic"] else {})
        | ({} if currency == "EUR" else {"domestic": True}),
        schema=SCHEMA,
    )
    for row in rows:
        theirs = accounts[row["party_id"], currency]
        message.add_payment(
            {
                "name": theirs["account_holder"],
                "IBAN": theirs["iban"],
                "amount": int(row["due_amount"] * 100),
                "execution_date": execution,
                "description": f"{row['party_id']} {row['parts']}",
                "endtoend_id": row["end_to_end_id"],
            }
            | ({"BIC": theirs["bic"]} if theirs["bic"] else {})
        )
    return message.export(validate=True)
