"""Is `settle.fct_commitments` fit to publish? What falls short is billed, by a carrier or by us."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["commitment_id"]
MONEY_COLUMN = "shortfall_amount"
CURRENCY_COLUMN = "commitment_currency"

SUITE = gx.ExpectationSuite(
    name="fct_commitments",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="commitment_id",
            description="a commitment falls short once in its months",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="party_id",
            description="every commitment names its party",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(commitment_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where (committed_quantity is null) = (committed_amount is null) or shortfall_amount < 0
                or (shortfall_amount > 0 and coalesce(left_quantity, left_amount) = 0)""",
            description="money or a quantity is committed to, and what is reached does not fall short",
            severity="critical",
        ),
    ],
)
