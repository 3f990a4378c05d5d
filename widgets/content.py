"""What each panel of the Overview says, as lines: pure functions of a snapshot and a size.

The same lines are drawn by the widgets and printed by ``event-monitor --once``.
"""

from __future__ import annotations

import os

from event_monitor.model import (
    PRIORITIES,
    Alert,
    DeliveryState,
    FeedItem,
    Priority,
    QueueView,
    RateView,
    ReplayMark,
    ReplayState,
    Severity,
    Snapshot,
    SystemState,
)
from event_monitor.widgets.text import (
    Line,
    Span,
    clip,
    count,
    duration,
    fit,
    gauge,
    line,
    millis,
    plain,
    sparkline,
    spread,
    time_of_day,
)

STATE_GLYPHS = {
    SystemState.INITIALIZING: ("◐", "busy"),
    SystemState.HEALTHY: ("●", "good"),
    SystemState.DEGRADED: ("▲", "warn"),
    SystemState.RECOVERING: ("◐", "busy"),
    SystemState.FAILED: ("✖", "bad"),
    SystemState.MAINTENANCE: ("■", "accent"),
}
BREAKER_GLYPHS = {"CLOSED": ("●", "good"), "OPEN": ("✖", "bad"), "HALF_OPEN": ("◐", "busy")}
SEVERITY_GLYPHS = {
    Severity.INFO: ("·", "dim"),
    Severity.WARNING: ("▲", "warn"),
    Severity.CRITICAL: ("✖", "bad"),
}
PRIORITY_TONES = {Priority.CRITICAL: "bad", Priority.HIGH: "warn", Priority.NORMAL: "", Priority.LOW: "dim"}
OUTCOMES = {
    DeliveryState.DELIVERED: ("✔", "good"),
    DeliveryState.QUEUED: ("·", "dim"),
    DeliveryState.RUNNING: ("▸", "busy"),
    DeliveryState.RETRYING: ("◐", "warn"),
    DeliveryState.PARKED: ("■", "accent"),
    DeliveryState.DEAD: ("✖", "bad"),
    DeliveryState.DROPPED: ("✖", "dim"),
    DeliveryState.EXPIRED: ("░", "dim"),
}
HEALTH_GLYPHS = {"pass": ("✔", "good"), "fail": ("✖", "bad")}

NO_EVENTS = (
    ("No event yet.", "strong"),
    ("Publish one from another shell:", ""),
    ("""event-cli publish hello.world '{"message": "it works"}'""", "accent"),
    ("or let your assistant's hooks run: event-cli hook", ""),
)


# --- header ---------------------------------------------------------------------------------


def header(snapshot: Snapshot, width: int, clock: str, lost: bool = False) -> Line:
    """Name, home, state, uptime and clock."""
    glyph, tone = STATE_GLYPHS[snapshot.state]
    state = (f"{glyph} {snapshot.state}", f"{tone}-strong") if not lost else ("✖ NO CONNECTION", "bad-strong")
    mark: tuple[str | tuple[str, str], ...] = ((" DEMO ", "demo"), " ") if snapshot.demo else ()
    name = line(" ", ("event-monitor", "strong"), "  ", *mark, (plain(_short_home(snapshot.home)), "dim"))
    right_side = line("  ", state, (f"  up {duration(snapshot.uptime)}", ""), ("   " + clock + " ", "dim"))
    return spread(name, right_side, width)


def header_notes(snapshot: Snapshot, width: int) -> Line:
    """A replay that is live, alerts that nobody has seen, and how many look on."""
    alerts = alert_count(snapshot.unacknowledged, short=width < 60)
    views = f"{snapshot.views} views " if snapshot.views > 1 else ""
    replay = _replay_mark(snapshot.replay, short=width < 100)
    return line(replay, "  " if replay[0] else "", *alerts, "  " if alerts else "", (views, "dim"))


def _replay_mark(mark: ReplayMark | None, *, short: bool) -> tuple[str, str]:
    """``▸ replay 10x 42 %``."""
    if mark is None:
        return "", ""
    running = mark.state is ReplayState.RUNNING
    speed = "max" if mark.speed is None else f"{mark.speed:g}x"
    parts = ("▸" if running else "■", "" if short else "replay", speed if running else "paused")
    others = f"+{mark.others}" if mark.others else ""
    told = " ".join(filter(None, (*parts, f"{int(mark.share * 100)} %", others)))
    return told, "busy" if running else "accent"


def alert_count(number: int, *, short: bool) -> tuple[tuple[str, str], ...]:
    """How many alerts wait to be seen; nothing if none does."""
    if not number:
        return ()
    word = "" if short else (" alert" if number == 1 else " alerts")
    return ((f"▲ {number}{word}", "warn-strong"),)


def _short_home(home: str) -> str:
    user = os.path.expanduser("~")
    return "~" + home[len(user) :] if home == user or home.startswith(user + "/") else home


# --- figures --------------------------------------------------------------------------------


def rate(view: RateView, width: int, height: int) -> list[Line]:
    """Events per second, latency, and two minutes of history."""
    per_second = f"{count(view.per_second)}/s" if view.per_second >= 10 else f"{view.per_second:.1f}/s"
    latency = view.latency_ms
    if height < 2:
        tail = line(("  p95 ", "dim"), millis(latency.p95))
        room = width - len(per_second) - tail.width - 2
        return [
            line(
                " ",
                (per_second, "strong"),
                " ",
                (sparkline(view.series, min(room, 60)), "accent"),
                *tail.spans,
            )
        ]
    figures = line(
        " ",
        (f"{per_second:>8}", "strong"),
        ("   peak ", "dim"),
        count(view.peak),
        ("   p50 ", "dim"),
        millis(latency.p50),
        ("  p95 ", "dim"),
        millis(latency.p95),
        ("  p99 ", "dim"),
        millis(latency.p99),
    )
    bars = sparkline(view.series, width - 2)
    scale = spread(line((" 2 min ago", "dim")), line(("now ", "dim")), width)
    return [figures, line(" ", (bars, "accent")), scale][:height]


