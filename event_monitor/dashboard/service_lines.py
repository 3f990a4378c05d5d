"""All that is known of one service or target, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from event_monitor.dashboard.actions import key_of
from event_monitor.replies.general import BreakerMove, ServiceDetail
from event_monitor.widgets.content import BREAKER_GLYPHS, HEALTH_GLYPHS
from event_monitor.widgets.folding import folded
from event_monitor.widgets.hints import Key
from event_monitor.widgets.text import (
    Line,
    Span,
    clip,
    count,
    duration,
    fit,
    line,
    millis,
    plain,
    sparkline,
    spread,
    time_of_day,
)

_STRIP = {"CLOSED": ("▁", "good"), "HALF_OPEN": ("▄", "busy"), "OPEN": ("█", "bad"), "UNKNOWN": ("·", "dim")}
_WORSE = ("UNKNOWN", "CLOSED", "HALF_OPEN", "OPEN")
_NAME = 12
_GAP = "   "
_NARROW = 60
_CURVE = 60
_STDERR_ROWS = 4
# What the details of a kind say that is of use to a person, by the name under which it is shown.
_FACTS = {
    "address": "address",
    "command": "command",
    "state": "state",
    "reason": "reason",
    "pid": "pid",
    "pids": "pids",
    "pid_file": "pid file",
    "match": "match",
    "starts": "starts",
    "last_exit": "last exit",
    "server": "server",
    "protocol": "protocol",
    "last_status": "last status",
    "note": "note",
}
_COUNTERS = {
    "passed": "successes",
    "failed": "failures",
    "slow": "slow",
    "rejected": "rejected",
    "late": "late",
    "cancelled": "cancelled",
    "caller's fault": "ignored",
}

Part = tuple[str, str]


def service_title(detail: ServiceDetail) -> str:
    """Name and kind."""
    return f"{plain(detail.service)} · {detail.kind}"


def service_lines(detail: ServiceDetail, width: int, key: Key = key_of) -> list[Line]:
    """State and reason, the last hour, what goes through, errors, probes and process."""
    lines: list[Line] = []
    for section in (partial(_head, key=key), _hour, _traffic, _errors, _probes, _process):
        found = [clip(one, width) for one in section(detail, width)]
        if found and lines:
            lines.append(Line())
        lines += found
    return lines


# --- the breaker ----------------------------------------------------------------------------


def _head(detail: ServiceDetail, width: int, key: Key) -> Iterator[Line]:
    circuit = detail.circuit
    glyph, tone = ("■", "accent") if circuit.forced else BREAKER_GLYPHS.get(detail.breaker, ("·", "dim"))
    word = f"FORCED {circuit.state}" if circuit.forced else circuit.state
    # A sliver of a screen has no frame to hold the name and the keys.
    name = () if width >= _NARROW else (" ", (plain(detail.service), "strong"))
    state = line(*name, " ", (f"{glyph} {word}", f"{tone}-strong"), f"  {_wait(detail)}")
    health = _health(detail) if detail.kind != "target" else Line()
    if state.width + health.width < width:
        yield spread(state, health, width)
    else:
        yield state
        if health.spans:
            yield Line((Span(" "), *health.spans))
        if width < _NARROW:
            yield _keys(detail, key)
    if circuit.forced:
        holder = plain(circuit.forced_by or "a person")
        yield from folded(line((" held by ", "dim")), f"{holder}{_why(circuit.forced_reason)}", "", width)
    elif circuit.reason:
        by = f" by {plain(circuit.by)}" if circuit.by else ""
        at = f" since {time_of_day(circuit.since)}{by}: " if circuit.since else " "
        yield from folded(line((at, "dim")), plain(circuit.reason), "", width)


def service_keys(detail: ServiceDetail, key: Key = key_of) -> tuple[tuple[str, str], ...]:
    """The keys that act on it, and what they do. Those of the table are as ``key`` says."""
    named = [(key(action), action) for action in ("reset", "open", "close")]
    keys = (*(pair for pair in named if pair[0]), ("h", "half-open"))
    return keys if detail.kind == "target" else (*keys, ("R", "restart"))


def _keys(detail: ServiceDetail, key: Key) -> Line:
    """Those that fit; the rest work all the same."""
    shown = (pair for pair in service_keys(detail, key) if pair[1] != "half-open")
    return line(*(part for key, word in shown for part in ((f" {key}", "key"), f" {word}")))


def _wait(detail: ServiceDetail) -> str:
    circuit = detail.circuit
    if circuit.forced == "open":
        return "nothing passes until it is reset"
    if circuit.forced == "closed":
        return "everything passes until it is reset"
    if detail.breaker == "OPEN":
        return (
            f"tries again in {duration(circuit.retry_after)}"
            if circuit.retry_after
            else "the next call tries"
        )
    if detail.breaker == "HALF_OPEN":
        return "one call tries"
    return f"{circuit.failure_count} of {circuit.failure_threshold} failures in a row"


def _why(reason: str) -> str:
    return f": {plain(reason)}" if reason else ""


def _health(detail: ServiceDetail) -> Line:
    parts: list[str | Part] = []
    for check in ("startup", "readiness", "liveness"):
        verdict = getattr(detail, check)
        glyph, tone = HEALTH_GLYPHS.get(verdict, ("·", "dim"))
        parts += ["  " if parts else "", (f"{check} ", "dim"), (glyph, tone)]
    return line(*parts)


def _hour(detail: ServiceDetail, width: int) -> Iterator[Line]:
    legend = line(*(part for word in _WORSE[1:] for part in _legend(word)))
    yield spread(line((" Last hour", "strong")), legend if width >= _NARROW else Line(), width)
    cells = strip(detail.timeline, width - 2)
    yield Line((Span(" "), *cells))
    used = min(width - 2, len(detail.timeline))
    yield spread(line((" 1 h ago", "dim")), line(("now", "dim")), used + 1)
    for move in reversed(detail.changes[-5:]):
        yield _move(move, width)


def _legend(word: str) -> tuple[Part, Part]:
    glyph, tone = _STRIP[word]
    return (f"  {glyph}", tone), (f" {word.lower().replace('_', '-')}", "dim")


def strip(timeline: Sequence[str], width: int) -> list[Span]:
    """States over time in at most ``width`` cells, the worst of each stretch, as runs of one tone."""
    cells = min(max(0, width), len(timeline))
    edges = [place * len(timeline) // cells for place in range(cells + 1)] if cells else []
    spans: list[Span] = []
    for start, end in pairwise(edges):
        glyph, tone = _STRIP[max(timeline[start:end], key=_WORSE.index)]
        if spans and spans[-1].tone == tone:
            spans[-1] = Span(spans[-1].text + glyph, tone)
        else:
            spans.append(Span(glyph, tone))
    return spans


def _move(move: BreakerMove, width: int) -> Line:
    tone = BREAKER_GLYPHS.get(move.to_state, ("·", "dim"))[1]
    came = "" if width < _NARROW else f"{move.from_state:>9} → "
    by = f"{plain(move.by)}: " if move.by else ""
    return line(
        (f" {time_of_day(move.at)}  ", "dim"),
        came,
        (f"{move.to_state:<9}", tone),
        (f"  {by}", "accent" if by else ""),
        (plain(move.reason), "dim"),
    )


# --- what goes through it -------------------------------------------------------------------


def _traffic(detail: ServiceDetail, width: int) -> Iterator[Line]:
    yield line((" Traffic", "strong"))
    if detail.kind != "target":
        latency = detail.latency_ms
        speed = [
            ("", f"{detail.calls_per_second:.1f}/s"),
            ("p50", millis(latency.p50)),
            ("p95", millis(latency.p95)),
            ("p99", millis(latency.p99)),
        ]
        yield from _facts("calls", speed, width)
        yield from _curve("calls 2 min", detail.calls, width)
        yield from _curve("p95 1 min", [round(ms * 1_000) for ms in detail.p95_ms], width)
    told = [(name, count(detail.counters.get(key, 0))) for name, key in _COUNTERS.items()]
    yield from _facts("breaker", told, width)
    yield from _places(detail, width)
    if detail.budget is not None:
        budget = detail.budget
        used = f"{budget.used} of {budget.allowed} in 10 s"
        yield from _facts("retries", [("", used), ("refused", count(budget.refused))], width)
    if detail.deliveries is not None:
        done = detail.deliveries
        figures = {"handled": done.handled, "failed": done.failed, "timed out": done.timed_out}
        figures |= {"parked": done.parked, "abandoned": done.abandoned}
        told = [(name, count(number)) for name, number in figures.items()]
        yield from _facts("deliveries", told, width)
    yield from _chain(detail, width)


def _curve(name: str, series: Sequence[int], width: int) -> Iterator[Line]:
    """Figures over time; nothing while there are none."""
    if any(series):
        room = min(_CURVE, width - _NAME - 2)
        yield line((f" {name:<{_NAME}}", "dim"), (sparkline(series, room), "accent"))


def _places(detail: ServiceDetail, width: int) -> Iterator[Line]:
    hold = detail.bulkhead
    told = [("", f"{hold.busy} of {hold.max_concurrent} busy")]
    if hold.queue_size is None:
        told += [("waiting", count(hold.waiting)), ("of them on disk", count(hold.on_disk))]
    else:
        told += [
            ("waiting", f"{count(hold.waiting)} of {count(hold.queue_size)}"),
            ("rejected", count(hold.rejected)),
            ("timed out", count(hold.timed_out)),
        ]
    yield from _facts("bulkhead", told, width)


def _chain(detail: ServiceDetail, width: int) -> Iterator[Line]:
    chain = detail.fallbacks
    if chain is None:
        return
    parts: list[str | Part] = [(f" {'fallback':<{_NAME}}", "dim")]
    for place, step in enumerate([detail.service, *chain.steps]):
        used = chain.active == step if place else chain.active is None
        mark, tone = ("▸ ", "accent-strong" if place else "good-strong") if used else ("", "dim")
        parts += [(" → ", "dim") if place else "", (mark + plain(step), tone)]
    yield line(*parts)
    answers = [("by itself", chain.primary), ("by a fallback", chain.fallback), ("by none", chain.exhausted)]
    yield from _facts("answered", [(name, count(number)) for name, number in answers], width)


def _facts(name: str, told: Sequence[Part], width: int) -> Iterator[Line]:
    """A name and figures, on as many rows as they need."""
    head = line((f" {name:<{_NAME}}", "dim"))
    row = head
    for label, value in told:
        gap = "" if row is head else _GAP
        part = line(gap, (f"{label} " if label else "", "dim"), value)
        if row is not head and row.width + part.width > width:
            yield row
            head = row = line(" " * (_NAME + 1))
            part = line((f"{label} " if label else "", "dim"), value)
        row = Line((*row.spans, *part.spans))
    yield row


# --- what was found -------------------------------------------------------------------------


def _probes(detail: ServiceDetail, width: int) -> Iterator[Line]:
    if detail.kind == "target":
        return
    due = f"next in {duration(detail.next_probe_in)}" if detail.next_probe_in is not None else ""
    yield spread(line((" Probes", "strong")), line((due, "dim")), width)
    for probe in reversed(detail.probes):
        glyph, tone = HEALTH_GLYPHS["fail" if probe.error else "pass"]
        yield line(
            (f" {time_of_day(probe.at)}  ", "dim"),
            (glyph, tone),
            f" {fit(probe.check, 10)}",
            f"{millis(probe.ms):>8}",
            (f"   {plain(probe.error or '')}", "dim"),
        )
    if not detail.probes:
        yield line(("   none yet", "dim"))


def _errors(detail: ServiceDetail, width: int) -> Iterator[Line]:
    if not detail.errors:
        return
    yield line((" Errors", "strong"))
    for one in detail.errors:
        times = f"{count(one.count)} ×"
        at = (f" {time_of_day(one.last_at)}  ", "dim")
        yield from folded(line(at, f"{times:>7}   "), plain(one.error), "bad", width)


def _process(detail: ServiceDetail, width: int) -> Iterator[Line]:
    facts = detail.details
    if not facts:
        return
    yield spread(line((" Service", "strong")), line((plain(facts.get("transport", "")), "dim")), width)
    for key, name in _FACTS.items():
        value = facts.get(key)
        if value not in (None, "", [], ()):
            yield line((f" {name:<{_NAME}}", "dim"), plain(_text(value)))
    rows = [row for row in str(facts.get("stderr", "")).splitlines() if row.strip()]
    for place, row in enumerate(rows[-_STDERR_ROWS:]):
        yield line((f" {'' if place else 'stderr':<{_NAME}}", "dim"), (plain(row), "dim"))


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
