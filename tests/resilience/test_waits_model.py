"""The graph of waits against a model, in any order of waits and releases.

The model asks the opposite question: it grows the set of tasks that can get on until it grows no
more. A deadlock must be reported if and only if somebody is left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_monitor.resilience.locks import TrackedLock
from event_monitor.resilience.waits import DeadlockBroken, WaitGraph
from tests.virtual import run_virtual

TASKS, LOCKS = 4, 3

tasks = st.integers(0, TASKS - 1)
locks = st.integers(0, LOCKS - 1)
groups = st.lists(st.sets(tasks, min_size=1, max_size=3), min_size=1, max_size=2)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("acquire"), tasks, locks),
        st.tuples(st.just("release"), tasks, locks),
        st.tuples(st.just("wait"), tasks, groups),
        st.tuples(st.just("finish"), tasks, st.none()),
        st.tuples(st.just("cancel"), tasks, st.none()),
    ),
    max_size=40,
)


@dataclass
class Model:
    """Who holds which lock, who queues for it, and who waits for a person to finish something."""

    owners: dict[int, int] = field(default_factory=dict)
    queues: dict[int, deque[int]] = field(default_factory=dict)
    things: dict[int, list[set[int]]] = field(default_factory=dict)

    def waiting(self, task: int) -> list[set[int]] | None:
        """The groups of which one must get on, ``None`` for a task that runs."""
        for lock, queue in self.queues.items():
            if task in queue:
                return [{self.owners[lock]}]
        return self.things.get(task)

    def stuck(self) -> set[int]:
        """Those who can never get on."""
        able: set[int] = set()
        while True:
            more = {
                task
                for task in set(range(TASKS)) - able
                if (waits := self.waiting(task)) is None or all(group & able for group in waits)
            }
            if not more:
                return set(range(TASKS)) - able
            able |= more

    def acquire(self, task: int, lock: int) -> None:
        if lock in self.owners:
            self.queues.setdefault(lock, deque()).append(task)
        else:
            self.owners[lock] = task

    def release(self, lock: int) -> None:
        del self.owners[lock]
        if self.queues.get(lock):
            self.owners[lock] = self.queues[lock].popleft()

    def give_up(self, task: int) -> None:
        for queue in self.queues.values():
            if task in queue:
                queue.remove(task)
        self.things.pop(task, None)


class Thing:
    """Something that is waited for, with the tasks in its way."""

    name = "a thing"

    def __init__(self, blockers: Callable[[], Any]) -> None:
        self.blockers = blockers


class Crew:
    """Real tasks that do one thing after the other."""

    def __init__(self) -> None:
        self.graph = WaitGraph(asyncio.get_running_loop().time)
        self.reports = 0
        self.graph.on_deadlock = self._report
        self.locks = [TrackedLock(str(number), waits=self.graph) for number in range(LOCKS)]
        self.orders: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in range(TASKS)]
        self.broken: list[int] = []
        self.busy = [False] * TASKS
        self.ending = False
        self.futures: dict[int, asyncio.Future[None]] = {}
        self.tasks = [asyncio.create_task(self._work(number)) for number in range(TASKS)]

    def _report(self, deadlock: Any) -> None:
        self.reports += 1

    async def _work(self, number: int) -> None:
        while True:
            order = await self.orders[number].get()
            self.busy[number] = True
            try:
                await order()
            except DeadlockBroken:
                self.broken.append(number)
            except asyncio.CancelledError:
                if self.ending:
                    raise
                self.tasks[number].uncancel()
            self.busy[number] = False

    async def wait_for(self, number: int, blockers: list[set[int]]) -> None:
        self.futures[number] = asyncio.get_running_loop().create_future()
        thing = Thing(lambda: [[self.tasks[one] for one in group] for group in blockers])
        await self.graph.wait(self.futures[number], thing)

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)


async def play(script: list[Any]) -> None:
    crew, model = Crew(), Model()
    await crew.settle()
    for step, task, what in script:
        waiting = model.waiting(task) is not None
        if step == "acquire" and not waiting:
            model.acquire(task, what)
            crew.orders[task].put_nowait(crew.locks[what].acquire)
        elif step == "release" and not waiting and model.owners.get(what) == task:
            model.release(what)
            crew.locks[what].release()
        elif step == "wait" and not waiting:
            model.things[task] = what
            crew.orders[task].put_nowait(lambda task=task, what=what: crew.wait_for(task, what))
        elif step == "finish" and task in model.things:
            del model.things[task]
            crew.futures[task].set_result(None)
        elif step == "cancel" and waiting:
            model.give_up(task)
            crew.tasks[task].cancel()
        else:
            continue
        await crew.settle()
        expected = [task] if step in ("acquire", "wait") and model.stuck() else []
        assert crew.broken == expected, (step, task, what)
        assert crew.reports == len(expected)
        for told in expected:
            model.give_up(told)
        assert not model.stuck(), "whoever is left can get on"
        crew.broken.clear()
        crew.reports = 0
        for lock in range(LOCKS):
            owner = model.owners.get(lock)
            assert crew.locks[lock].owner is (None if owner is None else crew.tasks[owner])
        assert crew.busy == [model.waiting(number) is not None for number in range(TASKS)]
    crew.ending = True
    for one in crew.tasks:
        one.cancel()
    await asyncio.gather(*crew.tasks, return_exceptions=True)
    assert not crew.graph.waits


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps)
def test_a_deadlock_is_reported_if_and_only_if_there_is_one(script: list[Any]) -> None:
    run_virtual(lambda: play(script))
