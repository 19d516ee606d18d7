"""Is `settle.fct_disputes` fit to publish? Claims that can be sent: positive, dated, and credited correctly."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["dispute_id"]
MONEY_COLUMN = "dispute_amount"
CURRENCY_COLUMN = "dispute_currency"

SUITE = gx.ExpectationSuite(
    name="fct_disputes",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="dispute_id",
            description="an invoice is disputed once per cause",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every dispute names its carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(dispute_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where dispute_amount <= 0",
            description="every dispute claims a positive amount",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where open_amount != greatest(dispute_amount - credit_received_amount, 0)""",
            description="what is open is the claim less the credits",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="raise_by_date",
            description="every dispute has the day by which it must be raised",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where raise_by_date < invoice_date",
            description="no dispute expires before its invoice",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where credit_received_amount > dispute_amount",
            description="no dispute is credited with more than it claims",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where line_count < 1 or event_count < 0",
            description="every dispute rests on invoice lines",
            severity="critical",
        ),
    ],
)
