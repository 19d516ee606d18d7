"""Is `settle.fct_account_balances` fit to publish? Months that follow on from one another."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["account_balance_id"]
MONEY_COLUMN = "closing_balance_amount"
CURRENCY_COLUMN = "balance_currency"

SUITE = gx.ExpectationSuite(
    name="fct_account_balances",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="account_balance_id",
            description="an account has one balance in each month",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(balance_currency, '^[A-Z]{{3}}$')""",
            description="every balance has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where opening_balance_amount + debit_amount - credit_amount != closing_balance_amount""",
            description="opening balance and movements add up to the closing balance",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select posting_period_date, balance_currency from {batch}
                group by posting_period_date, balance_currency having sum(debit_amount) != sum(credit_amount)""",
            description="the debits of a month equal its credits in every currency",
            severity="critical",
        ),
    ],
)
