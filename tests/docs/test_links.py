"""Every link leads to something: a page, a heading on it, a file, a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, PAGES, read


@pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(CHECKOUT).as_posix() for path in PAGES])
def test_links_lead_somewhere(path: Path) -> None:
    page = read(path)
    broken = []
    for link in page.links:
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        goal = (path.parent / file).resolve() if file else path
        if not goal.exists():
            broken.append(f"{link}: there is no such file")
        elif anchor and anchor not in read(goal).anchors:
            broken.append(f"{link}: there is no such heading")
    assert not broken


def test_every_page_is_on_the_map() -> None:
    """From the map each page is one click away."""
    map_page = read(CHECKOUT / "docs" / "README.md")
    named = {(map_page.path.parent / link.partition("#")[0]).resolve() for link in map_page.links}
    assert {path for path in PAGES if path != map_page.path} - named - {CHECKOUT / "README.md"} == set()
