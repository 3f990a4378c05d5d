"""What the Replay tab says of plans and replays, as lines: pure functions of replies and a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from event_monitor.dashboard.actions import key_of
from event_monitor.dashboard.replay.question import Question, speed_text
from event_monitor.dashboard.replay.times import span_text
from event_monitor.model import DeliveryState, ReplayState, Status
from event_monitor.replies.replays import ReplayedEvent, ReplayPlan, ReplayReport, ReplayTargetInfo
from event_monitor.widgets.content import OUTCOMES
from event_monitor.widgets.hints import Key
from event_monitor.widgets.text import (
    Line,
    Span,
    clip,
    count,
    duration,
    fit,
    gauge,
    line,
    plain,
    spread,
    time_of_day,
)

STATES = {
    ReplayState.RUNNING: ("▸", "busy"),
    ReplayState.PAUSED: ("■", "accent"),
    ReplayState.DONE: ("✔", "good"),
    ReplayState.STOPPED: ("✖", "dim"),
}
# From so many events on a plan may take more than a second.
_MANY = 200_000
_LIVE = (ReplayState.RUNNING, ReplayState.PAUSED)
Part = tuple[str, str]


def counted(number: int, what: str) -> str:
    """``1 event``, ``1,204 events``."""
    return f"{count(number)} {what}" + ("" if number == 1 else "s")


def flow(parts: Sequence[tuple[Part, ...]], width: int, indent: int = 2, gap: int = 2) -> list[Line]:
    """Parts of some spans each, as many on a row as fit, ``gap`` cells apart."""
    rows: list[Line] = []
    spans: list[Span] = []
    used = 0
    for part in parts:
        piece = line(*part)
        if spans and used + gap + piece.width > width:
            rows.append(clip(Line(tuple(spans)), width))
            spans = []
        if not spans:
            spans, used = [Span(" " * indent)], indent
        else:
            spans.append(Span(" " * gap))
            used += gap
        spans += clip(piece, max(1, width - used)).spans
        used += piece.width
    return [*rows, clip(Line(tuple(spans)), width)] if spans else rows


def sentence(text: str, width: int, tone: str = "") -> list[Line]:
    """A sentence, broken between words."""
    return flow([((word, tone),) for word in text.split()], width, 1, 1)


def empty_lines(width: int) -> list[Line]:
    """What the tab is for, while there is nothing to replay."""
    told = (
        "Whatever is published is kept for a month and can be delivered again from here: choose a span, look "
        "at the plan, play it at any speed. Publish a first event:"
    )
    return [
        line((" Nothing is recorded yet.", "strong")),
        *(sentence(told, width) if width >= 60 else sentence("Publish a first event:", width)),
        line((" event-cli publish hello.world", "accent")),
    ]


# --- the plan -------------------------------------------------------------------------------


def plan_lines(plan: ReplayPlan, question: Question, width: int, height: int) -> list[Line]:
    """What would happen: how much and how long, by type, by target, and what is left out."""
    takes = speed_text(plan.speed)
    if plan.speed != "max":
        takes = f"{duration(plan.seconds)} at {takes}"
    head = line(" ", (counted(plan.events, "event"), "strong"), f" · {takes}")
    if not plan.events:
        head = line(" ", ("Nothing here can be replayed.", "strong"))
    lines = [head, *_asked(question, width)]
    if height <= 3:
        lines = [head]
    targets = _targets_of(plan, width)
    left_out = _left_out(plan, width, "dim" if question.targets else "warn")
    room = height - len(lines) - len(targets) - len(left_out)
    lines += _types(plan.by_type, width, max(0 if height <= 3 else 1, room))
    lines += [*targets, *left_out]
    if not plan.events and height > 3:
        lines.append(line((" Move or stretch the span, or take other types.", "dim")))
    return [clip(one, width) for one in lines[:height]]


def _asked(question: Question, width: int) -> list[Line]:
    parts: list[tuple[Part, ...]] = []
    if question.type:
        parts.append((("type ", "dim"), (plain(question.type), "accent")))
    if question.filter:
        parts.append((("regex ", "dim"), (plain(question.filter), "accent")))
    if question.replays:
        parts.append((("replays too", "accent"),))
    return flow(parts, width, 1)


def _types(by_type: Mapping[str, int], width: int, room: int) -> list[Line]:
    ordered = sorted(by_type.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered if len(ordered) <= room else ordered[: max(0, room - 1)]
    lines = [spread(line("  ", plain(name)), line(count(number), " "), width) for name, number in shown]
    rest = ordered[len(shown) :]
    if rest and room:
        told = f"  … and {counted(len(rest), 'more type')}"
        lines.append(spread(line((told, "dim")), line((count(sum(n for _, n in rest)) + " ", "dim")), width))
    return lines


def _targets_of(plan: ReplayPlan, width: int) -> list[Line]:
    if not plan.by_target:
        return []
    ordered = sorted(plan.by_target.items(), key=lambda item: (-item[1], item[0]))
    parts: list[tuple[Part, ...]] = []
    for name, number in ordered:
        amount = "" if number == plan.events else f" {count(number)}"
        parts.append((("" if parts else "→ ", "accent"), (plain(name), ""), (amount, "dim")))
    return flow(parts, width, 1)


def _left_out(plan: ReplayPlan, width: int, tone: str) -> list[Line]:
    """By reason, so that one line says why for all that it holds for."""
    reasons: dict[str, list[tuple[str, int]]] = {}
    for name, number in plan.excluded.items():
        reasons.setdefault(plan.why.get(name, ""), []).append((name, number))
    lines: list[Line] = []
    for why, names in reasons.items():
        parts: list[tuple[Part, ...]] = [(("left out", "dim"),)]
        if why.startswith("events "):
            parts += [((word, "dim"),) for word in f"{count(names[0][1])} {plain(why)}".split()]
        else:
            for place, (name, number) in enumerate(names):
                more = "," if place < len(names) - 1 else ":" if why else ""
                parts.append(((f"{plain(name)} {count(number)}{more}", tone),))
            parts += [((word, "dim"),) for word in plain(why).split()]
        lines += flow(parts, width, 1, 1)
    return lines


def waiting_lines(waited: float, recorded: int | None, width: int, height: int) -> list[Line]:
    """While the plan is worked out: how long already, and why it may take a while."""
    lines = [line((f" Counting what would be delivered … {waited:.0f} s", "strong"))]
    if recorded is not None and recorded >= _MANY:
        lines += sentence(f"{count(recorded)} events lie in this span: it takes a while.", width, "dim")
    lines.append(line((" ", ""), ("esc", "key"), (" gives up", "dim")))
    return [clip(one, width) for one in lines[:height]]


def dimmed(lines: Sequence[Line]) -> list[Line]:
    """Lines that do not hold any more, kept until others come."""
    return [Line(tuple(Span(span.text, "dim") for span in one.spans)) for one in lines]


def play_lines(
    plan: ReplayPlan, question: Question, effects: Sequence[ReplayTargetInfo], width: int
) -> list[Line]:
    """What a person is to know before a replay begins."""
    parts: list[tuple[Part, ...]] = []
    for name, number in sorted(plan.by_target.items(), key=lambda item: (-item[1], item[0])):
        arrow = ("" if parts else "→ ", "accent")
        parts.append((arrow, (plain(name), "strong"), (f" {count(number)}", "dim")))
    takes = f"  takes {duration(plan.seconds)}" if plan.speed != "max" else ""
    lines = [line(span_text(question.span.since, question.span.until), (takes, "dim"))]
    # What cannot be taken back comes first: the smallest screen may have no room for the rest.
    for info in effects:
        lines += _effect(info, f", {counted(plan.by_target[info.name], 'time')}", width)
    lines += [*_asked(question, width), *flow(parts, width, 0)]
    left = [plain(name) for name, why in plan.why.items() if not why.startswith("events ")]
    if left:
        lines += flow([(("left out:", "dim"),), *(((name, "dim"),) for name in left)], width, 0, 1)
    return [clip(one, width) for one in lines]


def warning_lines(effects: Sequence[ReplayTargetInfo], events: int | None, width: int) -> list[Line]:
    """What would happen if these targets were named."""
    lines: list[Line] = []
    for info in effects:
        lines += _effect(info, "", width)
    if events is not None:
        told = f"Up to {counted(events, 'event')} of the chosen span would be delivered to each."
        lines += flow([((word, "dim"),) for word in told.split()], width, 0, 1)
    return lines


def stop_lines(report: ReplayReport, width: int) -> list[Line]:
    """What a stop means."""
    left = max(0, report.events - report.replayed)
    told = f"{counted(report.replayed, 'event')} replayed, {count(left)} not. What was published stays."
    return flow([((word, ""),) for word in told.split()], width, 0, 1)


def _effect(info: ReplayTargetInfo, more: str, width: int) -> list[Line]:
    words = [((word, ""),) for word in f"{plain(info.effect)}{more}".split()]
    return flow([(("▲ ", "warn"), (plain(info.name), "warn-strong")), *words], width, 0, 1)


# --- the replays ----------------------------------------------------------------------------


def runs_lines(
    reports: Sequence[ReplayReport],
    chosen: ReplayReport | None,
    results: Sequence[ReplayedEvent],
    width: int,
    height: int,
    key: Key = key_of,
) -> list[Line]:
    """All replays, the chosen one in full, and what it did last. Keys are named as ``key`` says."""
    if not reports:
        play = key("replay_play")
        hint = f"Choose a span above, look at the plan, and {f'press {play}' if play else 'play it'}."
        return [line((" Nothing was replayed yet.", "strong")), *sentence(hint, width)][:height]
    shown = listed(reports, chosen, height)
    lines = [_row(report, width, selected=report is chosen) for report in shown]
    lines += _detail(chosen, width, height < 8, key) if chosen is not None else []
    lines += [_result(one, width) for one in results[: max(0, height - len(lines))]]
    return [clip(one, width) for one in lines[:height]]


def listed(
    reports: Sequence[ReplayReport], chosen: ReplayReport | None, height: int
) -> Sequence[ReplayReport]:
    """The replays that have a row each, the chosen one among them."""
    rows = height if chosen is None else max(1, (height - 3) // 3)
    place = reports.index(chosen) if chosen is not None else 0
    top = min(max(0, place - rows // 2), max(0, len(reports) - rows))
    return reports[top : top + rows]


def _row(report: ReplayReport, width: int, *, selected: bool) -> Line:
    glyph, tone = STATES[report.state]
    speed = "max" if report.speed == "max" else speed_text(report.speed)
    done = min(report.replayed, report.events)
    share = done / report.events if report.events else 1.0
    head = line(
        ("▸" if selected else " "),
        (f"{report.id:>3} ", "dim"),
        (f"{glyph} {report.state}", tone),
        (f" {speed}" if report.state in _LIVE else "", ""),
        row="select" if selected else "",
    )
    live = report.state in _LIVE
    figures = f"{count(done)} of {count(report.events)}"
    left = f"  {duration(report.seconds_left)}" if report.seconds_left and live else ""
    failed = f"  {count(report.failed)} failed" if report.failed else ""
    room = width - head.width - 2
    # What there is no room for stands in full below, for the chosen one.
    for wanted in (f"{figures}{left}{failed}", f"{figures}{failed}", figures):
        if len(wanted) <= room:
            break
    else:
        return clip(head, width)
    end = [(figures, "")]
    if wanted != figures:
        end += [(left, "dim")] if left and left in wanted else []
        end += [(failed, "bad")]
    room -= len(wanted) + 1
    if live and room >= 6:
        full, empty = gauge(share, min(room, 24))
        end = [(full, "accent"), (f"{empty} ", "dim"), *end]
    elif not live and room >= 12:
        about = f"{time_of_day(report.created_at)}  {plain(report.type or 'all types')}"
        end = [(fit(about, room - 1) + " ", "dim"), *end]
    return spread(head, line(" ", *end, " "), width)


def _detail(report: ReplayReport, width: int, short: bool, key: Key) -> list[Line]:
    delivered = max(0, report.replayed - report.failed - report.under_way)
    figures: list[tuple[Part, ...]] = [
        (("delivered ", "dim"), (count(delivered), "good" if delivered else "")),
        (("failed ", "dim"), (count(report.failed), "bad-strong" if report.failed else "")),
        (("skipped ", "dim"), (count(report.skipped), "")),
    ]
    if report.under_way:
        figures.append((("under way ", "dim"), (count(report.under_way), "busy")))
    lines = flow(figures, width, 1)
    if report.state in _LIVE and report.at:
        reached = line(
            (" at ", "dim"), time_of_day(report.at, precise=True), (" of what was recorded", "dim")
        )
        lines += [] if short else [reached]
    for text in (report.waits, report.note):
        if text:
            lines.append(line(" ", ("▲ ", "warn"), plain(text)))
    if report.failed and not short:
        offers = (("replay_failures", "dead letters"), ("replay_results", "results with errors"))
        pairs = [(found, word) for action, word in offers if (found := key(action))]
        lines.append(line(" ", *(part for found, word in pairs for part in ((found, "key"), f" {word}   "))))
    return lines if not short else lines[:2]


def _result(one: ReplayedEvent, width: int) -> Line:
    recorded = time_of_day(one.recorded_at or one.replayed_at, precise=width >= 44)
    groups: dict[DeliveryState, list[str]] = {}
    for target, state in one.outcomes:
        groups.setdefault(state, []).append(plain(target))
    targets: list[Part | str] = []
    for state, names in groups.items():
        targets += [" ", OUTCOMES[state], (f" {' '.join(names)} ", "dim")]
    if width < 44:
        targets = [" ", _worst(one)]
    kind = fit(plain(one.event_type), 20) if width >= 60 else plain(one.event_type)
    mark = "bad" if one.status is Status.DEAD else ""
    whole = line(" ", (recorded, "dim"), " ", (kind, mark), *targets)
    if one.error and width >= 60:
        whole = Line((*whole.spans, *line("  ", (plain(one.error), "bad")).spans))
    return clip(whole, width)


def _worst(one: ReplayedEvent) -> Part:
    order = list(OUTCOMES)
    states = [state for _, state in one.outcomes]
    return OUTCOMES[max(states, key=order.index)] if states else ("·", "dim")


def results_lines(results: Sequence[ReplayedEvent], width: int) -> list[Line]:
    """The last events of a replay in full, each with its targets and error."""
    if not results:
        return [line(("Nothing that it published is still known.", "dim"))]
    lines: list[Line] = []
    for one in results:
        head = line(
            (f"#{one.id} ", "accent"),
            (plain(one.event_type), "strong"),
            (f"  replay of #{one.replay_of}", "dim"),
            (f", recorded {time_of_day(one.recorded_at, precise=True)}" if one.recorded_at else "", "dim"),
        )
        lines.append(clip(head, width))
        if one.summary:
            lines.append(clip(line("  ", (plain(one.summary), "dim")), width))
        parts: list[tuple[Part, ...]] = []
        for target, state in one.outcomes:
            glyph, tone = OUTCOMES[state]
            parts.append(((glyph, tone), (f" {plain(target)} {state}", "")))
        lines += flow(parts, width, 2)
        if one.error:
            lines.append(clip(line("  ", (plain(one.error), "bad")), width))
    return lines
