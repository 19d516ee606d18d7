"""Is `settle.fct_accruals` fit to publish? Costs that will come, once."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["accrual_id"]
MONEY_COLUMN = "accrued_amount"
CURRENCY_COLUMN = "accrual_currency"

SUITE = gx.ExpectationSuite(
    name="fct_accruals",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="accrual_id",
            description="a cost is accrued once",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every accrual names its carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(accrual_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="accrued_amount",
            min_value=0,
            description="no accrual is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where event_count < 1 and fee_name is null",
            description="every accrual rests on events or is a fee",
            severity="critical",
        ),
    ],
)
