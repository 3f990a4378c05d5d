"""Turns what is wrong into the system's state: conditions come and go, the state follows the table.

A condition is something that is not as it should be (a breaker open, a probe failing, the store
unwritable). The state that they call for is reached by allowed steps only: from DEGRADED and FAILED
the way to HEALTHY leads through RECOVERING.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from event_monitor.model import SystemState, Transition
from event_monitor.resilience.listeners import tell
from event_monitor.system.state_machine import StateMachine, TransitionNotSaved, TransitionRefused

logger = logging.getLogger(__name__)

_S = SystemState
RETRY_DELAY = 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong. ``recovering`` says that it is being mended."""

    reason: str
    critical: bool = False
    recovering: bool = False


_WORSE = frozenset({_S.DEGRADED, _S.FAILED})


class StateDriver:
    """Keeps the state machine where the conditions want it. ``run`` makes the transitions;
    ``on_unsaved`` hears of one that could not be saved, which is tried again."""

    def __init__(self, machine: StateMachine) -> None:
        self._machine = machine
        self._conditions: dict[str, Condition] = {}
        self._clearing: dict[str, asyncio.TimerHandle] = {}
        self._mended = "all startup checks passed"
        self._maintenance: str | None = None
        self._ready = False
        self._changed = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._unsaved: Transition | None = None
        self.on_unsaved: Callable[[TransitionNotSaved], None] = lambda error: None

    def begin(self) -> None:
        """The startup checks are over: from now on the conditions speak. A maintenance that a person
        had begun before a restart goes on."""
        if self._machine.state is _S.MAINTENANCE:
            self._maintenance = self._machine.reason
        self._ready = True
        self._changed.set()

    def fail(self, what: str, reason: str, *, critical: bool = False) -> None:
        """Something is wrong."""
        self._keep(what)
        self._conditions[what] = Condition(reason, critical)
        self._changed.set()

    def _keep(self, what: str) -> None:
        clearing = self._clearing.pop(what, None)
        if clearing is not None:
            clearing.cancel()

    def recovering(self, what: str) -> None:
        """What was wrong is being mended. Nothing happens if it was not wrong."""
        found = self._conditions.get(what)
        if found is not None and not found.recovering:
            self._conditions[what] = replace(found, recovering=True)
            self._changed.set()

    def clear(self, what: str, reason: str, *, after: float = 0.0) -> None:
        """What was wrong is well again. Nothing happens if it was not wrong. With ``after`` it counts
        as well once it has not gone wrong again for so many seconds."""
        self._keep(what)
        if after and what in self._conditions:
            loop = asyncio.get_running_loop()
            self._clearing[what] = loop.call_later(after, self.clear, what, reason)
        elif self._conditions.pop(what, None) is not None:
            self._mended = reason
            self._changed.set()

    async def maintain(self, on: bool, reason: str) -> None:
        """Begin or end planned downtime; returns when the state says so, or did before.

        Raises ``TransitionNotSaved``; the wish stands all the same and is tried again."""
        self._maintenance = (reason or "planned downtime") if on else None
        if not on and self._machine.state is _S.MAINTENANCE:
            self._mended = reason or "maintenance has ended"
        await self._reach()

    async def settle(self) -> None:
        """Return when the state has followed what is known now. Raises ``TransitionNotSaved``."""
        await self._reach()

    async def _reach(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._changed.set()
        await future

    def shown(self) -> tuple[SystemState, str, str]:
        """The state that people are told, since when, and why. That is the machine's, except that a
        disk which cannot take a turn for the worse does not hide it: it is often what went wrong."""
        machine, unsaved = self._machine, self._unsaved
        if unsaved is not None and unsaved.to_state in _WORSE and machine.state is unsaved.from_state:
            return unsaved.to_state, unsaved.at, unsaved.reason
        return machine.state, machine.since, machine.reason

    def wanted(self) -> tuple[SystemState, str]:
        """The state that the conditions call for, and why."""
        if self._maintenance is not None:
            return _S.MAINTENANCE, self._maintenance
        found = list(self._conditions.values())
        critical = next((one for one in found if one.critical and not one.recovering), None)
        if critical is not None:
            return _S.FAILED, critical.reason
        if not found:
            return _S.HEALTHY, self._mended
        mending = next((one for one in found if one.recovering), None)
        if mending is not None:
            return _S.RECOVERING, f"recovering: {mending.reason}"
        return _S.DEGRADED, found[-1].reason

    async def run(self) -> None:
        """Follow the conditions for ever."""
        waiting: list[asyncio.Future[None]] = []
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                waiting, self._waiting = self._waiting, []
                unsaved = await self._follow() if self._ready else None
                self._note(unsaved)
                if unsaved is not None:
                    tell(self.on_unsaved, unsaved)
                    asyncio.get_running_loop().call_later(RETRY_DELAY, self._changed.set)
                for future in waiting:
                    if not future.done():
                        future.set_exception(unsaved) if unsaved else future.set_result(None)
        finally:
            for future in (*waiting, *self._waiting):
                future.cancel()

    def _note(self, error: TransitionNotSaved | None) -> None:
        transition = error.transition if error is not None else None
        known = self._unsaved
        if transition is None or known is None or known.to_state is not transition.to_state:
            self._unsaved = transition

    async def _follow(self) -> TransitionNotSaved | None:
        """Take the steps to the wanted state; the error if one could not be saved."""
        machine = self._machine
        while True:
            state, reason = self.wanted()
            step = next_step(machine.state, state)
            if step is None:
                return None
            if step is _S.INITIALIZING:
                reason = self._mended
            try:
                await machine.change(step, reason)
            except TransitionRefused as error:
                logger.error("%s (%s)", error, reason)
                return None
            except TransitionNotSaved as error:
                return error


def next_step(now: SystemState, wanted: SystemState) -> SystemState | None:
    """The next allowed state on the way, ``None`` if it is reached."""
    if now is wanted:
        return None
    if wanted is _S.MAINTENANCE:
        return wanted
    if now is _S.MAINTENANCE:
        return _S.INITIALIZING
    if now in (_S.DEGRADED, _S.FAILED) and wanted in (_S.HEALTHY, _S.DEGRADED):
        return _S.RECOVERING
    if now in (_S.HEALTHY, _S.INITIALIZING) and wanted is _S.RECOVERING:
        return _S.DEGRADED
    return wanted
