"""Is `settle.fct_held_back_rows` fit to publish? What does not settle, with its reason."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["held_back_row_id"]
MONEY_COLUMN = "at_risk_amount"
CURRENCY_COLUMN = "at_risk_currency"

SUITE = gx.ExpectationSuite(
    name="fct_held_back_rows",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="held_back_row_id",
            description="no reason is counted twice",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where row_count < 1",
            description="every reason holds back some row",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="held_back_type",
            value_set=["quarantined", "refused"],
            description="a row is held back in one of two ways",
            severity="critical",
        ),
    ],
)
