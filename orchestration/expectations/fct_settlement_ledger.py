"""Is `settle.fct_settlement_ledger` fit to publish? Books that balance."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["posting_id"]
MONEY_COLUMN = "debit_amount"
CURRENCY_COLUMN = "currency"

SUITE = gx.ExpectationSuite(
    name="fct_settlement_ledger",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="posting_id",
            description="no posting stands twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="party_id",
            description="every posting names its party",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="debit_amount",
            min_value=0,
            description="no debit is negative",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="credit_amount",
            min_value=0,
            description="no credit is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where (debit_amount > 0) = (credit_amount > 0)",
            description="every posting has one side",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select entry_id from {batch}
                group by entry_id, currency having sum(debit_amount) != sum(credit_amount)""",
            description="the debits of an entry equal its credits",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where posting_period_date < origin_period_date",
            description="nothing is posted before it happened",
            severity="critical",
        ),
    ],
)
