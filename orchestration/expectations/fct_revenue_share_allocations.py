"""Is `settle.fct_revenue_share_allocations` fit to publish? Parts that add up to the whole."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["allocation_id"]
MONEY_COLUMN = "allocated_amount"
CURRENCY_COLUMN = "share_currency"

SUITE = gx.ExpectationSuite(
    name="fct_revenue_share_allocations",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="allocation_id",
            description="nobody is given the same share twice",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="beneficiary_partner_id",
            description="every share names who gets it",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(share_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where allocation_type = 'share' and gross_amount >= 0 and allocated_amount < 0
                and origin_period_date = period_start_date""",
            description="no share of a charge is negative, but where it is refunded",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where share_kind = 'ratio' and (share_ratio < 0 or share_ratio > 1)""",
            description="every ratio is a part of the whole",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select transaction_group_id, rule_id from {batch}
                group by transaction_group_id, rule_id, shared_amount having sum(allocated_amount) != shared_amount""",
            description="the parts of a rule add up to what it shares",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select transaction_group_id from {batch}
                group by transaction_group_id, gross_amount, kept_amount
                having sum(allocated_amount) + kept_amount != gross_amount""",
            description="the shares and what the seller keeps are the whole",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select transaction_group_id from {batch}
                where origin_period_date = period_start_date
                group by transaction_group_id, gross_amount
                having count(*) = count(*) filter (where share_kind = 'ratio')
                and abs(sum(allocated_amount)) > abs(gross_amount)""",
            description="ratios share no more than was earned",
            severity="critical",
        ),
    ],
)
