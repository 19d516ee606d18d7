"""The books' tables: their columns, and the laws that what is booked must keep.

Belongs here: what a row of the schema `ledger` holds. Does not belong here: creating, booking, exporting them
(`orchestration/ledger`), the chain of seals (`seals.py`).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Book:
    """A table of the schema `ledger`; with a mart, one that holds what is booked beside what the run proposes."""

    table: str
    columns: dict[str, str]
    mart: str | None = None
    laws: dict[str, str] = field(default_factory=dict)
    """Each law with the query that names what breaks it."""
    is_sealed: bool = True
    """Each of its rows belongs to a seal."""

    @property
    def names(self) -> str:
        return ", ".join(self.columns)

    @property
    def stored_names(self) -> list[str]:
        return [*self.columns, "seal_number"] if self.is_sealed else [*self.columns]

    @property
    def key(self) -> str:
        return next(iter(self.columns))

    @property
    def file(self) -> str:
        return f"{self.table.removeprefix('ledger.')}.parquet"

    @property
    def proposed(self) -> str:
        return f"""
    select {self.names}
    from {self.mart} as proposed
    where not exists (select 1 from {self.table} as booked where booked.{self.key} = proposed.{self.key})"""

    @property
    def rewritten(self) -> str:
        return f"""
        select {self.key} from (select {self.names} from {self.table} except select {self.names} from {self.mart})"""


POSTINGS = Book(
    "ledger.postings",
    {
        "posting_id": "varchar primary key",
        "entry_id": "varchar not null",
        "corrects_entry_id": "varchar",
        "party_id": "varchar not null",
        "entry_type": "varchar not null",
        "account": "varchar not null",
        "currency": "varchar not null",
        "description": "varchar",
        "batch_number": "integer not null",
        "debit_amount": "decimal(18, 6) not null",
        "credit_amount": "decimal(18, 6) not null",
        "origin_period_date": "date not null",
        "posting_period_date": "date not null",
        "known_at": "timestamp not null",
    },
    "settle.fct_settlement_ledger",
    {
        "a booked posting never changes; correct it with a new entry": "select posting_id from ({rewritten})",
        "nothing is posted into a closed month": """
        select posting_id
        from ({proposed}) as proposed
        where exists (
            select 1 from ledger.closings
            where period_state = 'closed' and period_date >= proposed.posting_period_date
        )""",
        "a posting has one positive side, debit or credit, and nothing on the other": """
        select posting_id
        from ({proposed})
        where not (least(debit_amount, credit_amount) = 0 and greatest(debit_amount, credit_amount) > 0)""",
        "the debits of an entry equal its credits in each currency": """
        select concat(
            entry_id, ' (debits ', sum(debit_amount), ', credits ', sum(credit_amount), ' ', currency, ')'
        )
        from ({proposed})
        group by entry_id, currency
        having sum(debit_amount) is distinct from sum(credit_amount)""",
    },
)
CHARGES = Book(
    "ledger.charges",
    {
        "charge_posting_id": "varchar primary key",
        "charge_line_id": "varchar not null",
        "partner_id": "varchar not null",
        "partner_agreement_id": "varchar not null",
        "plan_id": "varchar",
        "posting_date": "date not null",
        "batch_number": "integer not null",
        "difference_quantity": "decimal(38, 6) not null",
        "difference_amount": "decimal(38, 12) not null",
        "charge_currency": "varchar not null",
        "period_start_date": "date not null",
        "known_at": "timestamp not null",
    },
    "settle.fct_partner_charges",
    {
        "a booked charge never changes; correct it with a new one": "select charge_posting_id from ({rewritten})",
        "a booked charge says something": """
        select charge_posting_id from ({proposed}) where difference_quantity = 0 and difference_amount = 0""",
    },
)
CLOSINGS = Book(
    "ledger.closings",
    {
        "closing_id": "varchar primary key",
        "period_date": "date not null",
        "period_state": "varchar not null",
        "grace_until_date": "date",
        "closed_at": "timestamp not null",
        "closed_by": "varchar not null",
        "reason": "varchar",
    },
)
"""Months that were closed: by whom, when, and why in spite of money at risk."""
SEALS = Book(
    "ledger.seals",
    {
        "seal_number": "integer primary key",
        "book": "varchar not null",
        "row_count": "bigint not null",
        "rows_hash": "varchar not null",
        "previous_hash": "varchar not null",
        "sealed_at": "timestamp not null",
        "seal_hash": "varchar not null",
    },
    is_sealed=False,
)
BOOKS = (POSTINGS, CHARGES)
"""What a run books."""
BOOKS_SEALED = (*BOOKS, CLOSINGS)
ALL_BOOKS = (*BOOKS_SEALED, SEALS)
