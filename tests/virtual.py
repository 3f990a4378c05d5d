"""An event loop on virtual time: when nothing can run, the clock jumps to the next timer.

Work on other threads (executors, and aiosqlite's through ``Database.run``) is waited for in real
time before the clock moves. A loop that would wait for ever raises instead of hanging.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from event_monitor.bus.database import Database

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Nothing is scheduled and nothing can arrive."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if self.loop.outstanding and timeout != 0:
            return super().select(1.0)
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(0.05)
            if ready or self.loop.outstanding:
                return ready
            raise Deadlock("every task waits and no timer is set")
        self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time`` starts at 1,000 seconds and moves only when the loop is idle."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 1_000.0
        self.outstanding = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self.outstanding += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, _: object) -> None:
        self.outstanding -= 1


@contextlib.contextmanager
def database_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make ``Database`` calls count as outstanding work of a ``VirtualLoop``."""
    original_run, original_open, original_close = Database.run, Database.open.__func__, Database.close

    def counting(function: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.outstanding += 1
            try:
                return await function(*args, **kwargs)
            finally:
                loop.outstanding -= 1

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(Database, "run", counting(original_run))
        patch.setattr(Database, "open", classmethod(counting(original_open)))
        patch.setattr(Database, "close", counting(original_close))
        yield


def run_virtual(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


class OneThreadLoop(VirtualLoop):
    """A virtual loop on which work for other threads is done at once, so that two runs are the same
    step for step. Nothing that is handed over may wait for the loop."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            result = func(*args)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self.call_soon(_settle, future, future.set_exception, error)
        else:
            self.call_soon(_settle, future, future.set_result, result)
        return future


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        settle(value)


class OneThreadDatabase(Database):
    """A real connection without a thread of its own, for ``OneThreadLoop``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sqlite = connection

    @classmethod
    async def open(cls, path: Path, *, read_only: bool = False, busy_timeout: float = 5.0) -> Self:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        return cls(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=busy_timeout))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # Whoever asks waits for a turn of the loop, as with a thread: others gather meanwhile.
        await asyncio.sleep(0)
        return work(self._sqlite)

    async def close(self) -> None:
        self._sqlite.close()


def run_on_one_thread(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on virtual time, every time in the same way."""
    with asyncio.Runner(loop_factory=OneThreadLoop) as runner:
        return runner.run(main())
