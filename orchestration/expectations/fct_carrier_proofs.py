"""Is `settle.fct_carrier_proofs` fit to publish? What is proven, unproven and unmapped adds up to what was invoiced."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["carrier_proof_id"]
MONEY_COLUMN = "invoiced_amount"
CURRENCY_COLUMN = "invoice_currency"

SUITE = gx.ExpectationSuite(
    name="fct_carrier_proofs",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="carrier_proof_id",
            description="a carrier's month has one row per currency and grain",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every proof is about a carrier",
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
            column="matched_grain",
            value_set=["total", "service", "destination", "dial_code", "day", "call"],
            description="every grain is one that an invoice can have",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where proven_amount + unproven_amount + unmapped_amount != invoiced_amount""",
            description="what is proven, unproven and unmapped is what was invoiced",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where proven_amount < 0 or likened_amount < 0 or likened_amount > proven_amount""",
            description="nothing is proven below zero, and no more is likened than is proven",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where event_agreed_line_count > event_line_count or quantity_agreed_line_count > quantity_line_count
                or duration_agreed_line_count > duration_line_count or amount_agreed_line_count > line_count""",
            description="no more lines agree in a measure than state it",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where 2 * unmapped_amount > invoiced_amount",
            description="most of a carrier's money is on destinations that somebody knows",
            severity="warning",
        ),
    ],
)
