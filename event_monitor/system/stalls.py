"""Notices from a thread of its own when the bus's loop stands still, and says where.

The thread asks the loop for a sign of life; one that does not come in time is a stall. It is logged
while it lasts, with the stack of the loop's thread, and told to the loop when that runs again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.stacks import on_one_line, stack_of_thread
from event_monitor.system.interpreter import InterpreterDump

logger = logging.getLogger(__name__)

INTERVAL = 0.35
# How much later than asked the thread itself may wake: beyond it, it was kept from running too.
_SLACK = 0.25
_HANDLER = "target-"
_HELD = "a call that kept the interpreter to itself"
# Of the limit, the share that this process must have used the processor for such a call.
_BUSY = 0.5


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop stands still since ``since`` (the clock's time) in ``task``; ``stack`` is where, the
    innermost call first."""

    since: float
    task: str
    stack: tuple[str, ...]

    @property
    def who(self) -> str:
        """What keeps the loop, in words."""
        if self.task.startswith(_HANDLER):
            return f"handler {self.task.removeprefix(_HANDLER)}"
        return self.task

    def text(self, now: float) -> str:
        """The stall in one sentence, as of ``now``."""
        return f"stalled in {self.who} for {now - self.since:.1f} s"


class StallWatch:
    """Watches the running loop, from ``start`` to ``stop``.

    ``now`` is the stall that lasts, ``None`` while the loop runs; any thread may read it. The loop
    hears of a stall by ``on_begin`` (before anything else that waited for it) and ``on_end`` with its
    length in seconds. ``limit`` is how many seconds without a sign of life are a stall.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        *,
        limit: float,
        dump: InterpreterDump | None = None,
    ) -> None:
        self.now: Stall | None = None
        self.on_begin: Callable[[Stall], None] = lambda stall: None
        self.on_end: Callable[[Stall, float], None] = lambda stall, seconds: None
        self.clock = clock
        self._loop = loop
        self._limit = limit
        self._dump = dump
        self._loop_thread = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stall-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; call it on the loop's thread."""
        self._loop_thread = threading.get_ident()
        self._thread.start()

    async def stop(self) -> None:
        """End the thread. Safe to call twice, and before ``start``."""
        self._stopping.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def describe(self) -> str | None:
        """The stall that lasts, in words; ``None`` while the loop runs."""
        stall = self.now
        return stall.text(self.clock()) if stall is not None else None

    def _run(self) -> None:
        try:
            while True:
                seen = self.clock()
                if self._dump is not None:
                    self._dump.arm(_BUSY * self._limit)
                if self._stopping.wait(INTERVAL):
                    return
                self._ask(seen)
        except RuntimeError:
            logger.debug("the loop has ended before its watch")
        finally:
            if self._dump is not None:
                self._dump.close()

    def _ask(self, seen: float) -> None:
        """Ask for a sign of life. ``seen`` is when the last one came."""
        answered = threading.Event()
        asked = self.clock()
        late = asked - seen > INTERVAL + _SLACK
        self._loop.call_soon_threadsafe(answered.set)
        in_time = answered.wait(self._limit)
        took = self.clock() - asked
        if in_time and took < self._limit and not late:
            return
        dumped = self._dump.take() if self._dump is not None else ()
        if not late and took <= self._limit + _SLACK:
            stall = Stall(asked, self._task(), stack_of_thread(self._loop_thread))
        else:
            # This thread was kept from running too: by one call, if there is a dump.
            stall = Stall(seen, _HELD if in_time else self._task(), dumped)
        if stall.stack and not _idle(stall.stack):
            self._stalled(stall, answered)

    def _stalled(self, stall: Stall, answered: threading.Event) -> None:
        self.now = stall
        self._report(stall)
        self._loop.call_soon_threadsafe(self.on_begin, stall)
        again = 2 * self._limit
        while not answered.wait(INTERVAL):
            if self._stopping.is_set():
                return
            if self.clock() - stall.since >= again:
                again *= 2
                stall = self.now = Stall(stall.since, stall.task, stack_of_thread(self._loop_thread))
                self._report(stall)
        lasted = self.clock() - stall.since
        self.now = None
        logger.warning("the bus loop runs again after %.1f s in %s", lasted, stall.who)
        self._loop.call_soon_threadsafe(self.on_end, stall, lasted)

    def _report(self, stall: Stall) -> None:
        logger.error("the bus loop is %s: %s", stall.text(self.clock()), on_one_line(stall.stack))

    def _task(self) -> str:
        task = asyncio.current_task(self._loop)
        return task.get_name() if task is not None else "a callback"


def _idle(stack: tuple[str, ...]) -> bool:
    """Whether the loop only waits for something to do."""
    return stack[0].endswith(("Selector.select", " in select")) and "selectors.py" in stack[0]
