"""Pages that leave Tollgate: single HTML files from `templates/`, which open anywhere and call nobody.

Belongs here: how templates are read. Does not belong here: what a page says (`gate_report.py`, `packs/`).
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Templates in which every value is escaped: rows hold what carriers and customers wrote."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
