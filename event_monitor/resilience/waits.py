"""Who waits for whom: a graph of tasks in which a deadlock is found when its last wait begins.

A wait is for something (a lock, the outcome of an event) that can name the tasks that stand in its
way. It never ends if of some group of them none can get on, and those are stuck likewise. The
newest waiter of a cycle is told so by ``DeadlockBroken``; the others then go on.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from event_monitor.stacks import MAX_FRAMES, awaited_tasks, short_path, stack_of_task, stack_of_thread

if TYPE_CHECKING:
    from event_monitor.resilience.locks import TrackedLock

T = TypeVar("T")

Task = asyncio.Task[Any]
Groups = tuple[Collection[Task], ...]
_OWN = (short_path(__file__), "asyncio/")


class DeadlockBroken(Exception):
    """The wait was ended, for it would never have: others wait in a circle for the one who waits."""


class Awaited(Protocol):
    """What can be waited for."""

    @property
    def name(self) -> str:
        """What it is, in words."""

    def blockers(self) -> Iterable[Collection[Task]]:
        """The groups of tasks of each of which one must get on before the wait can end."""


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A task that waits. ``since`` is in the clock's time, ``number`` rises with each wait."""

    task: Task
    awaited: Awaited
    since: float
    number: int
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Stuck:
    """One of those who wait in a circle: what it is called, what for and where (innermost first)."""

    task: str
    awaited: str
    stack: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deadlock:
    """A circle of waits that was broken, the one who was told first."""

    waits: tuple[Stuck, ...]

    def __str__(self) -> str:
        return "; ".join(f"{one.task} waits for {one.awaited}" for one in self.waits)


class WaitGraph:
    """The waits of one bus. ``on_deadlock`` hears of each circle; ``describe`` may name a task better
    than its own name does."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.on_deadlock: Callable[[Deadlock], None] = lambda deadlock: None
        self.describe: Callable[[Task], str] = lambda task: task.get_name()
        self.held: dict[TrackedLock, None] = {}
        self._waits: dict[Task, Wait] = {}
        self._numbers = itertools.count()

    @property
    def waits(self) -> Collection[Wait]:
        """All waits, the longest first."""
        return self._waits.values()

    async def wait(self, future: asyncio.Future[T], awaited: Awaited) -> T:
        """Wait for ``future``, which only the current task waits for. Raises ``DeadlockBroken`` if
        it would never be done, at once or when a later wait closes a circle that this one is newer in."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._waits[task] = Wait(task, awaited, self.clock(), next(self._numbers), future)
        try:
            self.check([task])
            return await future
        finally:
            del self._waits[task]

    def check(self, begin: Iterable[Task] | None = None) -> None:
        """Break every deadlock among the waits that ``begin`` (else any wait) depends on."""
        tasks = list(self._waits if begin is None else begin)
        while tasks and (stuck := self._stuck(tasks)):
            circle = self._newest_circle(stuck)
            if circle is None:
                return
            self._break(circle)

    def _stuck(self, begin: Iterable[Task]) -> dict[Task, Groups]:
        """The tasks that can never get on, each with the groups that block it."""
        needs: dict[Task, Groups] = {}
        known: dict[int, Groups] = {}
        todo = list(begin)
        while todo:
            task = todo.pop()
            if task not in needs:
                needs[task] = self._needs(task, known)
                todo.extend(itertools.chain.from_iterable(needs[task]))
        stuck = {task: groups for task, groups in needs.items() if groups}
        while True:
            blocked = {
                task: left
                for task, groups in stuck.items()
                if (left := tuple(group for group in groups if all(one in stuck for one in group)))
            }
            if len(blocked) == len(stuck):
                return blocked
            stuck = blocked

    def _needs(self, task: Task, known: dict[int, Groups]) -> Groups:
        wait = self._waits.get(task)
        if wait is None:
            return () if task.done() else tuple((one,) for one in awaited_tasks(task))
        if wait.future.done():
            return ()
        # Ten thousand may wait for one thing: it is asked once.
        if id(wait.awaited) not in known:
            known[id(wait.awaited)] = tuple(group for group in wait.awaited.blockers() if group)
        return known[id(wait.awaited)]

    def _newest_circle(self, stuck: dict[Task, Groups]) -> list[Wait] | None:
        """The waits of the circle that was closed last, its newest first."""
        waits = [self._waits[task] for task in stuck if task in self._waits]
        for newest in sorted(waits, key=lambda wait: -wait.number):
            circle = _circle(newest.task, stuck)
            if circle:
                members = [self._waits[task] for task in circle if task in self._waits]
                return sorted(members, key=lambda wait: wait is not newest)
        return None

    def _break(self, circle: list[Wait]) -> None:
        current = asyncio.current_task()
        found = Deadlock(
            tuple(
                Stuck(self.describe(wait.task), wait.awaited.name, _stack(wait.task, current))
                for wait in circle
            )
        )
        circle[0].future.set_exception(DeadlockBroken(f"deadlock: {found}"))
        self.on_deadlock(found)


def _stack(task: Task, current: Task | None) -> tuple[str, ...]:
    if task is not current:
        return stack_of_task(task)
    whole = stack_of_thread(threading.get_ident(), 2 * MAX_FRAMES)
    return tuple(one for one in whole if not one.startswith(_OWN))[:MAX_FRAMES]


def _circle(begin: Task, stuck: dict[Task, Groups]) -> list[Task]:
    """The tasks that ``begin`` waits for and that wait for it, itself first; empty if there are none."""
    ahead = _reached(begin, lambda task: itertools.chain.from_iterable(stuck[task]))
    if begin not in ahead:
        return []
    waiting_for: dict[Task, list[Task]] = {}
    for task, groups in stuck.items():
        for other in itertools.chain.from_iterable(groups):
            waiting_for.setdefault(other, []).append(task)
    behind = _reached(begin, lambda task: waiting_for.get(task, ()))
    return [begin, *(task for task in ahead if task in behind and task is not begin)]


def _reached(begin: Task, following: Callable[[Task], Iterable[Task]]) -> dict[Task, None]:
    """What can be reached from ``begin`` in one step or more, the nearest first."""
    reached: dict[Task, None] = {}
    edge = [begin]
    while edge:
        edge = [other for task in edge for other in following(task)]
        edge = [other for other in dict.fromkeys(edge) if other not in reached]
        reached.update(dict.fromkeys(edge))
    return reached


current_waits: contextvars.ContextVar[WaitGraph | None] = contextvars.ContextVar(
    "current_waits", default=None
)
"""The graph in which the running task's waits are recorded."""
