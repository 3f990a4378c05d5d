"""Services, breakers and states as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from event_monitor.grammar.figures import clock, duration, ms
from event_monitor.grammar.table import Column, facts, table
from event_monitor.grammar.text import plain
from event_monitor.replies.general import (
    BreakerReport,
    Breakers,
    BulkheadReport,
    FallbackReport,
    HealthReport,
    ServiceDetail,
    StateReport,
)

_STRIP = {"CLOSED": "▁", "HALF_OPEN": "▄", "OPEN": "█"}
_HIDDEN = frozenset({"stderr", "traffic"})
_CHANGES = (Column("CHANGED"), Column("FROM"), Column("TO"), Column("BY"), Column("WHY", flexible=True))
_PROBES = (Column("PROBED"), Column("CHECK"), Column("TOOK", right=True), Column("ANSWER", flexible=True))
_ERRORS = (Column("LAST SEEN"), Column("TIMES", right=True), Column("ERROR", flexible=True))


def detail(reply: ServiceDetail, width: int, mask: Sequence[str]) -> str:
    """Facts, then the breaker's changes, the probes, the errors and the end of its error output."""
    parts = [facts([*_state(reply), *_figures(reply), *_process(reply)], width)]
    parts += _lists(reply, width)
    stderr = [row for row in str(reply.details.get("stderr", "")).splitlines() if row.strip()]
    if stderr:
        parts.append("\n".join(["STDERR", *map(plain, stderr[-10:])]))
    return "\n\n".join(parts)


def _state(reply: ServiceDetail) -> list[tuple[str, str]]:
    circuit = reply.circuit
    pairs = [("service", f"{reply.service} ({reply.kind})")]
    if reply.kind != "target":
        checks = (reply.startup, reply.readiness, reply.liveness)
        words = zip(("startup", "readiness", "liveness"), checks, strict=True)
        pairs.append(("health", ", ".join(f"{name} {verdict}" for name, verdict in words)))
    state = f"{circuit.state}, {circuit.failure_count} / {circuit.failure_threshold} failures"
    if circuit.forced:
        state += f", held {circuit.forced}"
    elif circuit.retry_after:
        state += f", tries again in {duration(circuit.retry_after)}"
    pairs += [("breaker", state), ("why", why(circuit) or "-")]
    return [*pairs, ("last hour", "".join(_STRIP.get(one, "·") for one in reply.timeline))]


def why(circuit: BreakerReport) -> str:
    """Who holds a breaker and why; else who last changed it and why; else its last error."""
    if circuit.forced:
        return f"{circuit.forced_by}: {circuit.forced_reason}".removesuffix(": ")
    if circuit.by:
        return f"{circuit.by}: {circuit.reason}"
    return circuit.last_error or ""


def _figures(reply: ServiceDetail) -> list[tuple[str, str]]:
    counters = ", ".join(f"{name} {number:,}" for name, number in reply.counters.items())
    pairs = [("results", counters), ("bulkhead", _bulkhead(reply.bulkhead))]
    if reply.deliveries is not None:
        done = reply.deliveries
        told = f"{done.handled:,} handled, {done.failed:,} failed, {done.timed_out:,} timed out, "
        pairs.append(("deliveries", f"{told}{done.parked:,} parked, {done.abandoned:,} abandoned"))
    if reply.kind == "target":
        return pairs
    latency = reply.latency_ms
    speed = [f"{reply.calls_per_second:,.1f}/s"]
    speed += [f"p50 {ms(latency.p50)}", f"p95 {ms(latency.p95)}", f"p99 {ms(latency.p99)}"]
    pairs.append(("calls", ", ".join(speed)))
    if reply.budget is not None:
        budget = reply.budget
        pairs.append(("retries", f"{budget.used} of {budget.allowed} in 10 s, {budget.refused:,} refused"))
    if reply.fallbacks is not None:
        pairs.append(("fallback", _chain(reply.service, reply.fallbacks)))
    return pairs


