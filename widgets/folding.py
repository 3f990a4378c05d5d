"""Lines that are longer than the screen is wide, on as many rows as they need."""

from __future__ import annotations

from rich.cells import cell_len, get_character_cell_size

from event_monitor.widgets.text import Line, Span

_INDENT = 3
_NARROWEST = 10


def folded(head: Line, text: str, tone: str, width: int, indent: int = _INDENT) -> list[Line]:
    """A text behind a head, broken between words; its further rows are indented. A word that is longer
    than a row is broken where it must be."""
    rows: list[Line] = []
    spans, used = list(head.spans), head.width
    gap = ""
    for word in text.split():
        if used + cell_len(gap + word) > width and used > indent:
            rows.append(Line(tuple(spans)))
            spans, used, gap = [Span(" " * indent)], indent, ""
        spans.append(Span(gap + word, tone))
        used += cell_len(gap + word)
        gap = " "
    rows.append(Line(tuple(spans)))
    return [piece for row in rows for piece in wrapped(row, max(_NARROWEST, width))]


def wrapped(row: Line, width: int) -> list[Line]:
    """Break a line at ``width`` cells, between characters."""
    if row.width <= width:
        return [row]
    rows: list[Line] = []
    spans: list[Span] = []
    used = 0
    for text, tone in row.spans:
        start = 0
        for place, character in enumerate(text):
            size = get_character_cell_size(character)
            if used + size > width:
                spans.append(Span(text[start:place], tone))
                rows.append(Line(tuple(spans)))
                spans, used, start = [Span("   ")], 3, place
            used += size
        spans.append(Span(text[start:], tone))
    rows.append(Line(tuple(spans)))
    return rows
