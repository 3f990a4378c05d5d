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
    ServiceView,
    Severity,
    Snapshot,
    SystemState,
    Transition,
)
from event_monitor.widgets.text import (
    Line,
    Span,
    clip,
    count,
    cut,
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

_WIDE_SERVICES = 76
_SERVICES_HEADING = f"   {'service':<14} {'breaker':<15}failures calls/s   p95   busy health now"

NO_SERVICES = (
    ("No service is watched yet.", "strong"),
    ("List what you depend on in event-bus/event-monitor.yaml:", ""),
    ("services:", "accent"),
    ("  - {name: db, kind: tcp, port: 5432}", "accent"),
    ("Kinds: http, tcp, command, mcp, process. Each is probed and protected.", "dim"),
)
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


def last_transition(snapshot: Snapshot, width: int) -> list[Line]:
    """The newest change of state on one line."""
    if not snapshot.transitions:
        return [line((" " + plain(snapshot.state_reason), "dim"))]
    newest = snapshot.transitions[-1]
    return [
        clip(
            line(
                " ",
                (time_of_day(newest.at), "dim"),
                "  ",
                *_arrow(newest),
                "  ",
                (plain(newest.reason), "dim"),
            ),
            width,
        )
    ]


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


# --- services -------------------------------------------------------------------------------


def services(
    views: tuple[ServiceView, ...],
    width: int,
    height: int,
    selected: str | None = None,
    *,
    unwatched: int = 0,
) -> list[Line]:
    """One line a service under a heading, or what to do while there is none."""
    if not views:
        return _no_services(width, height, unwatched)
    heading, shown = visible_services(views, width, height, selected)
    lines = [line((_SERVICES_HEADING, "dim"))] if heading else []
    return lines + [_service(view, width, view.name == selected) for view in shown]


def visible_services(
    views: tuple[ServiceView, ...], width: int, height: int, selected: str | None
) -> tuple[int, tuple[ServiceView, ...]]:
    """How many rows the heading takes, and the services for which there is room under it, the selected
    one among them."""
    heading = int(width >= _WIDE_SERVICES and height > len(views))
    place = next((place for place, view in enumerate(views) if view.name == selected), 0)
    room = max(1, height - heading)
    top = max(0, place - room + 1)
    return heading, views[top : top + room]


def _no_services(width: int, height: int, unwatched: int) -> list[Line]:
    if height < 2:
        declared = f", {unwatched} declared" if unwatched else ""
        return [clip(line((f" No service is watched yet{declared}", "dim")), width)]
    parts = list(NO_SERVICES)
    if unwatched:
        servers = "1 MCP server" if unwatched == 1 else f"{unwatched} MCP servers"
        parts.insert(1, (f"Your assistant declares {servers}: event-cli services discover", "accent"))
    return [clip(line(" ", part), width) for part in parts][:height]


def _service(view: ServiceView, width: int, selected: bool) -> Line:
    glyph, tone = ("■", "accent") if view.forced else BREAKER_GLYPHS.get(view.breaker, ("·", "dim"))
    word = f"FORCED {view.breaker}" if view.forced else view.breaker
    target = view.kind == "target"
    name = fit(plain(f"→ {view.name.removeprefix('target:')}" if target else view.name), 14)
    now = plain(view.fallback or view.note or "")
    mark, row = (" ▸ ", "select") if selected else ("   ", "")
    if width < _WIDE_SERVICES:
        figure = (millis(view.p95_ms), " ") if view.p95_ms is not None else ()
        return clip(line(mark, name, " ", (f"{glyph} {word:<9}", tone), " ", *figure, now, row=row), width)
    failures = f"{view.failure_count:>3} / {view.failure_threshold:<3}"
    breaker = (f"{glyph} {word:<13}", tone)
    health = "     " if target else " ".join(HEALTH_GLYPHS.get(one, ("·", "dim"))[0] for one in view.health)
    return clip(
        line(
            mark,
            name,
            " ",
            breaker,
            failures,
            f"{'–' if target else f'{view.calls_per_second:.1f}':>6}",
            f"{millis(view.p95_ms):>8}",
            f"{view.busy:>4}/{view.max_concurrent:<2}",
            f" {health} ",
            now,
            row=row,
        ),
        width,
    )


# --- system and alerts ----------------------------------------------------------------------


def system(snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """The state with its reason, then the last transitions, the newest first."""
    glyph, tone = STATE_GLYPHS[snapshot.state]
    lines = [
        line(
            " ",
            (f"{glyph} {snapshot.state}", f"{tone}-strong"),
            ("  since " + time_of_day(snapshot.state_since), "dim"),
        ),
    ]
    for transition in reversed(snapshot.transitions):
        lines.append(line(" ", (time_of_day(transition.at), "dim"), "  ", *_arrow(transition)))
        lines.append(line("           ", (cut(plain(transition.reason), width - 12), "dim")))
    return [clip(one, width) for one in lines[:height]]


def _arrow(transition: Transition) -> tuple[tuple[str, str] | str, ...]:
    tone = STATE_GLYPHS[transition.to_state][1]
    return (f"{transition.from_state} → ", (str(transition.to_state), tone))


def alerts(found: tuple[Alert, ...], width: int, height: int) -> list[Line]:
    """Unacknowledged alerts first, the newest first."""
    if not found:
        return [line((" ✔ nothing to report", "dim"))]
    ordered = sorted(found, key=lambda alert: alert.acknowledged)
    return [_alert(alert, width) for alert in ordered[:height]]


def _alert(alert: Alert, width: int) -> Line:
    glyph, tone = SEVERITY_GLYPHS[alert.severity]
    if alert.acknowledged:
        glyph, tone = "✔", "dim"
    times = f" ×{alert.count}" if alert.count > 1 else ""
    text = f"{plain(alert.title)}{times}"
    detail = f"  {plain(alert.detail)}" if alert.detail else ""
    strong = "dim" if alert.acknowledged else "strong"
    return clip(
        line(
            " ",
            (glyph, tone),
            " ",
            (time_of_day(alert.last_at or alert.at), "dim"),
            " ",
            (text, strong),
            (detail, "dim"),
        ),
        width,
    )


def banner(snapshot: Snapshot, width: int) -> Line | None:
    """What is wrong right now, on one line; ``None`` while all is well."""
    newest = next(
        (
            alert
            for alert in snapshot.alerts
            if not alert.acknowledged and alert.severity is not Severity.INFO
        ),
        None,
    )
    if snapshot.state in (SystemState.DEGRADED, SystemState.FAILED):
        glyph, _ = STATE_GLYPHS[snapshot.state]
        row = "banner-bad" if snapshot.state is SystemState.FAILED else "banner-warn"
        text = line(f" {glyph} {snapshot.state}  {plain(snapshot.state_reason)}", row=row)
    elif newest is not None:
        glyph, _ = SEVERITY_GLYPHS[newest.severity]
        row = "banner-bad" if newest.severity is Severity.CRITICAL else "banner-warn"
        times = f" ×{newest.count}" if newest.count > 1 else ""
        text = line(f" {glyph} {plain(newest.title)}{times}  {plain(newest.detail)}", row=row)
    else:
        return None
    return spread(text, line("  a acknowledge " if newest is not None and width >= 70 else " "), width)


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
