"""The table of services as lines: which columns there is room for, in which order the rows stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len

from event_monitor.model import ServiceView
from event_monitor.widgets.content import BREAKER_GLYPHS, HEALTH_GLYPHS
from event_monitor.widgets.text import Line, Span, clip, fit, line, millis, plain

NO_SERVICES = (
    ("No service is watched yet.", "strong"),
    ("List what you depend on in event-bus/event-monitor.yaml:", ""),
    ("services:", "accent"),
    ("  - {name: db, kind: tcp, port: 5432}", "accent"),
    ("Kinds: http, tcp, command, mcp, process. Each is probed and protected.", "dim"),
)

_WIDE = 64
_LEAST_NOW = 9
_TREND = 8
_BLOCKS = "▁▂▃▄▅▆▇█"
_NAMES = range(8, 19)

Part = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Column:
    """One of the columns that may be hidden, or left out where there is no room. ``parts`` says what
    stands there for a service, in exactly ``width`` cells, the gap before it included."""

    key: str
    heading: str
    width: int
    parts: Callable[[ServiceView], list[Part]]


def _right(text: Callable[[ServiceView], str], width: int) -> Callable[[ServiceView], list[Part]]:
    return lambda view: [f"{text(view):>{width}}"]


def _calls(view: ServiceView) -> str:
    return "–" if view.kind == "target" else f"{view.calls_per_second:.1f}"


def _health(view: ServiceView) -> list[Part]:
    if view.kind == "target":
        return [" " * 7]
    parts: list[Part] = [" "]
    for one in view.health:
        parts += [HEALTH_GLYPHS.get(one, ("·", "dim")), " "]
    return parts


COLUMNS = (
    Column("failures", "fails", 6, _right(lambda view: f"{view.failure_count}/{view.failure_threshold}", 6)),
    Column("calls", "calls/s", 8, _right(_calls, 8)),
    Column("p95", "p95", 8, _right(lambda view: millis(view.p95_ms), 8)),
    Column("trend", "5 min   ", 9, lambda view: [" ", *trend(view.slowest_ms, view.failures, _TREND)]),
    Column("busy", "busy", 6, _right(lambda view: f"{view.busy}/{view.max_concurrent}", 6)),
    Column("health", "health", 7, _health),
    Column("probe", "probe", 6, _right(lambda view: _due(view), 6)),
)
COLUMN_KEYS = tuple(column.key for column in COLUMNS)
# Where there is no room for all, these go first.
_EXPENDABLE = ("probe", "busy", "trend", "calls", "health", "failures", "p95")


def _due(view: ServiceView) -> str:
    return "–" if view.next_probe_in is None else f"{view.next_probe_in:.0f} s"


def trend(slowest: Sequence[float | None], failures: Sequence[int], width: int) -> list[Part]:
    """The slowest call of each stretch of time as a bar, zero-based; ``✖`` where any failed, ``·`` where
    there was none. The newest is at the right edge."""
    steps = min(len(slowest), len(failures))
    cells = min(width, steps)
    parts: list[Part] = [" " * (width - cells)] if cells < width else []
    highest = max((value for value in slowest if value is not None), default=0.0) or 1.0
    edges = [place * steps // cells for place in range(cells + 1)] if cells else []
    for start, end in pairwise(edges):
        known = [value for value in slowest[start:end] if value is not None]
        if any(failures[start:end]):
            parts.append(("✖", "bad"))
        elif known:
            parts.append((_BLOCKS[min(7, int(max(known) / highest * 7.999))], "accent"))
        else:
            parts.append(("·", "dim"))
    return parts


# --- order ----------------------------------------------------------------------------------

_BADNESS = {"OPEN": 0, "HALF_OPEN": 1, "CLOSED": 3}


def _badness(view: ServiceView) -> int:
    if view.forced:
        return 2
    if view.breaker == "CLOSED" and "fail" in view.health:
        return 0
    return _BADNESS.get(view.breaker, 3)


ORDERS: dict[str, Callable[[ServiceView], tuple[float | str, ...]]] = {
    "name": lambda view: (view.name,),
    "state": lambda view: (_badness(view),),
    "failures": lambda view: (-sum(view.failures) - view.failure_count,),
    "p95": lambda view: (view.p95_ms is None, -(view.p95_ms or 0.0)),
}
"""What the rows can be sorted by. The worst come first; else they stand as they are configured."""


def ordered(views: Sequence[ServiceView], by: str) -> tuple[ServiceView, ...]:
    """The services in an order of ``ORDERS``, or as they came for any other name."""
    return tuple(sorted(views, key=ORDERS[by])) if by in ORDERS else tuple(views)


# --- rows -----------------------------------------------------------------------------------


def services(
    views: tuple[ServiceView, ...],
    width: int,
    height: int,
    selected: str | None = None,
    *,
    unwatched: int = 0,
    hidden: Collection[str] = (),
) -> list[Line]:
    """One line a service under a heading, or what to do while there is none."""
    if not views:
        return _no_services(width, height, unwatched)
    heading, shown = visible(views, width, height, selected)
    layout = _Layout(views, width, hidden)
    lines = [layout.heading()] if heading else []
    return lines + [layout.row(view, view.name == selected) for view in shown]


def visible(
    views: tuple[ServiceView, ...], width: int, height: int, selected: str | None
) -> tuple[int, tuple[ServiceView, ...]]:
    """How many rows the heading takes, and the services for which there is room under it, the selected
    one among them."""
    heading = int(width >= _WIDE and height > len(views))
    place = next((place for place, view in enumerate(views) if view.name == selected), 0)
    room = max(1, height - heading)
    top = max(0, place - room + 1)
    return heading, views[top : top + room]


class _Layout:
    """The widths that fit what is to be shown, so that no column takes more than it needs."""

    def __init__(self, views: Sequence[ServiceView], width: int, hidden: Collection[str]) -> None:
        self._width = width
        longest = max(cell_len(_name(view)) for view in views)
        self._name = min(max(longest, _NAMES.start), _NAMES.stop)
        self._breaker = max(len(_word(view)) for view in views) + 2
        shown = [column for column in COLUMNS if column.key not in hidden]
        room = width - 3 - self._name - 1 - self._breaker - _LEAST_NOW
        for key in _EXPENDABLE:
            if sum(column.width for column in shown) <= room:
                break
            shown = [column for column in shown if column.key != key]
        self._columns = shown if width >= _WIDE else []

    def heading(self) -> Line:
        text = f"   {'service':<{self._name}} {'breaker':<{self._breaker}}"
        return clip(line((text + self._headings() + " now", "dim")), self._width)

    def _headings(self) -> str:
        return "".join(f"{column.heading:>{column.width}}" for column in self._columns)

    def row(self, view: ServiceView, selected: bool) -> Line:
        glyph, tone = ("■", "accent") if view.forced else BREAKER_GLYPHS.get(view.breaker, ("·", "dim"))
        mark, row = (" ▸ ", "select") if selected else ("   ", "")
        wide = self._width >= _WIDE
        name = self._name if wide else min(self._name, 14)
        word = f"{glyph} {_word(view):<{self._breaker - 2}}"
        parts: list[Part] = [mark, fit(_name(view), name), " ", (word, tone)]
        for column in self._columns:
            parts += column.parts(view)
        if not wide and view.p95_ms is not None:
            parts += [" ", millis(view.p95_ms)]
        return clip(line(*parts, " ", _now(view, selected), row=row), self._width)


def _name(view: ServiceView) -> str:
    return plain(f"→ {view.name.removeprefix('target:')}" if view.kind == "target" else view.name)


def _word(view: ServiceView) -> str:
    return f"FORCED {view.breaker}" if view.forced else view.breaker


def _now(view: ServiceView, selected: bool) -> Part:
    """What answers in its place, else why it is as it is; of a selected one that is well, what comes next."""
    if view.fallback or view.note:
        return plain(view.fallback or view.note)
    if selected and view.next_probe_in is not None:
        return (f"probe {round(view.next_probe_in)} s", "dim")
    return ""


def _no_services(width: int, height: int, unwatched: int) -> list[Line]:
    if height < 2:
        declared = f", {unwatched} declared" if unwatched else ""
        return [clip(line((f" No service is watched yet{declared}", "dim")), width)]
    parts = list(NO_SERVICES)
    if unwatched:
        servers = "1 MCP server" if unwatched == 1 else f"{unwatched} MCP servers"
        parts.insert(1, (f"Your assistant declares {servers}: event-cli services discover", "accent"))
    return [clip(line(Span(" "), part), width) for part in parts][:height]
