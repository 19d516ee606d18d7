"""Is `settle.fct_netting_statements` fit to publish? One net number that its parts prove."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["netting_statement_id"]
MONEY_COLUMN = "net_payable_amount"
CURRENCY_COLUMN = "netting_currency"

SUITE = gx.ExpectationSuite(
    name="fct_netting_statements",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="netting_statement_id",
            description="a party is netted once per month and currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="party_id",
            description="every netting statement names its party",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(netting_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="net_payable_amount",
            min_value=0,
            description="nothing negative is paid",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="net_receivable_amount",
            min_value=0,
            description="nothing negative is received",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where net_payable_amount > 0 and net_receivable_amount > 0""",
            description="a party pays or is paid, not both",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where net_payable_amount - net_receivable_amount
                != carrier_payable_amount + partner_payable_amount
                - carrier_receivable_amount - partner_receivable_amount""",
            description="the net is what we owe less what we are owed",
            severity="critical",
        ),
    ],
)
