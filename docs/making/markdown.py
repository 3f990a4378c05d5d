"""The Markdown that the pages are made of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence


def head(title: str, source: str, intro: str) -> str:
    """A page's beginning."""
    return f"# {title}\n\n<!-- Made by docs/make.py from {source}. Change it there. -->\n\n{intro.strip()}\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns are as wide in the text as on the page, up to a limit."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    lines = [list(columns), *cells]
    widths = [min(34, max(len(line[n]) for line in lines)) for n in range(len(columns))]
    widths[-1] = 3

    def line(row: Sequence[str]) -> str:
        inner = " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return f"| {inner.rstrip()} |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(columns), rule, *map(line, cells)])


def contents(page: str, *, whole: bool = True) -> str:
    """The page with a list of its headings in the place of ``[contents]``: of the second level, and those of
    the third too where it is ``whole``."""
    lines: list[str] = []
    seen: Counter[str] = Counter()
    for level, title in re.findall(r"^(##|###) (.+)$", _without_code(page), re.MULTILINE):
        if level == "###" and not whole:
            continue
        indent = "" if level == "##" else "  "
        name = anchor(title)
        # GitHub numbers headings of the same name.
        again = f"-{seen[name]}" if seen[name] else ""
        seen[name] += 1
        lines.append(f"{indent}- [{title}](#{name}{again})")
    return page.replace("[contents]", "\n".join(lines), 1)


def anchor(title: str) -> str:
    """The name that GitHub gives to a heading."""
    kept = re.sub(r"[^\w\- ]", "", title.lower())
    return kept.replace(" ", "-")


def code(text: object) -> str:
    """A word as code."""
    return f"`{text}`"


def words(names: Iterable[object]) -> str:
    """Words as code, one after the other."""
    return ", ".join(map(code, names))


def fence(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def prose(docstring: str | None) -> str:
    """A docstring as a paragraph: one line, with Markdown's code marks."""
    return " ".join((docstring or "").replace("``", "`").replace("`None`", "`null`").split())


def sentence(text: str) -> str:
    """Text that begins with a capital and ends with a full stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _without_code(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
