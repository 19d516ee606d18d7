"""Is `settle.fct_carrier_policies` fit to publish? Counts of lines that foot."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["carrier_policy_id"]
MONEY_COLUMN = None
CURRENCY_COLUMN = None

SUITE = gx.ExpectationSuite(
    name="fct_carrier_policies",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="carrier_policy_id",
            description="a carrier has one policy per service, direction and period",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every policy belongs to a carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where agreed_line_count + deviating_line_count != line_count""",
            description="every line either follows the agreement or deviates",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where reproduced_line_count > deviating_line_count""",
            description="no more lines are reproduced than deviate",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where deviating_policy_name is null and reproduced_line_count > 0""",
            description="a policy that reproduces a line is named",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where deviating_policy_name is not null and reproduced_line_count = 0""",
            description="a policy that is named reproduces a line",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where agreed_line_count * 2 < line_count",
            description="carriers follow the agreed policy on most lines",
            severity="warning",
        ),
    ],
)
