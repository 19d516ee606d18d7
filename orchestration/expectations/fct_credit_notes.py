"""Is `settle.fct_credit_notes` fit to publish? Credits that answer a dispute."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["credit_match_id"]
MONEY_COLUMN = "part_amount"
CURRENCY_COLUMN = "credit_currency"

SUITE = gx.ExpectationSuite(
    name="fct_credit_notes",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="credit_match_id",
            description="a note answers a dispute once",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where refusal_reason is not null",
            description="no credit note exceeds its dispute",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where dispute_id is null and refusal_reason is null",
            description="every credit note answers a dispute",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select carrier_id, credit_note_number, invoice_id, cause, credit_currency, credit_amount from {batch}
                group by carrier_id, credit_note_number, invoice_id, cause, credit_currency, credit_amount
                having sum(part_amount) != credit_amount""",
            description="the parts of a note add up to it",
            severity="critical",
        ),
    ],
)
