"""The documentation as it is read: pages, their headings, links, blocks and what is to be done with each.

A comment right before a fenced block says how a test treats it; GitHub does not show it:

- ``<!-- test: run -->`` the block is a shell script that must succeed, beside a real headless bus;
- ``<!-- test: output -->`` the block's lines occur in this order in what the script before it said,
  ``...`` standing for anything;
- ``<!-- test: file NAME -->`` the block is written to that file, below the page's directory or the home
  (``home/...``);
- ``<!-- test: python -->`` the block is a Python program that must succeed;
- ``<!-- test: until COMMAND -->`` (without a block) waits until that shell command succeeds;
- ``<!-- test: restart -->`` (without a block) ends the bus and starts it again;
- ``<!-- test: not run, WHY -->`` the block is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGES = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^( *)(`{3,})([a-z0-9-]*)[^`]*$")
_MARK = re.compile(r"^ *<!-- test: (.+?) -->$")
_HEADING = re.compile(r"^(#{1,6}) +(.*?) *#*$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"(`+)(.+?)\1")


@dataclass(frozen=True)
class Block:
    """A fenced block, or a mark without one (``language`` is then ``None``). ``line`` counts from 1."""

    line: int
    language: str | None
    text: str
    mark: str | None


@dataclass(frozen=True)
class Page:
    """One page, cut into what tests ask of it."""

    path: Path
    blocks: tuple[Block, ...]
    prose: str

    @property
    def name(self) -> str:
        return self.path.relative_to(CHECKOUT).as_posix()

    @property
    def anchors(self) -> set[str]:
        """What a link may name after ``#``, as GitHub makes it from the headings."""
        seen: Counter[str] = Counter()
        found = set()
        for line in self.prose.splitlines():
            heading = _HEADING.match(line)
            if heading is None:
                continue
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[2]).replace("`", "")
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return found

    @property
    def links(self) -> list[str]:
        return _LINK.findall(_CODE.sub("", self.prose))

    @property
    def inline_code(self) -> list[str]:
        return [text for _, text in _CODE.findall(self.prose)]

    def diagrams(self) -> list[Block]:
        return [block for block in self.blocks if block.language == "mermaid"]

    def diagram(self, kind: str) -> Block:
        """The page's only diagram that begins with ``kind``."""
        (found,) = (block for block in self.diagrams() if block.text.startswith(kind))
        return found


def read(path: Path) -> Page:
    lines = path.read_text().splitlines()
    return Page(path, tuple(_blocks(lines)), "\n".join(_prose(lines)))


def page(name: str) -> Page:
    """A page of ``docs/`` by its name."""
    return read(CHECKOUT / "docs" / f"{name}.md")


def _blocks(lines: list[str]) -> Iterator[Block]:
    number, mark = 0, None
    while number < len(lines):
        line = lines[number]
        number += 1
        marked = _MARK.match(line)
        if marked is not None:
            if marked[1].startswith("until ") or marked[1] == "restart":
                yield Block(number, None, "", marked[1])
            else:
                assert mark is None, f"line {number}: two marks for one block"
                mark = marked[1]
            continue
        fence = _FENCE.match(line)
        if fence is None:
            assert mark is None or not line.strip(), f"line {number}: a mark without a block"
            continue
        start, indent = number, len(fence[1])
        while lines[number].strip() != fence[2]:
            number += 1
        text = "".join(f"{line[indent:]}\n" for line in lines[start:number])
        number += 1
        yield Block(start, fence[3], text, mark)
        mark = None


def _prose(lines: list[str]) -> Iterator[str]:
    """The lines outside of blocks."""
    end: str | None = None
    for line in lines:
        fence = _FENCE.match(line)
        if end is not None:
            end = None if line.strip() == end else end
        elif fence is not None:
            end = fence[2]
        else:
            yield line
