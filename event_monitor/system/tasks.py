"""What the bus does now: its tasks with their stacks, what they wait for, and the locks that are held."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from event_monitor.bus.event_bus import EventBus
from event_monitor.messages import GetTasks, Message
from event_monitor.replies.general import LockInfo, TaskInfo, Tasks
from event_monitor.stacks import awaited_by, on_one_line, stack_of_task, stack_of_thread

logger = logging.getLogger(__name__)

MOST = 500


class TaskTable:
    """Looks at the tasks of one bus's loop. May be asked on any thread."""

    def __init__(self, bus: EventBus, loop: asyncio.AbstractEventLoop, loop_thread: int) -> None:
        self._bus = bus
        self._loop = loop
        self._loop_thread = loop_thread

    @property
    def handlers(self) -> Mapping[type[Message], Callable[[Any], Awaitable[Any]]]:
        """What it answers."""
        return {GetTasks: self._answer}

    async def _answer(self, message: GetTasks) -> Tasks:
        return self.report()

    def report(self) -> Tasks:
        """All tasks, at most ``MOST``: those left behind first, then by name."""
        now = self._bus.clock.monotonic()
        lanes = list(self._bus.dispatcher.lanes.values())
        left = {task: since for lane in lanes for task, since in list(lane.abandoned.items())}
        busy = {
            task: (started, batch[0].record.event.id)
            for lane in lanes
            for task, started, batch in list(lane.handling())
        }
        waits = {wait.task: wait for wait in list(self._bus.waits.waits)}
        running = asyncio.current_task(self._loop)
        tasks: list[TaskInfo] = []
        for task in _in_order(asyncio.all_tasks(self._loop), left):
            started, event_id = busy.get(task, (left.get(task), None))
            state = "left behind" if task in left else "running" if task is running else "waiting"
            known = waits.get(task)
            tasks.append(
                TaskInfo(
                    name=task.get_name(),
                    state=state,
                    age=None if started is None else round(now - started, 3),
                    event_id=event_id,
                    waits_for=known.awaited.name if known is not None else _waits_for(task),
                    stack=list(stack_of_task(task)),
                )
            )
        locks = [
            LockInfo(
                name=lock.name,
                owner=lock.owner.get_name() if lock.owner is not None else "",
                held=round(now - lock.since, 3),
            )
            for lock in list(self._bus.waits.held)
        ]
        return Tasks(tasks=tasks, locks=locks, loop=list(stack_of_thread(self._loop_thread)))

    def log(self) -> None:
        """Write all of it to the log, a line each."""
        report = self.report()
        logger.warning("tasks: the loop's thread is at %s", on_one_line(tuple(report.loop)))
        for task in report.tasks:
            age = "" if task.age is None else f" for {task.age:.1f} s"
            what = f" waits for {task.waits_for}" if task.waits_for else ""
            stack = on_one_line(tuple(task.stack))
            logger.warning("tasks: %s %s%s%s: %s", task.name, task.state, age, what, stack)
        for lock in report.locks:
            logger.warning("tasks: %s is held by %s for %.1f s", lock.name, lock.owner, lock.held)


def _in_order(tasks: Iterable[asyncio.Task[Any]], left: dict[Any, float]) -> list[asyncio.Task[Any]]:
    return sorted(tasks, key=lambda task: (task not in left, task.get_name()))[:MOST]


def _waits_for(task: asyncio.Task[Any]) -> str | None:
    future = awaited_by(task)
    if future is None:
        return None
    return f"task {future.get_name()}" if isinstance(future, asyncio.Task) else "a signal or a timer"
