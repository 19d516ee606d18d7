"""Is `settle.fct_open_items` fit to publish? What is proposed to the bank comes from it."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["open_item_id"]
MONEY_COLUMN = "payable_amount"
CURRENCY_COLUMN = "item_currency"

SUITE = gx.ExpectationSuite(
    name="fct_open_items",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="open_item_id",
            description="a document is open once",
            severity="critical",
        ),
        gxe.ExpectColumnValuesToNotBeNull(
            column="party_id",
            description="every open item names its party",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where not regexp_matches(item_currency, '^[A-Z]{{3}}$')""",
            description="every amount has an ISO 4217 currency",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch} where least(payable_amount, receivable_amount, cleared_amount) < 0
                or (payable_amount > 0) = (receivable_amount > 0)""",
            description="an item is to be paid or to be received, not both and not nothing",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where document_amount != cleared_amount + payable_amount + receivable_amount""",
            description="what was paid and what is open add up to the document",
            severity="critical",
        ),
    ],
)
