"""Groups of dead letters and their retries as text for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from event_monitor.grammar.table import Column, facts, table
from event_monitor.replies.dead_letters import Corrected, DeadGroups, RetryRun, RetryRuns


def _groups(reply: DeadGroups, width: int, mask: Sequence[str]) -> str:
    if not reply.groups:
        return "no dead letters"
    columns = (
        Column("GROUP", right=True),
        Column("LETTERS", right=True),
        Column("TYPE", flexible=True),
        Column("TARGET"),
        Column("LAST"),
        Column("KIND OF ERROR", flexible=True),
    )
    rows = [
        (
            str(group.id),
            f"{group.letters:,}",
            group.event_type,
            group.target,
            _clock(group.last_at),
            group.error,
        )
        for group in reply.groups
    ]
    shown = table(columns, rows, width)
    left = reply.total - len(reply.groups)
    return f"{shown}\n\n{left:,} smaller groups are not shown: add --limit {reply.total}" if left else shown


def _corrected(reply: Corrected, width: int, mask: Sequence[str]) -> str:
    pairs = [
        (
            "corrected",
            f"{reply.corrects}, {reply.dropped:,} dead letter{'' if reply.dropped == 1 else 's'} dropped",
        ),
        ("event", f"{reply.id} {reply.event_type} {reply.priority}"),
        ("targets", ", ".join(reply.targets) or "none"),
    ]
    return facts(pairs, width)


def _run(reply: RetryRun, width: int, mask: Sequence[str]) -> str:
    if not reply.id:
        return "no dead letter matches: nothing is retried"
    pairs = [
        ("retry", f"{reply.id}, {reply.state}"),
        ("rate", f"{reply.rate:g} a second"),
        ("retried", f"{reply.retried:,} of {reply.letters:,}"),
        ("delivered", f"{reply.delivered:,}"),
        ("failed again", f"{reply.failed:,}"),
        ("under way", f"{reply.under_way:,}"),
        ("left", f"{reply.seconds_left:,.0f} s" if reply.seconds_left is not None else "-"),
        ("begun", f"{_clock(reply.created_at)} by {reply.begun_by or 'a person'}"),
    ]
    return facts([*pairs, *([("waits", reply.waits)] if reply.waits else [])], width)


def _runs(reply: RetryRuns, width: int, mask: Sequence[str]) -> str:
    if len(reply.runs) == 1:
        return _run(reply.runs[0], width, mask)
    if not reply.runs:
        return "no retries"
    columns = (
        Column("NUMBER", right=True),
        Column("STATE"),
        *(Column(name, right=True) for name in ("RATE", "LETTERS", "RETRIED", "DELIVERED", "FAILED AGAIN")),
        Column("BEGUN"),
    )
    rows = [
        (
            *(str(one.id), str(one.state), f"{one.rate:g}/s"),
            *(f"{count:,}" for count in (one.letters, one.retried, one.delivered, one.failed)),
            _clock(one.created_at),
        )
        for one in reply.runs
    ]
    return table(columns, rows, width)


def _clock(timestamp: str) -> str:
    return timestamp[:19].replace("T", " ")


LETTER_RENDERERS: dict[type, Callable[[Any, int, Sequence[str]], str]] = {
    DeadGroups: _groups,
    Corrected: _corrected,
    RetryRun: _run,
    RetryRuns: _runs,
}
