"""The files of the site, and the one moment in which a new site takes the place of the one before.

    published/
      site          -> .sites/<content>     the only thing that is ever replaced
      .sites/<content>/
        index.html, carriers.html, ...      one page per question
        assets/                             styles, scripts, the library that draws
        data/<chunk>.js                     what the pages show

The name of a folder is a fingerprint of all that the site is made from, so a site that stands already is not written
again. The one before stays for those who have it open: a page loads its chunks when they are asked for.

Belongs here: files and the link. Does not belong here: what is in a chunk (`chunks.py`).
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration import pages
from orchestration.publish import CURRENT, FILE, MANIFEST
from orchestration.site.chunks import chunks

LINK = "site"
SITES = ".sites"
ASSETS = Path(__file__).parent / "assets"
TEMPLATE = "site.html.j2"
COMPLETE = ".complete"


@dataclass(frozen=True)
class Page:
    """A page of the site: its file, its name in the navigation, and the script that fills it."""

    file: str
    title: str
    script: str


PAGES = (
    Page("index.html", "Overview", "overview.js"),
    Page("carriers.html", "Carriers", "carriers.js"),
    Page("lines.html", "Invoice lines", "lines.js"),
    Page("partners.html", "Partners", "partners.js"),
    Page("routes.html", "Routes", "routes.js"),
    Page("health.html", "Data health", "health.js"),
)


class SiteError(Exception):
    """There is no publication to show, or no place for the site; what stood before is untouched."""


@dataclass(frozen=True)
class Site:
    """What writing the site did."""

    file: Path
    is_new: bool
    bytes_written: int = 0


def write(published: Path, reports: Path | None = None) -> Site:
    """Write the site of what is published in the folder `published`; with `reports`, of the gate's result too.

    Raises SiteError where nothing is published.
    """
    version = (published / CURRENT).resolve()
    if not (version / MANIFEST).exists():
        raise SiteError(f"nothing is published in {published}: there is nothing to show")
    facts = _facts(version, reports)
    folder = published / SITES / _fingerprint(facts)
    file = published / LINK / PAGES[0].file
    if (published / LINK).resolve() == folder.resolve() and (folder / COMPLETE).exists():
        return Site(file, is_new=False)
    if (published / LINK).exists() and not (published / LINK).is_symlink():
        raise SiteError(f"{published / LINK} is in the way: it is no site of Tollgate; move it aside and run again")
    before = (published / LINK).resolve().name if (published / LINK).is_symlink() else None
    unfinished = folder.with_name(f"{folder.name}.new")
    for left in (unfinished, folder):
        shutil.rmtree(left, ignore_errors=True)
    size = _write(version / FILE, unfinished, facts)
    unfinished.rename(folder)
    _switch(published / LINK, f"{SITES}/{folder.name}")
    for other in (published / SITES).iterdir():
        if other.name not in (folder.name, before):
            shutil.rmtree(other)
    return Site(file, is_new=True, bytes_written=size)


def _facts(version: Path, reports: Path | None) -> dict[str, Any]:
    """What the pages say that no table holds: when it was published, rows of each table, what the gate said."""
    manifest = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    gate = reports and reports / "gate.json"
    return {
        "published_at": manifest["published_at"],
        "rows": {name: table["rows"] for name, table in manifest["tables"].items()},
        "contents": {name: table["fingerprint"] for name, table in manifest["tables"].items()},
        "gate": _gate(json.loads(gate.read_text(encoding="utf-8"))) if gate and gate.exists() else None,
    }


def _gate(verdict: dict[str, Any]) -> dict[str, Any]:
    """The gate's sentences and how each came out. Not when: the same content examined again is the same site."""
    return {
        "passed": verdict["passed"],
        "outcomes": [
            {
                "mart": mart["mart"],
                "rows": mart["rows"],
                "says": outcome["says"],
                "severity": outcome["severity"],
                "success": outcome["success"],
                "failing_rows": outcome["failing_rows"],
                "money_at_risk": sorted(outcome["money_at_risk"].items()),
            }
            for mart in verdict["marts"]
            for outcome in mart["outcomes"]
        ],
    }


def _fingerprint(facts: dict[str, Any]) -> str:
    contents = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    here = Path(__file__).parent
    for file in [*sorted(ASSETS.rglob("*")), *sorted(here.glob("*.py")), pages.TEMPLATES / TEMPLATE]:
        if file.is_file():
            contents.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return contents.hexdigest()[:20]


def _write(settlement: Path, folder: Path, facts: dict[str, Any]) -> int:
    shutil.copytree(ASSETS, folder / "assets")
    template = pages.environment().get_template(TEMPLATE)
    for page in PAGES:
        (folder / page.file).write_text(template.render(page=page, pages=PAGES), encoding="utf-8")
    (folder / "data").mkdir()
    with duckdb.connect(str(settlement), read_only=True) as connection:
        for name, chunk in chunks(connection, facts):
            (folder / "data" / f"{name}.js").write_text(_script(name, chunk), encoding="utf-8")
    (folder / COMPLETE).touch()
    size = 0
    for path in folder.rglob("*"):
        if path.is_file():
            size += path.stat().st_size
            with path.open("rb") as opened:
                os.fsync(opened.fileno())
    return size


def _script(name: str, chunk: dict[str, Any]) -> str:
    data = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"tollgate.put({json.dumps(name)},{data});\n"


def _switch(link: Path, target: str) -> None:
    unfinished = link.with_name(f".{link.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    os.replace(unfinished, link)
