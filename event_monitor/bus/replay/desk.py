"""All replays of a home: planned, begun, controlled, and taken up again after a restart."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.inflight import InFlight
from event_monitor.bus.replay.jobs import KEPT, Job, load_jobs
from event_monitor.bus.replay.plan import Plan, make_plan
from event_monitor.bus.replay.results import Result, read_results
from event_monitor.bus.replay.run import ReplayRun
from event_monitor.bus.replay.selection import (
    Chooser,
    Selection,
    check_request,
    check_speed,
    selection_of,
)
from event_monitor.clock import from_iso, to_iso
from event_monitor.errors import BusClosed, Conflict, InvalidRequest, NotFound
from event_monitor.messages import ControlReplay, ReplaySelection, Speed, StartReplay
from event_monitor.model import ReplayMark, ReplayState, Severity
from event_monitor.replies.replays import ReplayPlan, ReplayReport

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=ReplaySelection)

# What a command waits for the disk; the command is carried out all the same.
PATIENCE = 5.0
MAX_LIVE = 16


class ReplayDesk:
    """``unwanted`` answers the targets that are left out unless named, each with the reason. ``on_note``
    hears what a person should know of a replay: how it went on after a restart, or why it failed."""

    def __init__(self, bus: EventBus, unwanted: Callable[[], Mapping[str, str]] = dict) -> None:
        self.on_note: Callable[[Severity, str, str], None] = lambda severity, title, detail: None
        self._bus = bus
        self._unwanted = unwanted
        self._jobs: dict[int, Job] = {}
        self._runs: dict[int, ReplayRun] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._highest = 0
        bus.dispatcher.on_replayed = self._settled

    # --- start and end ----------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what a former run left: what was running goes on. The bus must be started."""
        jobs, self._highest = await self._bus.store.read(load_jobs)
        for job in jobs:
            self._jobs[job.id] = job
            if not job.live:
                continue
            self._launch(job)
            if job.state is ReplayState.RUNNING:
                self.on_note(
                    Severity.INFO,
                    f"Replay {job.id} goes on",
                    f"{job.left:,} events were left at the restart",
                )

    async def stop(self) -> None:
        """Publish nothing more. What is live goes on at the next start, where it was."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for run in self._runs.values():
            if run.job.live:
                run.save()

    def _launch(self, job: Job) -> ReplayRun:
        selection = selection_of(job.request)
        run = self._runs[job.id] = ReplayRun(self._bus, job, selection, lambda: self._chooser(job.request))
        self._tasks[job.id] = asyncio.create_task(self._carry_out(run), name=f"replay-{job.id}")
        return run

    async def _carry_out(self, run: ReplayRun) -> None:
        job = run.job
        try:
            await run.run()
        except BusClosed:
            return
        except Exception as error:
            logger.error("replay %d failed", job.id, exc_info=error)
            run.pause()
            job.note = f"it failed: {type(error).__name__}: {error}"
            run.save()
            self.on_note(
                Severity.WARNING,
                f"Replay {job.id} failed",
                f"{job.note}; it is paused: event-cli replay resume {job.id}",
            )
            return
        finally:
            self._tasks.pop(job.id, None)
        self._runs.pop(job.id, None)

    def _settled(self, record: InFlight) -> None:
        for run in self._runs.values():
            run.outstanding.settled(record)

    # --- plans ------------------------------------------------------------------------------

    async def plan(self, request: ReplaySelection) -> ReplayPlan:
        """What a replay would do. Raises ``InvalidRequest``."""
        request = self._checked(request)
        selection, plan = await self._planned(request)
        return plan.reply(selection, request.speed)

    async def begin(self, request: StartReplay) -> ReplayReport:
        """Plan and begin a replay; it is kept when this returns. Raises ``InvalidRequest``, and
        ``Conflict`` if a live replay takes some of the same events."""
        request = self._checked(request)
        _, plan = await self._planned(request)
        if not plan.events:
            return _report(self._job(0, request, plan, ReplayState.DONE, "nothing to replay in this span"))
        self._refuse_conflict(plan)
        self._highest += 1
        state = ReplayState.PAUSED if request.paused else ReplayState.RUNNING
        job = self._jobs[self._highest] = self._job(self._highest, request, plan, state)
        try:
            await self._bus.store.write(job.inserting())
        except BaseException:
            del self._jobs[job.id]
            self._bus.store.change(job.deleting())
            raise
        self._forget_oldest()
        return self._report(self._launch(job).job)

    def _checked(self, request: T) -> T:
        return check_request(request, self._bus.clock.wall(), self._bus.dispatcher.lanes)

    async def _planned(self, request: ReplaySelection) -> tuple[Selection, Plan]:
        selection = selection_of(request)
        return selection, await make_plan(self._bus.store, selection, self._chooser(request))

    def _chooser(self, request: ReplaySelection) -> Chooser:
        return Chooser(self._bus.router, self._bus.upcasters, request.targets, self._unwanted())

    def _refuse_conflict(self, plan: Plan) -> None:
        live = [job for job in self._jobs.values() if job.live]
        other = next((job for job in live if job.plan.overlaps(plan)), None)
        if other is not None:
            raise Conflict(
                f"replay {other.id}, which is {other.state}, takes some of the same events",
                f"wait for it, stop it (event-cli replay stop {other.id}), or choose another span or type",
            )
        if len(live) >= MAX_LIVE:
            raise Conflict(f"{len(live)} replays are live", "wait for one of them, or stop one")

    def _job(self, number: int, request: StartReplay, plan: Plan, state: ReplayState, note: str = "") -> Job:
        return Job(
            id=number,
            state=state,
            request=request,
            plan=plan,
            mark=f"replay:{number}.{secrets.token_hex(4)}:",
            created_at=to_iso(self._bus.clock.wall()),
            speed=_number(request.speed),
            position=plan.first_id - 1,
            at=None,
            clock=from_iso(plan.first) if plan.first is not None else 0.0,
            skipped=plan.skipped,
            note=note,
        )

    def _forget_oldest(self) -> None:
        """As the store does when a job is written down."""
        for number in [n for n, job in self._jobs.items() if n <= self._highest - KEPT and not job.live]:
            del self._jobs[number]

    async def forget(self, before: str) -> int:
        """Delete replays that have ended and were begun before a time, but for the last one, whose
        number is not used again. Answers how many."""
        old = [
            job
            for job in self._jobs.values()
            if not job.live and job.created_at < before and job.id != self._highest
        ]
        for job in old:
            del self._jobs[job.id]
            self._bus.store.change(job.deleting())
        return len(old)

    # --- control ----------------------------------------------------------------------------

    async def control(self, command: ControlReplay) -> ReplayReport:
        """Carry out what a person decided; it is on disk when this returns. Raises ``NotFound``,
        ``InvalidRequest``, ``StoreUnavailable``, or ``Conflict`` for a replay that has ended."""
        job = self._find(command.replay_id)
        if job.live and job.id not in self._runs:
            # It is being begun: what is on disk runs, what could not be written is gone again.
            await self._bus.store.flush()
            job = self._find(command.replay_id)
        if not job.live:
            raise Conflict(f"replay {job.id} is {job.state}", "begin a new one")
        if command.action == "step" and command.count < 1:
            raise InvalidRequest(f"a step of {command.count} events is none", "give 1 or more")
        if command.action == "speed":
            check_speed(command.speed)
        run = self._runs[job.id]
        if job.id not in self._tasks:
            run = self._launch(job)
        if command.action == "pause":
            run.pause()
        elif command.action == "resume":
            run.resume()
        elif command.action == "step":
            run.step(command.count)
        elif command.action == "speed":
            run.set_speed(_number(command.speed))
        else:
            run.stop()
        await self._wait_for(run, ended=command.action == "stop")
        if job.live:
            run.save()
        await self._bus.store.flush()
        return self._report(job)

    async def _wait_for(self, run: ReplayRun, *, ended: bool) -> None:
        """Return when nothing is half done, or, while the disk refuses or targets are slow, in time."""
        task = self._tasks.get(run.job.id)
        try:
            async with asyncio.timeout(PATIENCE):
                if ended and task is not None:
                    await asyncio.shield(task)
                elif run.job.state is not ReplayState.RUNNING:
                    await run.quiet()
        except TimeoutError:
            return

    def _find(self, number: int) -> Job:
        job = self._jobs.get(number)
        if job is None:
            raise NotFound(f"no replay has the number {number}", "list them: event-cli replay list")
        return job

    # --- reports ----------------------------------------------------------------------------

    def report(self, number: int) -> ReplayReport:
        """How a replay stands. Raises ``NotFound``."""
        return self._report(self._find(number))

    def reports(self) -> list[ReplayReport]:
        """How all that are kept stand, the newest first."""
        return [self._report(self._jobs[number]) for number in sorted(self._jobs, reverse=True)]

    def mark(self) -> ReplayMark | None:
        """The newest replay that runs, or else is paused, in a few words."""
        live = [job for job in self._jobs.values() if job.live]
        if not live:
            return None
        job = max(live, key=lambda job: (job.state is ReplayState.RUNNING, job.id))
        share = 1 - job.left / job.plan.events if job.plan.events else 1.0
        return ReplayMark(job.id, job.state, round(share, 3), job.speed, len(live) - 1)

    async def results(self, number: int, limit: int) -> list[Result]:
        """The last events that a replay published, the newest first. Raises ``NotFound``."""
        job = self._find(number)
        await self._bus.store.catch_up()
        mark, position = job.mark, job.position
        return await self._bus.store.read(lambda connection: read_results(connection, mark, position, limit))

    def _report(self, job: Job) -> ReplayReport:
        report = _report(job)
        run = self._runs.get(job.id)
        if run is None or not job.live:
            return report
        left = run.seconds_left
        return replace(
            report,
            failed=run.outstanding.failed,
            under_way=len(run.outstanding),
            waits=run.waits,
            seconds_left=None if left is None else round(left, 3),
        )


def _report(job: Job) -> ReplayReport:
    request = job.request
    return ReplayReport(
        id=job.id,
        state=job.state,
        since=request.since,
        until=request.until or "",
        type=request.type,
        filter=request.filter,
        targets=list(request.targets or job.plan.by_target),
        speed=job.spoken_speed,
        events=job.plan.events,
        replayed=job.replayed,
        failed=job.failed,
        skipped=job.skipped,
        at=job.at,
        created_at=job.created_at,
        note=job.note,
    )


def _number(speed: Speed) -> float | None:
    return None if speed == "max" else speed
