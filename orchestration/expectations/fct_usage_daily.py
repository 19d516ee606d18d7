"""Is `settle.fct_usage_daily` fit to publish? Every event is here once, and few are unrated."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["usage_daily_id"]
MONEY_COLUMN = "at_risk_amount"
CURRENCY_COLUMN = "at_risk_currency"

SUITE = gx.ExpectationSuite(
    name="fct_usage_daily",
    expectations=[
        gxe.ExpectTableRowCountToBeBetween(
            min_value=1,
            description="there is usage",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeUnique(
            column="usage_daily_id",
            description="no usage is counted twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="carrier_id",
            description="every event names its carrier",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where event_count
                != rated_event_count + not_charged_event_count + unrated_event_count""",
            description="every event is rated, not charged or unrated",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="quantity",
            min_value=0,
            description="no quantity is negative",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="rated_cost_amount",
            min_value=0,
            description="no cost is negative",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where (unrated_event_count > 0) != (unrated_reason is not null)""",
            description="every unrated event has a reason",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where rated_event_count > 0 and rated_cost_currency is null""",
            description="every rated cost has a currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select 'unrated' as finding from {batch}
                having sum(unrated_event_count) * 20 > sum(event_count)""",
            description="fewer than one event in twenty is unrated",
            severity="critical",
            meta={
                "reasons": """
                    select unrated_reason, sum(unrated_event_count), at_risk_currency, sum(at_risk_amount)
                    from {batch} where unrated_event_count > 0 group by unrated_reason, at_risk_currency""",
                "next_step": "docs/marts.md says what each reason asks for: land or write that, then `tollgate run`",
            },
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where uncharged_event_count > 0",
            description="every event that a plan could charge has a partner and a plan",
            severity="warning",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where unrated_event_count > 0 and at_risk_amount is null""",
            description="the money at risk of unrated events is known",
            severity="warning",
        ),
    ],
)