def _bulkhead(hold: BulkheadReport) -> str:
    busy = f"{hold.busy} of {hold.max_concurrent} busy, {hold.waiting:,}"
    if hold.queue_size is None:
        return f"{busy} waiting, {hold.on_disk:,} of them on disk"
    queue = f"{busy} of {hold.queue_size:,} waiting"
    return f"{queue}, {hold.rejected:,} rejected, {hold.timed_out:,} timed out"


def _chain(name: str, chain: FallbackReport) -> str:
    steps = [name, *chain.steps]
    used = chain.active or name
    counts = f"{chain.primary:,} by itself, {chain.fallback:,} by a fallback, {chain.exhausted:,} by none"
    shown = " → ".join(f"[{step}]" if step == used else step for step in steps)
    return f"{shown}; answered {counts}"


def _process(reply: ServiceDetail) -> list[tuple[str, str]]:
    return [
        (key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for key, value in reply.details.items()
        if key not in _HIDDEN and value not in (None, "", [], {})
    ]


def _lists(reply: ServiceDetail, width: int) -> list[str]:
    changes = [(clock(c.at), c.from_state, c.to_state, c.by or "-", c.reason) for c in reply.changes]
    probes = [(clock(p.at), p.check, f"{p.ms:,.1f} ms", p.error or "pass") for p in reply.probes]
    errors = [(clock(e.last_at), f"{e.count:,}", e.error) for e in reply.errors]
    lists: tuple[tuple[Sequence[Column], Sequence[Sequence[str]]], ...] = (
        (_CHANGES, changes),
        (_PROBES, probes),
        (_ERRORS, errors),
    )
    return [table(columns, rows, width) for columns, rows in lists if rows]


def state(reply: StateReport, width: int, mask: Sequence[str]) -> str:
    text = facts([("state", str(reply.state)), ("since", reply.since), ("reason", reply.reason)], width)
    if not reply.history:
        return text
    columns = (Column("TIME"), Column("FROM"), Column("TO"), Column("REASON", flexible=True))
    changes = [(one, "") for one in reply.history] + [(one, "refused: ") for one in reply.refused]
    changes.sort(key=lambda change: change[0].at)
    rows = [(clock(one.at), one.from_state, one.to_state, mark + one.reason) for one, mark in changes]
    return f"{text}\n\n{table(columns, rows, width)}"


def breakers(reply: Breakers, width: int, mask: Sequence[str]) -> str:
    columns = (
        Column("BREAKER"),
        Column("STATE"),
        Column("FAILURES", right=True),
        Column("FORCED"),
        Column("RETRY IN", right=True),
        Column("BUSY", right=True),
        Column("WAITING", right=True),
        Column("PARKED", right=True),
        Column("WHY", flexible=True),
    )
    rows = [
        (
            one.service,
            one.state,
            f"{one.failure_count} / {one.failure_threshold}",
            one.forced or "-",
            duration(one.retry_after) if one.retry_after else "-",
            f"{one.busy}/{one.max_concurrent}",
            f"{one.waiting:,}",
            f"{one.parked:,}",
            why(one),
        )
        for one in reply.breakers
    ]
    return table(columns, rows, width)


def breaker(reply: BreakerReport, width: int, mask: Sequence[str]) -> str:
    return breakers(Breakers(breakers=[reply]), width, mask)


def health(reply: HealthReport, width: int, mask: Sequence[str]) -> str:
    if not reply.services:
        return "no service is configured: add services to event-monitor.yaml"
    columns = (
        Column("SERVICE"),
        Column("KIND"),
        Column("STARTUP"),
        Column("READINESS"),
        Column("LIVENESS"),
        Column("BREAKER"),
        Column("FALLBACK"),
        Column("LAST ERROR", flexible=True),
    )
    rows = [
        (
            *(one.service, one.kind, one.startup, one.readiness, one.liveness, one.breaker),
            one.fallback or "-",
            one.error or "",
        )
        for one in reply.services
    ]
    return table(columns, rows, width)
