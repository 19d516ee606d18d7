"""Is `settle.fct_carrier_calls_daily` fit to publish? Sums that foot, and carriers that list what we know."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["carrier_calls_daily_id"]
MONEY_COLUMN = "carrier_amount"
CURRENCY_COLUMN = "carrier_currency"

SUITE = gx.ExpectationSuite(
    name="fct_carrier_calls_daily",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="carrier_calls_daily_id",
            description="no calls are counted twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="match_class",
            value_set=["exact", "partial", "mismatch", "duplicate", "missing_ours", "missing_theirs"],
            description="all calls have a class",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where event_count != case when match_class in ('duplicate', 'missing_ours') then 0 else cdr_count end
                and match_class != 'missing_theirs'
                or match_class = 'missing_theirs' and cdr_count != 0""",
            description="calls that both sides list are as many on either side",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where billed_quantity < 0 or carrier_quantity < 0 or rated_cost_amount < 0 or carrier_amount < 0""",
            description="no quantity and no amount is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where carrier_id || service || direction in (
                    select carrier_id || service || direction from {batch} group by all
                    having sum(
                        case when match_class in ('missing_ours', 'missing_theirs') then event_count + cdr_count end
                    ) > sum(case when match_class in ('exact', 'partial', 'mismatch') then event_count else 0 end)
                )""",
            description="most calls are found on both sides",
            severity="warning",
        ),
    ],
)