def queue(view: QueueView, width: int, height: int) -> list[Line]:
    """What waits, against the limit, by priority, and where."""
    share = view.depth / view.limit if view.limit else 0.0
    tone = "good" if share < 0.5 else "warn" if share < 0.9 else "bad"
    age = duration(view.oldest_age) if view.oldest_age is not None else "–"
    if height < 2:
        full, empty = gauge(share, 10 if width >= 38 else 5)
        parts = line(" queue ", (count(view.depth), "strong"), " ", (full, tone), (empty, "dim"))
        rest = line(
            ("  dead ", "dim"),
            (count(view.dead), "bad" if view.dead else ""),
            ("  retry " if not view.parked else "  parked ", "dim"),
            count(view.parked or view.retrying),
        )
        return [clip(Line((*parts.spans, *rest.spans)), width)]
    label = line(" ", (count(view.depth), "strong"), (f" of {count(view.limit)}", "dim"))
    oldest = line(("oldest ", "dim"), age, " ")
    full, empty = gauge(share, max(5, width - label.width - oldest.width - 4))
    first = line(" ", (full, tone), (empty, "dim"))
    levels = [
        part
        for level, number in zip(PRIORITIES, view.by_priority, strict=True)
        for part in ((f" {level} ", "dim"), (f"{count(number)} ", PRIORITY_TONES[level] if number else ""))
    ]
    where = line(
        (" on disk ", "dim"),
        count(view.on_disk),
        ("  retrying ", "dim"),
        (count(view.retrying), "warn" if view.retrying else ""),
        ("  parked ", "dim"),
        count(view.parked),
        ("  dead ", "dim"),
        (count(view.dead), "bad" if view.dead else ""),
        ("  sampled ", "dim"),
        count(view.sampled),
    )
    return [
        clip(Line((*first.spans, *label.spans, Span("  "), *oldest.spans)), width),
        clip(line(*levels), width),
        clip(where, width),
    ][:height]


# --- banner ----------------------------------------------------------------------------------


_RISING = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def foremost(snapshot: Snapshot) -> Alert | None:
    """The worst alert that waits to be seen, of several the newest."""
    waiting = [alert for alert in snapshot.alerts if not alert.acknowledged]
    return max(waiting, key=lambda alert: _RISING.index(alert.severity), default=None)


def banner(snapshot: Snapshot, width: int, key: str) -> Line | None:
    """What is wrong right now, on one line; ``None`` while all is well. ``key`` acknowledges an alert."""
    worst = foremost(snapshot)
    if worst is not None and worst.severity is Severity.INFO:
        worst = None
    if snapshot.state in (SystemState.DEGRADED, SystemState.FAILED):
        glyph, _ = STATE_GLYPHS[snapshot.state]
        row = "banner-bad" if snapshot.state is SystemState.FAILED else "banner-warn"
        text = line(f" {glyph} {snapshot.state}  {plain(snapshot.state_reason)}", row=row)
    elif worst is not None:
        glyph, _ = SEVERITY_GLYPHS[worst.severity]
        row = "banner-bad" if worst.severity is Severity.CRITICAL else "banner-warn"
        times = f" ×{worst.count}" if worst.count > 1 else ""
        text = line(f" {glyph} {plain(worst.title)}{times}  {plain(worst.detail)}", row=row)
    else:
        return None
    offered = worst is not None and key and width >= 70
    return spread(text, line(f"  {key} acknowledge " if offered else " "), width)


# --- feed -----------------------------------------------------------------------------------


def feed_item(item: FeedItem, width: int, *, selected: bool = False) -> Line:
    """One event on one line, with what has become of it."""
    row = "select" if selected else ""
    mark = "▸" if selected else " "
    tone = PRIORITY_TONES[item.priority]
    if width < 60:
        return clip(
            line(
                mark,
                (time_of_day(item.timestamp), "dim"),
                " ",
                _worst(item),
                " ",
                (plain(item.event_type), tone),
                " ",
                (plain(item.summary), "dim"),
                row=row,
            ),
            width,
        )
    wide = width >= 100
    time = time_of_day(item.timestamp, precise=wide)
    level = fit(item.priority, 8) if wide else item.priority[0]
    outcome = line(*_outcomes(item)) if wide else line(_worst(item))
    kind = fit(plain(item.event_type), 24 if wide else 20)
    end = Line((Span("  "), *clip(outcome, 40).spans, Span(" ")))
    return spread(
        line(
            f"{mark} ",
            (time, "dim"),
            "  ",
            (level, tone),
            "  ",
            (kind, tone),
            "  ",
            plain(item.summary),
            row=row,
        ),
        end,
        width,
    )


def _worst(item: FeedItem) -> tuple[str, str]:
    order = list(OUTCOMES)
    states = [state for _, state in item.outcomes]
    return OUTCOMES[max(states, key=order.index)] if states else ("✔", "good")


def _outcomes(item: FeedItem) -> list[tuple[str, str] | str]:
    groups: dict[DeliveryState, list[str]] = {}
    for target, state in item.outcomes:
        groups.setdefault(state, []).append(plain(target))
    parts: list[tuple[str, str] | str] = []
    for state, targets in groups.items():
        glyph, tone = OUTCOMES[state]
        parts += ["  " if parts else "", (glyph, tone), (" " + " ".join(targets), "dim")]
        if state is not DeliveryState.DELIVERED:
            parts.append((f" {state}", tone))
    return parts
