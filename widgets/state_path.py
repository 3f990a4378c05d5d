"""The six states as a diagram: where the system is, and which way it came."""

from __future__ import annotations

from collections.abc import Sequence

from event_monitor.model import Snapshot, SystemState, Transition
from event_monitor.widgets.content import STATE_GLYPHS
from event_monitor.widgets.text import Line, Span, clip, line, plain, time_of_day

WIDTH = 35
# The fewest rows of a panel in which the diagram leaves room for the last change.
_ROOM = 4
# A state's name where there is little room.
_SHORT = {SystemState.INITIALIZING: "INIT", SystemState.MAINTENANCE: "MAINT"}
# How many of the last changes are marked as the way taken.
_STEPS = 3

_INIT, _WELL = SystemState.INITIALIZING, SystemState.HEALTHY
_DEGRADED, _FAILED = SystemState.DEGRADED, SystemState.FAILED
_RECOVERING, _MAINTENANCE = SystemState.RECOVERING, SystemState.MAINTENANCE

Edge = frozenset[SystemState]
Cell = SystemState | tuple[str, Edge] | str

# Words and the lines between them; a state's mark takes the cell before its word.
_ROWS: tuple[tuple[Cell, ...], ...] = (
    (
        _INIT,
        (" ─", frozenset({_INIT, _WELL})),
        _WELL,
        (" ─", frozenset({_WELL, _DEGRADED})),
        _DEGRADED,
        (" ─", frozenset({_DEGRADED, _FAILED})),
        _FAILED,
    ),
    (
        _MAINTENANCE,
        "    ",
        ("╰─", frozenset({_WELL, _RECOVERING})),
        _RECOVERING,
        (" ─╯", frozenset({_RECOVERING, _DEGRADED})),
    ),
)


def diagram(state: SystemState, transitions: Sequence[Transition]) -> list[Line]:
    """Two lines of ``WIDTH`` cells. The present state has its mark and stands out; the lines that the
    last changes went along, and the states on the way, are brighter than the others."""
    taken = transitions[-_STEPS:]
    edges = {frozenset({one.from_state, one.to_state}) for one in taken}
    visited = {one.from_state for one in taken}
    return [_row(cells, state, edges, visited) for cells in _ROWS]


def _row(cells: tuple[Cell, ...], state: SystemState, edges: set[Edge], visited: set[SystemState]) -> Line:
    spans: list[Span] = []
    for cell in cells:
        if isinstance(cell, SystemState):
            glyph, tone = STATE_GLYPHS[cell]
            word = _SHORT.get(cell, str(cell))
            if cell is state:
                spans.append(Span(f"{glyph}{word}", f"{tone}-strong"))
            else:
                spans.append(Span(f" {word}", "" if cell in visited else "dim"))
        elif isinstance(cell, tuple):
            text, edge = cell
            spans.append(Span(text, "accent-strong" if edge in edges else "dim"))
        else:
            spans.append(Span(cell))
    return Line(tuple(spans))


def way(state: SystemState, transitions: Sequence[Transition], width: int) -> Line:
    """The states gone through, the present one last, as many of the last as there is room for."""
    names = [one.from_state for one in transitions] + [state]
    parts: list[str | tuple[str, str]] = [(str(state), f"{STATE_GLYPHS[state][1]}-strong")]
    room = width - 1 - len(state)
    for place, name in enumerate(reversed(names[:-1])):
        word = _SHORT.get(name, str(name))
        needed = len(word) + 3 + (2 if place + 2 < len(names) else 0)
        if needed > room:
            parts.insert(0, ("… ", "dim"))
            break
        parts[:0] = [(word, STATE_GLYPHS[name][1]), (" → ", "dim")]
        room -= len(word) + 3
    return clip(line(" ", *parts), width)


def system(snapshot: Snapshot, width: int, height: int, *, drawn: bool = True) -> list[Line]:
    """The diagram where there is room for it, else the state; then the last changes and why, the newest
    first."""
    if drawn and width >= WIDTH and height >= _ROOM:
        head = diagram(snapshot.state, snapshot.transitions)
    else:
        glyph, tone = STATE_GLYPHS[snapshot.state]
        since = ("  since " + time_of_day(snapshot.state_since), "dim")
        head = [line(" ", (f"{glyph} {snapshot.state}", f"{tone}-strong"), since)]
    lines = [*head]
    for transition in reversed(snapshot.transitions):
        lines.append(line(" ", (time_of_day(transition.at), "dim"), "  ", *_arrow(transition)))
        lines.append(line("           ", (plain(transition.reason), "dim")))
    return [clip(one, width) for one in lines[:height]]


def last_transition(snapshot: Snapshot, width: int) -> list[Line]:
    """The newest change of state on one line."""
    if not snapshot.transitions:
        return [line((" " + plain(snapshot.state_reason), "dim"))]
    newest = snapshot.transitions[-1]
    time, reason = (time_of_day(newest.at), "dim"), (plain(newest.reason), "dim")
    return [clip(line(" ", time, "  ", *_arrow(newest), "  ", reason), width)]


def _arrow(transition: Transition) -> tuple[tuple[str, str] | str, ...]:
    tone = STATE_GLYPHS[transition.to_state][1]
    return (f"{transition.from_state} → ", (str(transition.to_state), tone))
