"""The documents as pages: whole, leading to each other, calling nobody.

Belongs here: pages and links. Does not belong here: whether what they say is true.
"""

import re
from html import unescape
from pathlib import Path

import pytest

from orchestration import handbook
from orchestration.settings import PROJECT_DIR, Home


@pytest.fixture(scope="module")
def written(demo, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("handbook")
    handbook.write(Home(demo[0]), folder)
    return folder


def pages(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.glob("*.html") if file.name != handbook.TABLES}


def test_every_document_is_a_page_and_every_page_leads_to_every_other(written):
    documents = {file.stem for file in (PROJECT_DIR / "docs").glob("*.md")}
    found = pages(written)
    assert {name.removesuffix(".html") for name in found} == {"index", "decisions", *documents}
    for text in found.values():
        assert all(f'href="{name}"' in text for name in (*found, handbook.TABLES))


def test_no_link_between_the_pages_leads_nowhere(written):
    found = pages(written)
    anchors = {name: set(re.findall(r'id="([^"]+)"', text)) for name, text in found.items()}
    for name, text in found.items():
        for address in map(unescape, re.findall(r'href="([^"]*)"', text)):
            if "://" in address or address == handbook.TABLES:
                continue
            page, _, anchor = address.partition("#")
            assert (page or name) in found, f"{name}: {address}"
            assert not anchor or anchor in anchors[page or name], f"{name}: {address}"


def test_the_pages_ask_nobody_for_anything_and_have_their_pictures(written):
    for name, text in pages(written).items():
        assert not re.search(r'(?:src|data)="(?:https?:)?//|<script|@import', text), name
        for picture in re.findall(r'src="([^"]+)"', text):
            assert (written / picture).is_file(), f"{name}: {picture}"


def test_the_tables_are_described_in_one_file_that_knows_every_mart(written):
    text = (written / handbook.TABLES).read_text()
    assert "fct_variance_components" in text and "int_costs_expected" in text
