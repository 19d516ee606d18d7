"""Is `settle.fct_margins` fit to publish? Margins that foot, in one currency."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["margin_id"]
MONEY_COLUMN = "revenue_amount"
CURRENCY_COLUMN = "reporting_currency"

SUITE = gx.ExpectationSuite(
    name="fct_margins",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(
            min_value=1,
            description="there is something to earn or to pay",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column="margin_id",
            description="no margin is counted twice",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(reporting_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="revenue_amount",
            min_value=0,
            description="no revenue is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where margin_amount != revenue_amount - corrected_cost_amount - share_amount""",
            description="the margin is revenue less cost less shares",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where has_unconverted_money",
            description="every amount has an exchange rate",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select carrier_id, service, direction from {batch}
                group by carrier_id, service, direction having sum(margin_amount) < 0""",
            description="no carrier's traffic loses money as a whole",
            severity="warning",
        ),
    ],
)
