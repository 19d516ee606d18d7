"""Is `settle.fct_disputes` fit to publish? Claims that can be sent: positive, dated, and credited correctly."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["dispute_id"]
MONEY_COLUMN = "dispute_amount"
CURRENCY_COLUMN = "dispute_currency"

SUITE = gx.ExpectationSuite(
    name="fct_disputes",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="dispute_id",
            description="an invoice is disputed once per cause",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every dispute names its carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(dispute_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where dispute_amount < 0 or dispute_amount = 0 and raised_date is null""",
            description="every dispute that was not raised yet claims a positive amount",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where open_amount != claimed_amount - credit_received_amount or open_amount < 0""",
            description="what is open is the claim less the credits",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="raise_by_date",
            description="every dispute has the day by which it must be raised",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where raise_by_date < invoice_date",
            description="no dispute expires before its invoice",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where credit_received_amount > greatest(dispute_amount, coalesce(raised_amount, 0))
                    or expected_credit_amount > open_amount or withheld_amount > open_amount""",
            description="no dispute is credited with more, expects or withholds more than it claims",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where event_count < 0 or line_count < 1 and dispute_amount > 0""",
            description="every dispute rests on invoice lines",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where next_action_date between as_of_date and as_of_date + 7
                    or dispute_status in ('overdue_to_raise', 'expired')""",
            description="no claim expires within a week or has done so",
            severity="warning",
        ),
    ],
)
