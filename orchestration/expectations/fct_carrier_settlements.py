"""Is `settle.fct_carrier_settlements` fit to publish? What is paid follows from the invoice."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["carrier_settlement_id"]
MONEY_COLUMN = "invoiced_amount"
CURRENCY_COLUMN = "settlement_currency"

SUITE = gx.ExpectationSuite(
    name="fct_carrier_settlements",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="carrier_settlement_id",
            description="a carrier is settled once per period and currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every settlement names its carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(settlement_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="payable_amount",
            min_value=0,
            description="nothing negative is paid",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="receivable_amount",
            min_value=0,
            description="nothing negative is received",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where accepted_amount + disputed_amount != invoiced_amount""",
            description="accepted and disputed add up to invoiced",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where variance_amount != invoiced_amount - rated_amount""",
            description="the variance is what was invoiced less what we rated",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where payable_amount - receivable_amount
                != invoiced_amount - credited_amount - withheld_amount""",
            description="what is paid is the invoice less credits and what is withheld",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where has_agreement and withheld_amount > disputed_amount",
            description="no more is withheld than is disputed",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where unfooted_invoice_count > 0",
            description="the lines of every invoice add up to the total that it states",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where not has_agreement",
            description="every bill is covered by an agreement",
            severity="warning",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="due_date",
            description="every settlement has a due date",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where disputed_amount * 2 > invoiced_amount and invoiced_amount > 0""",
            description="less than half of a bill is disputed",
            severity="warning",
        ),
    ],
)
