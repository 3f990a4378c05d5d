"""Makes any text safe and exact to place on a terminal, and figures short enough to read.

Everything that comes from an event goes through ``plain``: no control character, escape sequence or
invisible mark survives it. Widths are terminal cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"
_REPLACEMENT = "\ufffd"
# Far more than the widest terminal shows, and it keeps a huge value from costing time.
_LONGEST = 4_096
_RISKY = re.compile(r"[^\x20-\x7e]")
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLOCKS = "▁▁▂▃▄▅▆▇█"
_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


class Span(NamedTuple):
    """A run of text in one tone; the empty tone is the panel's own."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a panel. ``row`` is a tone for all of it, its empty cells included."""

    spans: tuple[Span, ...] = ()
    row: str = ""

    @property
    def width(self) -> int:
        """The cells that it takes."""
        return sum(cell_len(span.text) for span in self.spans)

    @property
    def text(self) -> str:
        """What it says, without tones."""
        return "".join(span.text for span in self.spans)


def line(*parts: str | tuple[str, str], row: str = "") -> Line:
    """A line of texts, each alone or with its tone."""
    spans = (Span(part) if isinstance(part, str) else Span(*part) for part in parts)
    return Line(tuple(span for span in spans if span.text), row)


# --- safety ---------------------------------------------------------------------------------


def plain(value: object, limit: int = _LONGEST) -> str:
    """At most ``limit`` characters of a value's text, on one line, with all that a terminal might obey
    made visible: C0 controls and DEL become their pictures (``␛``), other controls, bidirectional
    overrides and invisible marks ``\ufffd``. Variation selectors and joiners, on whose width
    terminals disagree, are left out."""
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 1] + ELLIPSIS
    if text.isascii() and text.isprintable():
        return text
    return _RISKY.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or code == 0x200D:
        return ""
    category = unicodedata.category(character)
    if category in _UNSEEN:
        return _REPLACEMENT
    return " " if category == "Zs" else character


# --- width ----------------------------------------------------------------------------------


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` cells; an ellipsis says that something was left out."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + ELLIPSIS


def fit(text: str, width: int) -> str:
    """The text in exactly ``width`` cells."""
    text = cut(text, width)
    return text + " " * (width - cell_len(text))


def clip(whole: Line, width: int) -> Line:
    """The line in at most ``width`` cells."""
    if whole.width <= width:
        return whole
    spans: list[Span] = []
    room = width
    for text, tone in whole.spans:
        length = cell_len(text)
        # A span that fills the room exactly still hides what follows: the ellipsis needs a cell.
        if length >= room:
            spans.append(Span(cut(text + " " * (length == room) + ELLIPSIS * (length == room), room), tone))
            break
        spans.append(Span(text, tone))
        room -= length
    return Line(tuple(span for span in spans if span.text), whole.row)


def spread(left: Line, right: Line, width: int) -> Line:
    """Both ends of one row, the left one cut where they do not fit beside each other."""
    if right.width >= width:
        return Line(clip(right, width).spans, left.row)
    left = clip(left, width - right.width)
    gap = Span(" " * (width - left.width - right.width))
    return Line((*left.spans, *((gap,) if gap.text else ()), *right.spans), left.row)


# --- figures --------------------------------------------------------------------------------


def count(value: float) -> str:
    """``12,345``; from ten million on ``12.3 M``."""
    return f"{value:,.0f}" if value < 9_999_999.5 else f"{value / 1e6:,.1f} M"


def millis(value: float | None) -> str:
    """``0.8 ms``, ``31 ms``, ``1.2 s``; a dash for what was not measured."""
    if value is None:
        return "–"
    if value < 9.95:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 999.5 else duration(value / 1_000)


def duration(seconds: float) -> str:
    """The two largest units: ``0.4 s``, ``14 s``, ``2 min 5 s``, ``2 h 14 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, unit, smaller, small in _UNITS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {small}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def time_of_day(moment: str, *, precise: bool = False) -> str:
    """When an ISO 8601 moment was on the clock on this machine's wall; milliseconds if ``precise``."""
    try:
        local = datetime.fromisoformat(moment).astimezone()
    except (ValueError, OverflowError):
        return "--:--:--"
    return local.isoformat(timespec="milliseconds" if precise else "seconds")[11 : 23 if precise else 19]


def sparkline(series: Sequence[int], width: int) -> str:
    """One cell for each of ``width`` equal stretches of time, zero-based, the newest at the right edge;
    a stretch shows its highest count."""
    if width <= 0:
        return ""
    cells = min(width, len(series))
    edges = [place * len(series) // cells for place in range(cells + 1)] if cells else []
    tops = [max(series[start:end]) for start, end in pairwise(edges)]
    highest = max(1, *tops) if tops else 1
    return "".join(_BLOCKS[-(-top * 8 // highest)] for top in tops).rjust(width)


def gauge(share: float, width: int) -> tuple[str, str]:
    """The full and the empty cells of a bar. Anything above zero fills at least one."""
    width = max(0, width)
    full = min(width, max(1 if share > 0 else 0, round(share * width)))
    return "█" * full, "░" * (width - full)
