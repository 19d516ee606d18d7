"""Is `settle.fct_landed_files` fit to publish? Every file, with what became of it."""

import great_expectations as gx
import great_expectations.expectations as gxe

KEY_COLUMNS = ["file_id"]
MONEY_COLUMN = None
CURRENCY_COLUMN = None

SUITE = gx.ExpectationSuite(
    name="fct_landed_files",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(
            column="file_id",
            description="no file is listed twice",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="""
                select * from {batch}
                where file_status = 'loaded' and loaded_count + quarantined_count is distinct from record_count""",
            description="each record of a loaded file is loaded or in quarantine",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where refused_count > loaded_count",
            description="no more records are refused than were loaded",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where file_status = 'failed' and failure_message is null",
            description="every file that was not loaded says why",
            severity="critical",
        ),
        gxe.UnexpectedRowsExpectation(
            unexpected_rows_query="select * from {batch} where file_status = 'failed'",
            description="every file could be loaded",
            severity="warning",
        ),
    ],
)
