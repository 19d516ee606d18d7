"""Is `settle.fct_carrier_invoice_lines` fit to publish? Complete, and variances are what they claim."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["invoice_line_id"]
MONEY_COLUMN = "invoiced_amount"
CURRENCY_COLUMN = "invoice_currency"

SUITE = gx.ExpectationSuite(
    name="fct_carrier_invoice_lines",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="invoice_line_id",
            description="no invoice line is counted twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every invoice line belongs to a carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(invoice_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where variance_amount != invoiced_amount - rated_amount""",
            description="the variance of a line is what was invoiced less what we rated",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where rated_amount < 0 and line_type = 'usage'",
            description="no usage is rated below zero",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="line_status",
            value_set=["agreed", "tolerated", "disputed", "undercharged", "not_invoiced"],
            description="every line has a status",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where line_status = 'agreed' and variance_amount != 0""",
            description="a line that is agreed has no variance",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where service_last_date < service_first_date",
            description="no line ends before it begins",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where abs(variance_amount) > 10 * abs(rated_amount)
                and rated_amount != 0 and line_type = 'usage'""",
            description="no line is billed at more than ten times what it should be",
            severity="warning",
        ),
    ],
)
