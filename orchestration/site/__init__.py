"""The report site: pages that a finance analyst reads instead of asking the tables, written at each publication.

They open from a disk, call nobody, and say nothing that the published tables do not: `chunks.py` reads those and only
those, `writing.py` writes the files and switches them at once, `assets/` holds what a browser makes of them.

Belongs here: the asset of Dagster's graph. Does not belong here: reading, writing, looks.
"""

import dagster as dg

from orchestration.resources import POOL, Warehouse
from orchestration.site.writing import Site, SiteError, write

__all__ = ["Site", "SiteError", "published_site", "write"]


@dg.asset(key=["publish", "site"], group_name="publish", deps=[["publish", "settlement"]], pool=POOL)
def published_site(warehouse: Warehouse) -> dg.MaterializeResult:
    """The pages of what is published; as they were where nothing of it changed."""
    site = write(warehouse.home.published, warehouse.home.reports)
    return dg.MaterializeResult(
        metadata={"path": dg.MetadataValue.path(site.file), "is new": site.is_new, "bytes": site.bytes_written}
    )
