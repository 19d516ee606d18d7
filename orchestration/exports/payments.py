"""Proposals of payments: what is due to whom, as a list and as ISO 20022 credit transfers (pain.001) for the bank.

Belongs here: what is due, and the files. Does not belong here: deciding to pay, booking it (payments are booked when
they land as `payments`), bank details (`bank_accounts.csv`).

Due is what `fct_open_items` has until a day: settlements and statements less what was paid. Each is a transfer of its
own, of a party that is carrier and partner each netting; what the party owes us is set off against the oldest of them.
What cannot be proposed, or not yet, is in the list with its reason.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
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
# What is set off: amounts owed by us stand end to end, oldest first, and so do those owed to us; where two of them
# overlap, they are set off.
DUE = """
    with items as (
        select items.*, items.payable_amount - items.receivable_amount as amount,
            case when items.document_type = 'on_account' then 'on account'
                else items.document_type || ' ' || items.document_id end as item_name,
            'netting ' || netted.netting_statement_id as netting_name,
            case when netted.is_rate_provisional then netted.fx_date end as provisional_date
        from published.settle.fct_open_items as items
        left join published.settle.fct_netting_lines as netted
            on netted.document_id = items.document_id
                and netted.party_role = case items.document_type when 'settlement' then 'carrier' else 'partner' end
        where items.due_date <= $until
    ),
    owed as (
        select party_id, paid_as, item_currency as currency, coalesce(netting_name, open_item_id) as owed_id,
            coalesce(netting_name, item_name) as owed_name, sum(amount) as amount, sum(cleared_amount) as paid_amount,
            list({'what': item_name, 'amount': amount} order by open_item_id) as parts, min(due_date) as due_date,
            min(open_item_id) as first_item_id, max(provisional_date) as provisional_date
        from items
        group by all
        having sum(amount) != 0
    ),
    queued as (
        select *, sum(abs(amount)) over (
                partition by party_id, paid_as, currency, amount > 0 order by due_date, first_item_id
                rows unbounded preceding
            ) as sum_with, sum_with - abs(amount) as sum_before,
            bool_or(amount < 0) over paid_as_one as is_set_off,
            max(provisional_date) over paid_as_one as latest_provisional_date
        from owed
        window paid_as_one as (partition by party_id, paid_as, currency)
    ),
    overlapping as (
        select payable.owed_id, receivable.owed_name, receivable.sum_before,
            least(payable.sum_with, receivable.sum_with) - greatest(payable.sum_before, receivable.sum_before) as amount
        from queued as payable
        join queued as receivable using (party_id, paid_as, currency)
        where payable.amount > 0 and receivable.amount < 0
            and payable.sum_before < receivable.sum_with and receivable.sum_before < payable.sum_with
    ),
    set_off as (
        select owed_id, sum(amount) as amount,
            list({'what': 'set off ' || owed_name, 'amount': -amount} order by sum_before) as parts
        from overlapping
        group by owed_id
    )
    select queued.party_id, parties.party_name, queued.paid_as, queued.currency, queued.owed_id, queued.paid_amount,
        queued.amount - coalesce(set_off.amount, 0) as due_amount, queued.due_date,
        queued.parts || coalesce(set_off.parts, []) as parts,
        -- What is set off hangs on every amount of the party.
        case when is_set_off then latest_provisional_date else provisional_date end as provisional_date
    from queued
    left join set_off using (owed_id)
    left join tollgate.stage.stg_terms__parties as parties
        on parties.party_id = queued.party_id and parties.refusal_reason is null
    where queued.amount > coalesce(set_off.amount, 0)
    order by queued.party_id, queued.currency, queued.paid_as, queued.sum_before
"""
PAID_AHEAD = """
    select party_id, paid_as, item_currency as currency, receivable_amount as amount
    from published.settle.fct_open_items
    where document_type = 'on_account' and receivable_amount > 0
    order by item_currency
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
    due = _whole(fetch_rows(connection, DUE, until=until), "due_amount", decimals)
    if not due:
        _remove_stale(folder, until, [])
        raise NoExport(f"nothing is due until {until}")
    ahead = _whole(fetch_rows(connection, PAID_AHEAD), "amount", decimals)
    for row in due:
        row["parts"] = "; ".join(f"{part['what']} {plain(part['amount'])}" for part in row["parts"])
        row["reason"] = _reason(row, ahead, accounts, decimals)
        # The same debt has the same id, whatever else is due with it, so that a bank refuses it the second time. What
        # was paid of it tells it from as much that is owed for the same month later.
        told = f"{row['owed_id']}|{plain(row['paid_amount'])}|{plain(row['due_amount'])}"
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
    _remove_stale(folder, until, [file, *transfers])
    return Proposals(file, transfers, proposed, [row for row in due if row["reason"]])


def _whole(rows: list[dict], name: str, decimals: dict[str, int]) -> list[dict]:
    """Amounts down to what can be paid: whole minor units. What has none is left out."""
    for row in rows:
        unit = Decimal(1).scaleb(-decimals.get(row["currency"], 2))
        row[name] = row[name].quantize(unit, ROUND_DOWN)
    return [row for row in rows if row[name]]


def _remove_stale(folder: Path, until: date, written: list[Path]) -> None:
    """An earlier export until the same day may have proposed what is no longer due."""
    for file in (folder / f"payments-{until}.csv", *folder.glob(f"payments-{until}-*.xml")):
        if file not in written:
            file.unlink(missing_ok=True)


def _reason(
    row: dict, ahead: list[dict], accounts: dict[tuple[str, str], dict], decimals: dict[str, int]
) -> str | None:
    if row["provisional_date"]:
        return f"it is netted at the exchange rate of {row['provisional_date']}, which has not come yet"
    for paid in ahead:
        as_one = (paid["party_id"], paid["paid_as"]) == (row["party_id"], row["paid_as"])
        if as_one and paid["currency"] != row["currency"]:
            return f"more was paid to it in {paid['currency']} than is open there: see fct_open_items, pay it by hand"
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
                "amount": int(row["due_amount"] * 100),  # whole cents
                "execution_date": execution,
                "description": f"{row['party_id']} {row['parts']}",
                "endtoend_id": row["end_to_end_id"],
            }
            | ({"BIC": theirs["bic"]} if theirs["bic"] else {})
        )
    return message.export(validate=True)
