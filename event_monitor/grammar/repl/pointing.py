"""Points at the part of a typed line that a mistake is about."""

from __future__ import annotations

from event_monitor.grammar.text import plain, width_of


def caret_line(text: str, start: int, end: int) -> tuple[str, str]:
    """The row of a text in which the place from ``start`` to ``end`` begins, and a row of ``^`` under it."""
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    row = text[begin : stop if stop >= 0 else len(text)]
    before = plain(row[: start - begin])
    marked = plain(row[start - begin : end - begin])
    return plain(row), " " * width_of(before) + "^" * max(1, width_of(marked))


def line_and_column(text: str, start: int) -> tuple[int, int]:
    """Where a place is, both counted from 1."""
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
