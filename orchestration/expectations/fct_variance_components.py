"""Is `settle.fct_variance_components` fit to publish? Every difference has a cause, and little is left unexplained."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["variance_component_id"]
MONEY_COLUMN = "component_variance_amount"
CURRENCY_COLUMN = "invoice_currency"

SUITE = gx.ExpectationSuite(
    name="fct_variance_components",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="variance_component_id",
            description="a cause stands once on a line",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="invoice_line_id",
            description="every cause belongs to an invoice line",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(invoice_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="cause",
            value_set=[
                *("TIMEZONE", "PERIOD", "DUPLICATE", "DIAL_CODE", "MISSING_OURS", "MISSING_THEIRS", "VOLUME"),
                *("INCREMENT", "ROUNDING", "RATE", "STATUS", "FX", "FEE", "TAX", "COMMITMENT", "RESIDUAL"),
            ],
            description="every cause is one of the known causes",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where component_variance_amount = 0",
            description="no cause is empty",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where cause = 'RESIDUAL' and abs(component_variance_amount) > (
                select sum(abs(component_variance_amount)) / 10 from {batch}
                )""",
            description="no single line leaves a tenth of all variance unexplained",
            severity="warning",
        ),
    ],
)
