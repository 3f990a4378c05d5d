"""The columns of the list: which there are, which are shown, and how wide each is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """``wide`` is its width from 100 columns on, ``narrow`` below; 0 is not shown there. The summary
    takes what is left."""

    name: str
    help: str
    wide: int
    narrow: int


COLUMNS = (
    Column("id", "the event's number", 11, 0),
    Column("time", "when it was accepted", 18, 14),
    Column("priority", "CRITICAL, HIGH, NORMAL, LOW", 8, 1),
    Column("type", "its type", 24, 20),
    Column("summary", "what it is about", 0, 0),
    Column("source", "who published it", 14, 0),
    Column("status", "what became of it", 9, 0),
    Column("outcomes", "each target, and how its delivery stands", 34, 0),
)
NAMES = tuple(column.name for column in COLUMNS)
DEFAULT = ("time", "priority", "type", "summary", "outcomes")
_WIDE = 100
# Marks, the glyph of a status and the gaps; and what a summary needs to say anything.
_BESIDE = 6
_SUMMARY = 20
_LEAST = {"outcomes": 16, "source": 8, "type": 16}


def chosen(names: object) -> tuple[str, ...]:
    """The columns of a list of names as it was remembered; the usual ones if it is none."""
    if not isinstance(names, Collection) or isinstance(names, str):
        return DEFAULT
    return tuple(name for name in NAMES if name in names) or DEFAULT


def widths(shown: Sequence[str], width: int) -> dict[str, int]:
    """How wide each shown column is in a list of ``width`` cells, but for the summary. Where they
    leave it too little, the widest that can be cut give way."""
    wide = width >= _WIDE
    sizes = {
        column.name: column.wide if wide else column.narrow
        for column in COLUMNS
        if column.name in shown and (column.wide if wide else column.narrow)
    }
    taken = sum(sizes.values()) + len(sizes) + _BESIDE + (_SUMMARY if "summary" in shown else 0)
    for name, least in _LEAST.items():
        if name in sizes and taken > width:
            cut = min(taken - width, max(0, sizes[name] - least))
            sizes[name] -= cut
            taken -= cut
    return sizes
