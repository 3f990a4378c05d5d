"""The store as text for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from event_monitor.grammar.figures import clock, size
from event_monitor.grammar.table import facts
from event_monitor.grammar.text import clip, plain
from event_monitor.replies.store import ImportedLines, StoreStats, StoreWork


def work_line(work: StoreWork, width: int) -> str:
    """How work on the store stands, on one line."""
    share = f" ({work.done / work.total:.0%})" if work.total else ""
    found = f", {len(work.problems):,} problems" if work.problems else ""
    return clip(plain(f"{work.kind}: {work.done:,} of {work.total:,} {work.unit}{share}{found}"), width)


def _stats(reply: StoreStats, width: int, mask: Sequence[str]) -> str:
    total = sum(reply.events.values())
    back = "given back bit by bit" if reply.gives_back else "given back by store compact --full only"
    pinned = ", held by a reader of an older state" if reply.wal_pinned else ""
    pairs = [
        ("store", reply.path),
        ("size", f"{size(reply.size)}, {size(reply.free)} of it free ({back})"),
        ("write-ahead log", f"{size(reply.wal)}{pinned}"),
        ("events", f"{total:,} ({_counts(reply.events)})" if total else "none"),
        ("deliveries", _counts(reply.deliveries) or "all simply done"),
        ("other rows", _counts(reply.rows) or "none"),
        ("oldest event", clock(reply.oldest or "-")),
        ("newest event", clock(reply.newest or "-")),
        ("retention", f"{reply.retention_days:g} days"),
        ("grows by", f"{size(reply.growth)} a day" if reply.growth else "too little to tell"),
        ("disk", f"{size(reply.disk_free)} free, {_outlook(reply)}"),
        ("logs", size(reply.logs)),
        ("spool", f"{reply.spool:,} entries wait" if reply.spool else "empty"),
    ]
    pairs += [("set aside", f"{file.name}, {size(file.size)}") for file in reply.aside]
    return facts(pairs, width)


def _outlook(reply: StoreStats) -> str:
    if reply.full_in is not None:
        return f"full in {reply.full_in:,.1f} days at this rate"
    if not reply.growth:
        return "enough"
    return f"enough: it levels off at {size(reply.levels_off_at)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _work(reply: StoreWork, width: int, mask: Sequence[str]) -> str:
    lines = [f"{reply.kind} {reply.state}: {reply.path}"]
    if reply.state == "running":
        lines.append(work_line(reply, width))
    if reply.note:
        lines.append(reply.note)
    if reply.sha256:
        lines += [size(reply.size), f"SHA-256 {reply.sha256}"]
    lines += reply.problems
    return "\n".join(clip(plain(line), width) for line in lines)


def _imported(reply: ImportedLines, width: int, mask: Sequence[str]) -> str:
    return f"{reply.accepted:,} imported, {reply.duplicates:,} known already, {len(reply.errors):,} refused"


STORE_RENDERERS: dict[type, Callable[[Any, int, Sequence[str]], str]] = {
    StoreStats: _stats,
    StoreWork: _work,
    ImportedLines: _imported,
}
