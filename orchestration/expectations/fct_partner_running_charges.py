"""Is `settle.fct_partner_running_charges` fit to publish? What the months that are not over come to so far."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["running_charge_id"]
MONEY_COLUMN = "charge_amount"
CURRENCY_COLUMN = "charge_currency"

SUITE = gx.ExpectationSuite(
    name="fct_partner_running_charges",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="running_charge_id",
            description="no plan is shown twice for a month",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="partner_id",
            description="every running charge names its partner",
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
            unexpected_rows_query="select * from {batch} where elapsed_seconds > active_seconds",
            description="no month is longer than it is",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where commitment_left_amount < 0 or free_quantity_left < 0 or projected_true_up_amount < 0""",
            description="what is left of commitment and free quantity is not negative",
            severity="critical",
        ),
    ],
)
