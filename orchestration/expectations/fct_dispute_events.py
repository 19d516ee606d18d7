"""Is `settle.fct_dispute_events` fit to publish? Steps that belong to a dispute."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["dispute_event_id"]
MONEY_COLUMN = "event_amount"
CURRENCY_COLUMN = "event_currency"

SUITE = gx.ExpectationSuite(
    name="fct_dispute_events",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="dispute_event_id",
            description="no step stands twice",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where refusal_reason in ('dispute_unknown', 'currency_differs', 'amount_exceeds_dispute')""",
            description="every step belongs to a dispute and claims no more",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where refusal_reason is null and (carrier_id is null or event_date is null)""",
            description="every step that counts has its carrier and its day",
            severity="critical",
        ),
    ],
)
