"""Is `settle.fct_partner_statements` fit to publish? Totals that foot, on one side only."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["statement_id"]
MONEY_COLUMN = "charge_amount"
CURRENCY_COLUMN = "statement_currency"

SUITE = gx.ExpectationSuite(
    name="fct_partner_statements",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="statement_id",
            description="a partner has one statement per month and currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="partner_id",
            description="every statement names its partner",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(statement_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="receivable_amount",
            min_value=0,
            description="nothing negative is asked for",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="payable_amount",
            min_value=0,
            description="nothing negative is paid",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where receivable_amount > 0 and payable_amount > 0""",
            description="a statement is owed by one side only",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where receivable_amount - payable_amount
                != charge_amount + tax_amount - revenue_share_amount""",
            description="the total is charge and tax less shares",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="due_date",
            description="every statement has a due date",
            severity="critical",
        ),
    ],
)
