"""What makes each mart fit to publish: one file per mart, named as the mart, with its suite and no code.

Belongs here: is this month's mart complete, plausible, within tolerance? Does not belong here: the shape of a
mart (its dbt contract), keys and relations (dbt tests), one rule on invented rows (dbt unit tests).

A file of this folder looks like this:

    \"\"\"Is `settle.fct_disputes` fit to publish?\"\"\"

    import great_expectations as gx
    import great_expectations.expectations as gxe

    KEY_COLUMNS = ["dispute_id"]
    MONEY_COLUMN = "disputed_amount"
    CURRENCY_COLUMN = "currency"

    SUITE = gx.ExpectationSuite(
        name="fct_disputes",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(
                column="carrier_id",
                description="every dispute names its carrier",
                severity="critical",
            ),
            gxe.UnexpectedRowsExpectation(
                unexpected_rows_query="select * from {batch} where credited_amount > disputed_amount + 0.01",
                description="no dispute is credited with more than it claims",
                severity="warning",
            ),
        ],
    )

- `KEY_COLUMNS` identify a row; the report shows them for a sample of the failing rows.
- `MONEY_COLUMN` and `CURRENCY_COLUMN` say which amount is at risk when a row fails; both are `None` for a
  mart that holds no amount. Columns named here must exist.
- `description` is compulsory and unique in its suite: what holds, as a sentence for a finance analyst, small
  letter first, no full stop. It is printed as `settle.fct_disputes: "every dispute names its carrier" failed
  on 3 of 120 rows`.
- `severity="critical"` stops the publication, `"warning"` and `"info"` are shown and let it pass. An
  expectation that cannot be evaluated stops it, whatever its severity.
- `meta`, where a failure alone helps nobody: `reasons`, a query that yields reason, number of events, currency and
  amount (`{batch}` is the mart), and `next_step`, what to do. Both are told with the failure.
- A law of money is an `UnexpectedRowsExpectation` or a column already subtracted in SQL that is compared with
  0: the bounds of the other expectations are floats, and 0 is the only amount that a float holds safely.
  Regular expressions too: `where not regexp_matches(currency, '^[A-Z]{{3}}$')` (braces doubled, `{batch}` is
  the mart; it takes an alias in a query that joins, and none elsewhere).
  An expectation about some of the rows too: a `row_condition` is refused.
- The query of an `UnexpectedRowsExpectation` yields whole rows (`select *`) where it can. Where it groups,
  the rows of the mart that agree with a group in the columns they share by name are the failing ones. A
  statement about the mart as a whole (a row count, a sum) puts all its money at risk.

The set of files equals the set of `settle.fct_*`: the gate refuses a mart without a suite and a suite without
a mart. Only `orchestration/gate.py` imports these files, when it runs: Great Expectations takes seconds to
import.
"""
