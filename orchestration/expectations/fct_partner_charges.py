"""Is `settle.fct_partner_charges` fit to publish? What each run booked of a partner's charges."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["charge_posting_id"]
MONEY_COLUMN = "difference_amount"
CURRENCY_COLUMN = "charge_currency"

SUITE = gx.ExpectationSuite(
    name="fct_partner_charges",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="charge_posting_id",
            description="no charge is booked twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="partner_id",
            description="every booked charge names its partner",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(charge_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where difference_amount = 0 and difference_quantity = 0",
            description="every booked charge says something",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where date_trunc('month', posting_date) != period_start_date""",
            description="every charge is booked on a day of its month",
            severity="critical",
        ),
    ],
)
