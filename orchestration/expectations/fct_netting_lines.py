"""Is `settle.fct_netting_lines` fit to publish? Documents that prove a net number, converted as agreed."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["netting_line_id"]
MONEY_COLUMN = "netted_payable_amount"
CURRENCY_COLUMN = "netting_currency"

SUITE = gx.ExpectationSuite(
    name="fct_netting_lines",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="netting_line_id",
            description="a document is netted once",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="netting_statement_id",
            description="every document is on a netting statement",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(netting_currency, '^[A-Z]{{3}}$')
                or not regexp_matches(document_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where document_currency != netting_currency
                and (document_units_per_base is null or netting_units_per_base is null or fx_date is null)""",
            description="what is converted says at which rates of which day",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where document_currency = netting_currency
                and (payable_amount != netted_payable_amount or receivable_amount != netted_receivable_amount)""",
            description="what is not converted keeps its amount",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="netted_payable_amount",
            min_value=0,
            description="nothing negative is paid",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="netted_receivable_amount",
            min_value=0,
            description="nothing negative is received",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""select * from {batch} where is_rate_missing""",
            description="no agreed conversion lacks its exchange rate",
            severity="warning",
        ),
    ],
)
