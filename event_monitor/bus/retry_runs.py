"""Retries of many dead letters at a rate: kept in the store, so that they outlive view and process.

A step queues letters, notes which, and notes how far it is, all in one transaction: whenever the process
dies, each letter is queued once. A letter that dies again is behind the place that was reached, and is
not retried again by the same run.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from event_monitor.bus.dead_groups import (
    Letters,
    Place,
    check_groups,
    choose,
    count,
    forget_empty_groups,
    has_empty_groups,
)
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.ledger import Ledger
from event_monitor.bus.token_bucket import TokenBucket
from event_monitor.clock import to_iso
from event_monitor.errors import BusClosed, Conflict, NotFound, StoreUnavailable
from event_monitor.messages import ControlRetryRun, DeadLetterSelection, StartRetryRun
from event_monitor.model import DeliveryState, Severity
from event_monitor.replies.dead_letters import RetryRun, RetryState
from event_monitor.topics import TopicPattern

logger = logging.getLogger(__name__)

KEPT = 100
MAX_LIVE = 16
AGAIN = 1.0
# How often at most a step is taken, and how many letters it may move.
STEPS_A_SECOND = 10
LARGEST_STEP = 500
# Outcomes are gathered as they come, and more and more seldom when none do.
FIRST_LOOK = 1.0
SELDOM = 60.0
GATHERED = 2_000

_COLUMNS = (
    "id, state, request, rate, letters, retried, delivered, failed, after_id, after_target, begun_by, "
    "created_at, ended_at"
)


@dataclass(slots=True, kw_only=True)
class _Job:
    """One run. ``after`` is the place of the last letter that was dealt with."""

    id: int
    state: RetryState
    request: StartRetryRun
    rate: float
    letters: int
    begun_by: str
    created_at: str
    ended_at: str | None = None
    retried: int = 0
    delivered: int = 0
    failed: int = 0
    after: Place = (0, "")
    under_way: int = 0
    waits: str = ""

    @property
    def wanted(self) -> Letters:
        return letters_of(self.request, until=self.request.until or self.created_at)


def letters_of(request: DeadLetterSelection, *, until: str | None) -> Letters:
    """What a selection means. Raises ``InvalidRequest`` for a pattern that is none."""
    return Letters(
        pattern=TopicPattern(request.event_type) if request.event_type else None,
        target=request.target,
        event_id=request.event_id,
        groups=request.groups,
        until=until,
    )


class RetryDesk:
    """All retries of many of a home. ``on_note`` hears what a person should know: that one went on after
    a restart."""

    def __init__(self, bus: EventBus) -> None:
        self.on_note: Callable[[Severity, str, str], None] = lambda severity, title, detail: None
        self._bus = bus
        self._runs: dict[int, _Run] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    # --- start and end ----------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what a former run of the program left. The bus must be started."""
        store = self._bus.store
        if await store.read(has_empty_groups):
            store.change(lambda ledger: forget_empty_groups(ledger.connection))
        for job in await store.read(_load):
            run = self._runs[job.id] = _Run(self._bus, job)
            if job.state is RetryState.RUNNING:
                left = max(0, job.letters - job.retried)
                self.on_note(
                    Severity.INFO,
                    f"Retry {job.id} of dead letters goes on",
                    f"{left:,} of {job.letters:,} were left at the restart",
                )
            if job.state is RetryState.RUNNING or job.under_way:
                self._launch(run)

    async def stop(self) -> None:
        """Retry nothing more. What is live goes on at the next start, where it was."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _launch(self, run: _Run) -> None:
        task = self._tasks[run.job.id] = asyncio.create_task(
            self._carry_out(run), name=f"retry-run-{run.job.id}"
        )
        task.add_done_callback(lambda _: self._tasks.pop(run.job.id, None))

    async def _carry_out(self, run: _Run) -> None:
        try:
            await run.run()
        except BusClosed:
            return
        except Exception as error:
            logger.error("retry %d failed", run.job.id, exc_info=error)
            self.on_note(
                Severity.WARNING,
                f"Retry {run.job.id} of dead letters failed",
                f"{type(error).__name__}: {error}; it goes on at the next start: event-cli dlq runs",
            )

    # --- commands ---------------------------------------------------------------------------

    async def begin(self, request: StartRetryRun) -> RetryRun:
        """Begin to retry what is dead now; it is kept when this returns. Raises ``NotFound`` for a group
        that is not known, and ``Conflict`` if too many runs are live."""
        now = to_iso(self._bus.clock.wall())
        wanted = letters_of(request, until=request.until or now)
        live = sum(run.job.state is RetryState.RUNNING for run in self._runs.values())
        if live >= MAX_LIVE:
            raise Conflict(f"{live} retries are under way", "wait for one of them, or stop one")

        def insert(ledger: Ledger) -> tuple[int, int]:
            letters = count(ledger.connection, wanted)
            return (_insert(ledger.connection, request, letters, now), letters) if letters else (0, 0)

        if wanted.groups:
            await self._bus.store.catch_up()
            await self._bus.store.read(lambda connection: check_groups(connection, wanted.groups))
        number, letters = await self._bus.store.write(insert)
        job = _Job(
            id=number,
            state=RetryState.RUNNING if number else RetryState.DONE,
            request=request,
            rate=request.rate,
            letters=letters,
            begun_by=request.by,
            created_at=now,
        )
        if not number:
            return _Run(self._bus, job).report()
        run = self._runs[number] = _Run(self._bus, job)
        self._launch(run)
        for old in [n for n, kept in self._runs.items() if n <= number - KEPT and kept.over]:
            del self._runs[old]
        return run.report()

    async def control(self, command: ControlRetryRun) -> RetryRun:
        """Carry out what a person decided; it is on disk when this returns. Raises ``NotFound``, or
        ``Conflict`` for a run that has ended."""
        run = self._find(command.run_id)
        if run.job.state is not RetryState.RUNNING:
            raise Conflict(f"retry {run.job.id} is {run.job.state}", "begin a new one")
        if command.action == "stop":
            await run.stop()
        else:
            await run.set_rate(command.rate)
        return run.report()

    def reports(self, number: int | None = None) -> list[RetryRun]:
        """How one run stands, or all that are kept, the newest first. Raises ``NotFound``."""
        if number is not None:
            return [self._find(number).report()]
        return [self._runs[number].report() for number in sorted(self._runs, reverse=True)]

    def _find(self, number: int) -> _Run:
        run = self._runs.get(number)
        if run is None:
            raise NotFound(
                f"no retry of dead letters has the number {number}", "list them: event-cli dlq runs"
            )
        return run


class _Step(NamedTuple):
    moved: Counter[tuple[str, int]]
    after: Place
    state: RetryState


class _Run:
    """Carries one job out, then gathers what became of its letters."""

    def __init__(self, bus: EventBus, job: _Job) -> None:
        self.job = job
        self._bus = bus
        self._changed = asyncio.Event()
        self._bucket = self._new_bucket()
        self._looked = -FIRST_LOOK
        self._looked_at: Place = (0, "")

    def _new_bucket(self) -> TokenBucket:
        burst = max(1.0, self.job.rate / STEPS_A_SECOND)
        return TokenBucket(self.job.rate, burst, self._bus.clock.monotonic())

    @property
    def over(self) -> bool:
        """Nothing of it is under way any more."""
        return self.job.state is not RetryState.RUNNING and not self.job.under_way

    def report(self) -> RetryRun:
        """How it stands."""
        job = self.job
        left = max(0, job.letters - job.retried)
        return RetryRun(
            id=job.id,
            state=job.state,
            rate=job.rate,
            letters=job.letters,
            retried=job.retried,
            delivered=job.delivered,
            failed=job.failed,
            under_way=job.under_way,
            seconds_left=round(left / job.rate, 3) if job.state is RetryState.RUNNING else None,
            event_id=job.request.event_id,
            target=job.request.target,
            event_type=job.request.event_type,
            groups=list(job.request.groups),
            begun_by=job.begun_by,
            created_at=job.created_at,
            ended_at=job.ended_at,
            waits=job.waits,
        )

    # --- controls ---------------------------------------------------------------------------

    async def stop(self) -> None:
        """Retry nothing more. What was queued again stays on its way."""
        job, now = self.job, to_iso(self._bus.clock.wall())

        def write(ledger: Ledger) -> None:
            ledger.connection.execute(
                "UPDATE retry_runs SET state = 'stopped', ended_at = ? WHERE id = ? AND state = 'running'",
                (now, job.id),
            )

        await self._bus.store.write(write)
        if job.state is RetryState.RUNNING:
            job.state, job.ended_at = RetryState.STOPPED, now
        self._changed.set()

    async def set_rate(self, rate: float) -> None:
        """Go on at another rate."""
        number = self.job.id

        def write(ledger: Ledger) -> None:
            ledger.connection.execute("UPDATE retry_runs SET rate = ? WHERE id = ?", (rate, number))

        await self._bus.store.write(write)
        self.job.rate = rate
        self._bucket = self._new_bucket()
        self._changed.set()

    # --- the work ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Retry to the end, then see what becomes of the letters."""
        while self.job.state is RetryState.RUNNING:
            taken = self._take()
            if not taken:
                await self._rest(self._bucket.wait(self._bus.clock.monotonic()))
                continue
            try:
                await self._step(taken)
                await self._look()
                self.job.waits = ""
            except StoreUnavailable as error:
                self.job.waits = str(error)
                await self._rest(AGAIN)
        await self._see_it_through()

    def _take(self) -> int:
        now, taken = self._bus.clock.monotonic(), 0
        while taken < LARGEST_STEP and self._bucket.take(now):
            taken += 1
        return taken

    async def _step(self, limit: int) -> None:
        job, wanted = self.job, self.job.wanted
        now = to_iso(self._bus.clock.wall())

        def step(ledger: Ledger) -> _Step:
            execute = ledger.connection.execute
            (state,) = execute("SELECT state FROM retry_runs WHERE id = ?", (job.id,)).fetchone()
            if state != RetryState.RUNNING.value:
                return _Step(Counter(), job.after, RetryState(state))
            # One more than is taken tells whether this is the last step.
            chosen, following = choose(ledger.connection, wanted, job.after, limit + 1)
            if len(chosen) > limit:
                chosen = chosen[:limit]
                following = chosen[-1]
            moved = ledger.settle_dead(chosen, DeliveryState.QUEUED.value, now)
            ledger.connection.executemany(
                "INSERT OR IGNORE INTO retry_letters VALUES (?, ?, ?)", [(job.id, *place) for place in chosen]
            )
            ended = RetryState.DONE if following is None else RetryState.RUNNING
            after = following or (chosen[-1] if chosen else job.after)
            execute(
                "UPDATE retry_runs SET state = ?, ended_at = ?, retried = retried + ?, after_id = ?, "
                "after_target = ? WHERE id = ?",
                (ended.value, None if following else now, len(chosen), *after, job.id),
            )
            return _Step(moved, after, ended)

        taken = await self._bus.store.write(step)
        queued = sum(taken.moved.values())
        job.retried += queued
        job.under_way += queued
        job.after = taken.after
        self._bus.dead_letter_queue.settled(taken.moved, DeliveryState.QUEUED)
        if job.state is RetryState.RUNNING and taken.state is RetryState.DONE:
            job.state, job.ended_at = RetryState.DONE, now

    # --- outcomes ---------------------------------------------------------------------------

    async def _see_it_through(self) -> None:
        wait = FIRST_LOOK
        while self.job.under_way:
            before = self.job.under_way
            await self._rest(wait)
            try:
                await self._look(at_once=True)
            except StoreUnavailable as error:
                logger.warning("retry %d: %s", self.job.id, error)
            wait = FIRST_LOOK if self.job.under_way < before else min(SELDOM, wait * 2)

    async def _look(self, *, at_once: bool = False) -> None:
        """See which letters have an outcome, count them and forget them."""
        now = self._bus.clock.monotonic()
        if not self.job.under_way or (now < self._looked + FIRST_LOOK and not at_once):
            return
        self._looked = now
        number, after = self.job.id, self._looked_at
        found, self._looked_at = await self._bus.store.read(lambda c: _outcomes(c, number, after))
        if not found:
            return
        delivered = sum(state == DeliveryState.DELIVERED.value for _, state in found)
        failed = sum(state == DeliveryState.DEAD.value for _, state in found)

        def forget(ledger: Ledger) -> None:
            ledger.connection.executemany(
                "DELETE FROM retry_letters WHERE run = ? AND event_id = ? AND target = ?",
                [(number, *place) for place, _ in found],
            )
            ledger.connection.execute(
                "UPDATE retry_runs SET delivered = delivered + ?, failed = failed + ? WHERE id = ?",
                (delivered, failed, number),
            )

        await self._bus.store.write(forget)
        self.job.delivered += delivered
        self.job.failed += failed
        self.job.under_way -= len(found)

    async def _rest(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
        self._changed.clear()


def _insert(connection: sqlite3.Connection, request: StartRetryRun, letters: int, now: str) -> int:
    (number,) = connection.execute(
        "INSERT INTO retry_runs (state, request, rate, letters, begun_by, created_at) "
        "VALUES ('running', ?, ?, ?, ?, ?) RETURNING id",
        (msgspec.json.encode(request).decode(), request.rate, letters, request.by, now),
    ).fetchone()
    connection.execute(
        "DELETE FROM retry_runs WHERE state != 'running' AND id <= ? "
        "AND NOT EXISTS (SELECT 1 FROM retry_letters WHERE run = retry_runs.id)",
        (number - KEPT,),
    )
    return int(number)


def _outcomes(
    connection: sqlite3.Connection, number: int, after: Place
) -> tuple[list[tuple[Place, str]], Place]:
    """Which of the next letters have an outcome, and where to go on; from the beginning after the end.
    One that is not known any more has passed the retention: its outcome is empty."""
    rows = connection.execute(
        "SELECT l.event_id, l.target, COALESCE(d.state, '') FROM retry_letters l LEFT JOIN deliveries d "
        "ON d.event_id = l.event_id AND d.target = l.target "
        "WHERE l.run = ? AND (l.event_id, l.target) > (?, ?) ORDER BY l.event_id, l.target LIMIT ?",
        (number, *after, GATHERED),
    ).fetchall()
    open_states = (DeliveryState.QUEUED.value, DeliveryState.RETRYING.value, DeliveryState.PARKED.value)
    found = [((event_id, target), state) for event_id, target, state in rows if state not in open_states]
    return found, (rows[-1][0], rows[-1][1]) if len(rows) == GATHERED else (0, "")


def _load(connection: sqlite3.Connection) -> list[_Job]:
    """All that are kept, without those that cannot be read."""
    under_way = dict(connection.execute("SELECT run, COUNT(*) FROM retry_letters GROUP BY run").fetchall())
    jobs = []
    for row in connection.execute(f"SELECT {_COLUMNS} FROM retry_runs ORDER BY id").fetchall():
        number, state, request, rate, letters, retried, delivered, failed, *place, by, created, ended = row
        try:
            job = _Job(
                id=number,
                state=RetryState(state),
                request=msgspec.json.decode(request, type=StartRetryRun),
                rate=rate,
                letters=letters,
                retried=retried,
                delivered=delivered,
                failed=failed,
                after=(place[0], place[1]),
                begun_by=by,
                created_at=created,
                ended_at=ended,
                under_way=under_way.get(number, 0),
            )
        except (ValueError, TypeError) as error:
            logger.error("retry %s cannot be read and is left alone: %s", number, error)
            continue
        jobs.append(job)
    return jobs
