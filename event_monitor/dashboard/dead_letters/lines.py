"""What the Dead letters tab says, as lines: pure functions of data and a size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from event_monitor.dashboard.dead_letters.tree import DeadTree, Row
from event_monitor.dashboard.detail import payload_lines
from event_monitor.redaction import redact
from event_monitor.replies.dead_letters import DeadGroup, RetryRun, RetryState
from event_monitor.replies.general import DeadLetter
from event_monitor.summary import summarise
from event_monitor.widgets.content import PRIORITY_TONES
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
    plain,
    spread,
    time_of_day,
)

EMPTY = (
    ("✔ No dead letters.", "good-strong"),
    ("An event stands here when a target has given it up after its last retry,", ""),
    ("with every error, until you retry it, correct its payload, or drop it.", ""),
    ("2 shows all events, 1 the Overview; event-cli dlq is the same for scripts.", "dim"),
)
NONE_FIT = (("No dead letter passes the filter. esc clears it.", "dim"),)
WAITING = (("reading …", "dim"),)
_NARROW = 60
_GLYPHS = {
    RetryState.RUNNING: ("▸", "busy"),
    RetryState.STOPPED: ("■", "accent"),
    RetryState.DONE: ("✔", "good"),
}


def letters_word(number: int) -> str:
    """``1 dead letter``, ``1,204 dead letters``."""
    return f"{count(number)} dead letter{'' if number == 1 else 's'}"


def way(group: DeadGroup) -> str:
    """What a group is about in one breath: ``backup.completed → storage``."""
    return f"{plain(group.event_type)} → {plain(group.target)}"


def row_line(row: Row, tree: DeadTree, width: int, mask: Sequence[str], *, selected: bool) -> Line:
    """One row of the list."""
    if row.letter is None:
        shown = _group_line(row.group, row.group.id in tree.members, width, selected)
    else:
        shown = _letter_line(row.letter, width, mask, selected)
    return Line(shown.spans, "select" if selected else "")


def _group_line(group: DeadGroup, unfolded: bool, width: int, selected: bool) -> Line:
    head = line(
        ("▸" if selected else " ", "accent-strong"),
        ("-" if unfolded else "+", "key"),
        (f"{count(group.letters):>{7 if width >= _NARROW else 6}}  ", "bad-strong"),
    )
    last = line((f" {time_of_day(group.last_at)} ", "dim"))
    if width < _NARROW:
        last = line((f" {time_of_day(group.last_at)[:5]} ", "dim"))
        return spread(line(*head.spans, (way(group), "strong")), last, width)
    room = width - head.width - last.width
    names = max(20, min(44, room // 2))
    about = line((fit(way(group), names), "strong"), "  ", (plain(group.error), "bad"))
    return spread(line(*head.spans, *clip(about, room).spans), last, width)


def _letter_line(letter: DeadLetter, width: int, mask: Sequence[str], selected: bool) -> Line:
    mark = ("▸" if selected else " ", "accent-strong")
    if width < _NARROW:
        last = line((f" {time_of_day(letter.dead_at)[:5]} ", "dim"))
        return spread(line(mark, (f"   #{letter.id} ", "accent"), plain(letter.error)), last, width)
    head = line(mark, (f"      #{letter.id:<8} ", "accent"))
    last = line((f" {time_of_day(letter.dead_at)} ", "dim"))
    room = width - head.width - last.width
    summary = plain(summarise(letter.event_type, redact(letter.payload, mask)))
    about = line(fit(summary, max(16, room // 3)), "  ", (plain(letter.error), "dim"))
    return spread(line(*head.spans, *clip(about, room).spans), last, width)


def hint_lines(hints: Sequence[tuple[str, str]], width: int) -> list[Line]:
    """A few words in place of a list, wrapped."""
    return [line(" ", (row, tone)) for text, tone in hints for row in textwrap.wrap(text, max(width - 2, 10))]


# --- details --------------------------------------------------------------------------------


def group_lines(group: DeadGroup, width: int) -> list[Line]:
    """All about a group."""
    lines = [
        line((f" {letters_word(group.letters)} ", "bad-strong"), (way(group), "strong")),
        line(
            (" first ", "dim"),
            f"{moment(group.first_at)}",
            ("   last ", "dim"),
            f"{moment(group.last_at)}",
            ("   newest event ", "dim"),
            (f"#{group.last_id}", "accent"),
        ),
        line((" kind  ", "dim"), plain(group.error)),
        line((" last error of the newest:", "dim")),
    ]
    return [clip(one, width) for one in lines] + _wrapped(group.sample, width, "bad")


def letter_lines(letter: DeadLetter, width: int, mask: Sequence[str]) -> list[Line]:
    """All about a letter: each error with its time, then the payload."""
    tries = f"{letter.attempts} attempt{'' if letter.attempts == 1 else 's'}"
    lines = [
        clip(
            line(
                (f" #{letter.id} ", "accent-strong"),
                (f"{plain(letter.event_type)} → {plain(letter.target)}", "strong"),
                (f"  {letter.priority}", PRIORITY_TONES[letter.priority]),
                (f"  given up {moment(letter.dead_at)} after {tries}", "dim"),
            ),
            width,
        ),
        line((f" Errors, {len(letter.errors)}", "strong")),
    ]
    for error in letter.errors:
        first, *rest = _wrapped(error.get("error", ""), width - 12, "bad") or [Line()]
        lines.append(Line((Span(f"  {time_of_day(error.get('at', ''))} ", "dim"), *first.spans)))
        lines += [Line((Span(" " * 11), *row.spans)) for row in rest]
    lines.append(line((" Payload", "strong")))
    return lines + payload_lines(letter.payload, width, mask)


def moment(stamp: str) -> str:
    """A time with its day, as people here read it."""
    return f"{stamp[:10]} {time_of_day(stamp)}"


def _wrapped(text: str, width: int, tone: str) -> list[Line]:
    rows = textwrap.wrap(plain(text), max(width - 2, 10), max_lines=20, placeholder=" …")
    return [line("  ", (row, tone)) for row in rows]


# --- retries --------------------------------------------------------------------------------


def rate_word(rate: float) -> str:
    """``10/s``, or ``at once`` for 0."""
    return f"{rate:g}/s" if rate else "at once"


def run_line(run: RetryRun, width: int) -> Line:
    """How a retry stands, in one row."""
    glyph, tone = _GLYPHS[run.state]
    if width < _NARROW:
        return clip(
            line(
                (f" {glyph} ", tone),
                f"{rate_word(run.rate)}  {count(run.retried)} of {count(run.letters)}",
                ("  ✔ ", "good"),
                count(run.delivered),
                ("  ✖ ", "bad"),
                count(run.failed),
            ),
            width,
        )
    left = ""
    if run.waits:
        left = f"waits: {plain(run.waits)}"
    elif run.seconds_left is not None:
        left = f"{duration(run.seconds_left)} left"
    head = line((f" {glyph} ", tone), (f"retry {run.id} {run.state}", "strong"), f" {rate_word(run.rate)} ")
    figures = line(
        f" {count(run.retried)} of {count(run.letters)}",
        ("  ✔ ", "good"),
        count(run.delivered),
        ("  ✖ ", "bad"),
        count(run.failed),
        (f"  {count(run.under_way)} under way" if run.under_way else "", "dim"),
        (f"  {left}" if left else "", "dim"),
    )
    share = run.retried / run.letters if run.letters else 1.0
    room = min(30, width - head.width - figures.width)
    full, rest = gauge(share, room) if room >= 6 else ("", "")
    return clip(Line((*head.spans, Span(full, "busy"), Span(rest, "dim"), *figures.spans)), width)


def runs_lines(runs: Sequence[RetryRun], width: int) -> list[Line]:
    """The last retries, the newest first."""
    lines: list[Line] = []
    for run in runs:
        about = [f"groups {', '.join(map(str, run.groups))}"] if run.groups else []
        about += [text for text in (run.event_type, run.target) if text]
        about += [f"#{run.event_id}"] if run.event_id is not None else []
        lines += [
            run_line(run, width),
            clip(
                line(
                    (f"   begun {moment(run.created_at)} by {plain(run.begun_by) or 'a person'}", "dim"),
                    (f"   {cut(plain(' '.join(about)), 60) or 'all'}", "dim"),
                ),
                width,
            ),
        ]
    return lines or hint_lines(
        [
            ("No retry at a rate yet.", "strong"),
            ("[ and ] choose how many a second; R retries a group, A all that the filter leaves.", ""),
        ],
        width,
    )
