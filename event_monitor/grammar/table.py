"""Lays out rows as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from event_monitor.grammar.text import clip, pad, plain, width_of

_GAP = "  "
_NARROWEST = 6


class Column(msgspec.Struct, frozen=True):
    """A heading, whether figures stand at its right side, and whether it gives way where the table
    is wider than the terminal."""

    heading: str
    right: bool = False
    flexible: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> str:
    """Rows under headings, at most ``width`` cells wide as far as flexible columns can give way."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = _widths(columns, cells, width)
    lines = [_line([column.heading for column in columns], columns, widths)]
    lines += [_line(row, columns, widths) for row in cells]
    return "\n".join(lines)


def facts(pairs: Sequence[tuple[str, str]], width: int) -> str:
    """Names with their values, one a line."""
    names = max((len(name) for name, _ in pairs), default=0)
    room = max(_NARROWEST, width - names - len(_GAP))
    return "\n".join(f"{pad(name, names)}{_GAP}{clip(plain(value), room)}".rstrip() for name, value in pairs)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    widths = [
        max([len(column.heading), *(width_of(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    flexible = [index for index, column in enumerate(columns) if column.flexible]
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda index: widths[index])
        spare = widths[widest] - max(_NARROWEST, len(columns[widest].heading))
        if spare <= 0:
            break
        second = max((widths[index] for index in flexible if index != widest), default=0)
        step = min(excess, spare, max(1, widths[widest] - second))
        widths[widest] -= step
        excess -= step
    return widths


def _line(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = [
        pad(clip(cell, width), width, right=column.right)
        for cell, column, width in zip(row, columns, widths, strict=True)
    ]
    return _GAP.join(parts).rstrip()
