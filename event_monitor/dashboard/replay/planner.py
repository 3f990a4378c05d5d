"""The plan of what is chosen, asked for anew whenever that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import msgspec

from event_monitor.clock import from_iso
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.replay.newest import Newest
from event_monitor.dashboard.replay.question import Question
from event_monitor.errors import EventMonitorError, NoBus
from event_monitor.messages import Speed
from event_monitor.replies.replays import ReplayPlan

# A held key asks once, when it is let go.
DELAY = 0.15
# A plan of a month's events that looks into each payload takes minutes.
PATIENCE = 900.0


class Planner:
    """``question`` is what was asked last, ``plan`` its answer once that is there, ``problem`` why there
    is none; ``last`` is the newest plan that came, which ``took`` so many seconds. ``changed`` is called
    when one of them is different."""

    def __init__(self, link: BusLink, changed: Callable[[], None]) -> None:
        self.question: Question | None = None
        self.plan: ReplayPlan | None = None
        self.last: tuple[ReplayPlan, Question] | None = None
        self.problem = ""
        self.lost = False
        self.took = 0.0
        self._asked_at = 0.0
        self._changed = changed
        self._newest = Newest(link, delay=DELAY, patience=PATIENCE)

    def ask(self, question: Question, *, again: bool = False) -> None:
        """Ask, unless that is what was asked last. Another speed is no other question."""
        if self.question is not None and not again:
            same = replace(question, speed=self.question.speed) == self.question
            if same and question != self.question:
                self.question = question
                self.plan = None if self.plan is None else at_speed(self.plan, question.speed)
                self._changed()
            if same:
                return
        # Asked again, the last answer stands until there is another.
        self.plan = self.plan if question == self.question else None
        self.question, self.problem, self.lost = question, "", False
        self._asked_at = asyncio.get_running_loop().time()
        self._newest.ask(question.plan(), self._answered, self._refused)
        self._changed()

    def _answered(self, plan: ReplayPlan) -> None:
        self.took = asyncio.get_running_loop().time() - self._asked_at
        if self.question is not None:
            self.plan = at_speed(plan, self.question.speed)
            self.last = (self.plan, self.question)
        self._changed()

    def _refused(self, error: EventMonitorError) -> None:
        self.problem, self.lost = str(error), isinstance(error, NoBus)
        self._changed()

    def cancel(self) -> bool:
        """Give up waiting; the bus stops looking. False if nothing was waited for."""
        if not self._newest.drop():
            return False
        self.problem = "You gave up waiting for the plan."
        self._changed()
        return True

    def close(self) -> None:
        """Wait for nothing; what was not answered is asked again by the same question."""
        if self._newest.drop():
            self.question = None

    @property
    def waited(self) -> float | None:
        """Seconds that the answer is waited for; ``None`` if it is not."""
        return self._newest.waited


def at_speed(plan: ReplayPlan, speed: Speed) -> ReplayPlan:
    """A plan at another speed: what is replayed does not depend on it, only how long that takes."""
    if speed == plan.speed:
        return plan
    seconds = 0.0
    if speed != "max" and plan.first is not None and plan.last is not None:
        seconds = max(0.0, from_iso(plan.last) - from_iso(plan.first)) / speed
    return msgspec.structs.replace(plan, speed=speed, seconds=seconds)
