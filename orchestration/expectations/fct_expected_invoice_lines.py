"""Is `settle.fct_expected_invoice_lines` fit to publish? Lines to hold an invoice against before it has come."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["expected_line_id"]
MONEY_COLUMN = "expected_amount"
CURRENCY_COLUMN = "expected_currency"

SUITE = gx.ExpectationSuite(
    name="fct_expected_invoice_lines",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="expected_line_id",
            description="a line is expected once",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every line names its carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(expected_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="expected_amount",
            min_value=0,
            description="no line is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where line_type = 'usage' and (event_count < 1 or destination_name is null)""",
            description="every line of usage has events and a destination",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where line_type = 'usage' and rate_amount is null",
            description="lines of one destination have one price, unless it has bands or steps",
            severity="warning",
        ),
    ],
)
