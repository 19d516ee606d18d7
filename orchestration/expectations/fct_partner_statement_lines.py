"""Is `settle.fct_partner_statement_lines` fit to publish? Charges that a partner can recompute."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["statement_line_id"]
MONEY_COLUMN = "charge_amount"
CURRENCY_COLUMN = "charge_currency"

SUITE = gx.ExpectationSuite(
    name="fct_partner_statement_lines",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="statement_line_id",
            description="no charge is billed twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="partner_id",
            description="every charge names its partner",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where plan_id is null
                and charge_type not in ('statement_rounding', 'tax', 'revenue_share')""",
            description="every charge names its plan",
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
            unexpected_rows_query="""
                select * from {batch}
                where (charge_type in ('usage', 'true_up') and charge_amount < 0 and pricing_model != 'lines')
                or (charge_type in ('discount', 'maximum') and charge_amount > 0)""",
            description="no charge is negative, and no deduction adds to it",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="charged_quantity",
            min_value=0,
            description="no charged quantity is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where charge_amount = 0 and charged_quantity > 0
                and unit_amount > 0.01""",
            description="no usage with a price is charged at nothing",
            severity="warning",
        ),
    ],
)
