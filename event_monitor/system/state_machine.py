"""The state of the whole system: six states, a table of what may follow what, and a history.

A transition is saved before it counts: written aside, synced, renamed. One that cannot be saved
is rolled back and raised, so memory and disk never disagree. Listeners hear of what is so already:
one that fails is logged and cannot keep the system from a state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from event_monitor.clock import Clock, to_iso
from event_monitor.errors import EventMonitorError
from event_monitor.model import SystemState, Transition
from event_monitor.resilience.listeners import tell
from event_monitor.resilience.locks import TrackedLock

logger = logging.getLogger(__name__)

HISTORY = 100
MAX_REASON = 4_000
MAX_FILE_BYTES = 4_194_304
FORMAT = 1

_S = SystemState
ALLOWED: dict[SystemState, frozenset[SystemState]] = {
    _S.INITIALIZING: frozenset({_S.HEALTHY, _S.DEGRADED, _S.FAILED, _S.MAINTENANCE}),
    _S.HEALTHY: frozenset({_S.DEGRADED, _S.FAILED, _S.MAINTENANCE}),
    _S.DEGRADED: frozenset({_S.RECOVERING, _S.FAILED, _S.MAINTENANCE}),
    _S.RECOVERING: frozenset({_S.HEALTHY, _S.DEGRADED, _S.FAILED, _S.MAINTENANCE}),
    _S.FAILED: frozenset({_S.RECOVERING, _S.MAINTENANCE}),
    _S.MAINTENANCE: frozenset({_S.INITIALIZING}),
}


class TransitionRefused(EventMonitorError):
    """The table does not allow this transition; nothing changed."""

    code = "transition_refused"


class TransitionNotSaved(EventMonitorError):
    """The transition could not be written to disk and was rolled back."""

    code = "transition_not_saved"

    def __init__(self, message: str, advice: str = "", transition: Transition | None = None) -> None:
        super().__init__(message, advice)
        self.transition = transition


class _Saved(msgspec.Struct):
    """What ``current.json`` holds."""

    format: int
    state: SystemState
    since: str
    reason: str
    history: list[Transition]


class StateMachine:
    """One home's system state, saved in ``path``. Transitions are made one after the other;
    ``on_transition`` hears of each that was saved, ``on_refused`` of each that was not allowed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = TrackedLock("system state")
        self.state = SystemState.INITIALIZING
        self.since = to_iso(clock.wall())
        self.reason = "starting"
        self.history: deque[Transition] = deque(maxlen=HISTORY)
        self.refused: deque[Transition] = deque(maxlen=HISTORY)
        self.on_transition: Callable[[Transition], None] = lambda transition: None
        self.on_refused: Callable[[Transition], None] = lambda transition: None

    async def load(self) -> str | None:
        """Take up the saved history; the state itself begins at INITIALIZING, for everything is
        checked afresh, unless a person had set MAINTENANCE, which stays.

        A file that cannot be read is set aside; the answer then says so.
        """
        try:
            saved = await asyncio.to_thread(_read, self._path)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._clock.wall())}")
            with contextlib.suppress(OSError):
                self._path.rename(aside)
            return f"{self._path.name} could not be read ({error}); it is kept as {aside.name}"
        if saved is None:
            return None
        self.history.extend(saved.history[-HISTORY:])
        if saved.state is SystemState.MAINTENANCE:
            self.state, self.since, self.reason = saved.state, saved.since, saved.reason
        return None

    async def change(self, to: SystemState, reason: str) -> Transition:
        """Go to ``to``. Raises ``TransitionRefused`` or ``TransitionNotSaved``; then nothing changed.

        A caller that is cancelled meanwhile waits for the disk: what began is carried out. Of
        ``reason`` at most ``MAX_REASON`` characters are kept."""
        changing = asyncio.ensure_future(self._change(to, reason))
        try:
            return await asyncio.shield(changing)
        except asyncio.CancelledError:
            await asyncio.gather(changing, return_exceptions=True)
            raise

    async def _change(self, to: SystemState, reason: str) -> Transition:
        async with self._lock:
            reason = _storable(reason)
            transition = Transition(
                from_state=self.state, to_state=to, at=to_iso(self._clock.wall()), reason=reason
            )
            if to not in ALLOWED[self.state]:
                self.refused.append(transition)
                tell(self.on_refused, transition)
                raise TransitionRefused(f"the system cannot go from {self.state} to {to}")
            history = [*self.history, transition][-HISTORY:]
            saved = _Saved(FORMAT, to, transition.at, reason, history)
            try:
                await asyncio.to_thread(_write, self._path, msgspec.json.encode(saved))
            except OSError as error:
                raise TransitionNotSaved(
                    f"{self.state} → {to} could not be saved: {error}",
                    f"check that {self._path.parent} is writable and the disk has room",
                    transition,
                ) from error
            self.state, self.since, self.reason = to, transition.at, reason
            self.history.append(transition)
        tell(self.on_transition, transition)
        return transition


def _storable(reason: str) -> str:
    """``reason`` as it can be written and read again: an error's text may hold half characters."""
    return reason[:MAX_REASON].encode(errors="replace").decode()


def _read(path: Path) -> _Saved | None:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES:,} bytes")
    saved = msgspec.json.decode(content, type=_Saved)
    if saved.format != FORMAT:
        raise ValueError(f"its format is {saved.format}, this program knows {FORMAT}")
    return saved


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # The new file is in place: a sync that fails now must not make it count as unsaved.
    with contextlib.suppress(OSError):
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
