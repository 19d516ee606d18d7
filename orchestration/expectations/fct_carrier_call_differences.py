"""Is `settle.fct_carrier_call_differences` fit to publish? Each call is there once, on the sides of its class."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["call_difference_id"]
MONEY_COLUMN = "carrier_amount"
CURRENCY_COLUMN = "carrier_currency"

SUITE = gx.ExpectationSuite(
    name="fct_carrier_call_differences",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="call_difference_id",
            description="no difference is shown twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column="event_id",
            description="no event of ours is two calls of a carrier",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="match_class",
            value_set=["partial", "mismatch", "duplicate", "missing_ours", "missing_theirs"],
            description="every difference has a class",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where (event_id is null) != (match_class in ('duplicate', 'missing_ours'))
                or (cdr_id is null) != (match_class = 'missing_theirs')""",
            description="the class of a call says which side lists it",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where (difference_type is not null) != (match_class = 'mismatch')
                or (duplicated_cdr_id is not null) != (match_class = 'duplicate')""",
            description="every mismatch says what differs, and every duplicate of what it is one",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where carrier_amount is not null and carrier_currency is null""",
            description="every amount of a carrier has a currency",
            severity="critical",
        ),
    ],
)
