"""What README and docs show is run, and what they point to is there."""

import re
from pathlib import Path

import pytest
from tests.examples.snippets import ROOT, RUNNABLE, Reader, blocks_of

PAGES = (*sorted(ROOT.glob("*.md")), ROOT / "client" / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PAGES_TO_RUN = [page for page in PAGES if any(block.is_run for block in blocks_of(page))]
MOST_LINES = 150

LINK = re.compile(r"\[[^]]+\]\((?P<target>[^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES_TO_RUN, ids=name_of)
async def test_what_a_page_shows_can_be_done(page: Path, tmp_path: Path) -> None:
    async with Reader(tmp_path) as reader:
        for block in blocks_of(page):
            await reader.read(block)


def test_what_cannot_be_run_says_why() -> None:
    marked = [block for block in BLOCKS if block.language in RUNNABLE and block.options]
    assert marked
    assert [block.place for block in marked if not (block.file_name or block.reason_not_to_run)] == []


def test_every_block_has_a_language() -> None:
    assert [block.place for block in BLOCKS if not block.language] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    targets = [found["target"].partition("#")[0] for found in LINK.finditer(page.read_text())]
    missing = [each for each in targets if each and "://" not in each and not (page.parent / each).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_is_short(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= MOST_LINES
