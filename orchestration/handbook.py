"""The documents as pages: README, docs/ and DECISIONS.md, and dbt's own documentation of every table, for a browser.

    <handbook>/
      index.html          the README
      <page>.html         a page of docs/
      decisions.html      DECISIONS.md
      tables.html         models, columns, their graph and SQL, by dbt
      images/

Belongs here: which documents are pages, how they lead to each other. Does not belong here: what they say.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

from orchestration import dbt_run, pages
from orchestration.settings import PROJECT_DIR, Home

ORDER = [
    *("first-month", "runbook", "landing", "feeds", "your-own-feed", "terms"),
    *("marts", "reading-a-bridge", "bi", "ledger", "packs", "verify", "glossary"),
]
TABLES = "tables.html"


@dataclass(frozen=True)
class Page:
    """A document, and the name of its page."""

    source: Path
    name: str
    title: str


def write(home: Home, target: Path) -> list[Path]:
    """Writes the pages into a folder and gives them. Raises dbt_run.DbtFailed where dbt cannot describe the tables."""
    documents = _documents()
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PROJECT_DIR / "docs" / "images", target / "images", dirs_exist_ok=True)
    template = pages.environment().get_template("handbook.html.j2")
    written = []
    for page in documents:
        text = template.render(page=page, pages=documents, tables=TABLES, body=_html(page, documents))
        (target / page.name).write_text(text, encoding="utf-8")
        written.append(target / page.name)
    _write_tables(home, target / TABLES)
    return [*written, target / TABLES]


def _documents() -> list[Page]:
    """The README first, then the pages in the order in which one needs them; one that is not listed comes last."""
    found = {file.stem: file for file in (PROJECT_DIR / "docs").glob("*.md")}
    names = [*(name for name in ORDER if name in found), *sorted(found.keys() - set(ORDER))]
    return [
        Page(PROJECT_DIR / "README.md", "index.html", "Tollgate"),
        *(Page(found[name], f"{name}.html", _title(found[name])) for name in names),
        Page(PROJECT_DIR / "DECISIONS.md", "decisions.html", _title(PROJECT_DIR / "DECISIONS.md")),
    ]


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        return opened.readline().removeprefix("# ").strip()


def _html(page: Page, documents: list[Page]) -> str:
    """The document as HTML. Links to other documents lead to their pages; other files of the project have none."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.use(anchors_plugin, max_level=4, slug_func=_slug)
    names = {document.source: document.name for document in documents}
    tokens = reader.parse(page.source.read_text(encoding="utf-8"))
    for token in tokens:
        leads_nowhere = False
        for child in token.children or []:
            if child.type == "link_open":
                address = _link(str(child.attrs["href"]), page.source, names)
                leads_nowhere = address is None
                child.attrs["href"] = address or ""
            elif child.type == "image":
                child.attrs["src"] = f"images/{Path(str(child.attrs['src'])).name}"
            if leads_nowhere and child.type in ("link_open", "link_close"):
                child.type, child.tag, child.nesting, child.content = "text", "", 0, ""
    return reader.renderer.render(tokens, reader.options, {})


def _link(address: str, source: Path, names: dict[Path, str]) -> str | None:
    """Where a link leads on the pages; None where it is to a file that is none of them."""
    if "://" in address or address.startswith("#"):
        return address
    path, mark, anchor = address.partition("#")
    meant = Path(os.path.normpath(source.parent / path))
    return f"{names[meant]}{mark}{anchor}" if meant in names else None


def _slug(heading: str) -> str:
    """As links within the documents are written."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _write_tables(home: Home, target: Path) -> None:
    """dbt's documentation as one file. What tables there are it reads from the warehouse."""
    os.environ["TOLLGATE_WAREHOUSE"] = str(home.warehouse)
    with tempfile.TemporaryDirectory(prefix="tollgate-docs-") as folder:
        dbt_run.succeeded(dbt_run.dbt(Path(folder), "docs generate", "--static"))
        shutil.copyfile(Path(folder) / "target" / "static_index.html", target)
