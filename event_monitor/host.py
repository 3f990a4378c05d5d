"""The bus's own thread and loop, and the client that reaches it from another thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from event_monitor.errors import BusClosed
from event_monitor.messages import Message

if TYPE_CHECKING:
    from event_monitor.control.client import Client
    from event_monitor.runtime import Runtime

T = TypeVar("T")


class BusThread:
    """Runs a runtime on a thread of its own, so that no screen can stall it.

    ``start`` returns when it accepts events and raises what its start raised; ``stop`` returns
    when it has settled, closed its store and its thread has ended.
    """

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Runtime]]) -> None:
        self._start = start
        self._ready: concurrent.futures.Future[Runtime] = concurrent.futures.Future()
        # Who waits for it may be cancelled; the start is not.
        self._ready.set_running_or_notify_cancel()
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="bus")

    def start(self) -> Runtime:
        """Start and wait until the runtime runs."""
        self.begin()
        return self._ready.result()

    def begin(self) -> None:
        """Start without waiting."""
        self._thread.start()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._main())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        runtime = await self._start()
        self._ready.set_result(runtime)
        try:
            await self._stopping.wait()
        finally:
            await runtime.stop()

    def stop(self) -> None:
        """End the runtime and its thread. Safe to call twice, and after a failed start."""
        if not self._thread.is_alive():
            return
        concurrent.futures.wait([self._ready])
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def submit(self, work: Callable[[Runtime], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the bus's loop. Raises ``BusClosed`` after its end."""
        runtime = self._ready.result()
        if self._loop is None or self._loop.is_closed():
            raise BusClosed("the bus has ended")
        coroutine = work(runtime)
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise BusClosed("the bus has ended") from None

    @property
    def ready(self) -> concurrent.futures.Future[Runtime]:
        """Done once the runtime runs, or failed to start."""
        return self._ready


class LocalClient:
    """The client for a runtime in this process, which refuses commands when ``read_only``."""

    def __init__(self, thread: BusThread, *, read_only: bool = False) -> None:
        self._thread = thread
        self._read_only = read_only

    async def request(self, message: Message) -> Any:
        """See ``Client.request``."""
        if not self._thread.ready.done():
            await asyncio.wrap_future(self._thread.ready)
        answered = self._thread.submit(lambda runtime: runtime.handle(message, read_only=self._read_only))
        return await asyncio.wrap_future(answered)

    def silence(self) -> str | None:
        """See ``Client.silence``: where the bus's loop stands still, if it does."""
        ready = self._thread.ready
        return ready.result().watchdog.stalls.describe() if ready.done() else "it is starting"

    def apart(self, timeout: float) -> LocalClient:
        """See ``Client.apart``: in this process no request waits behind another."""
        return self

    async def close(self) -> None:
        """See ``Client.close``. The runtime's owner stops it."""


class OpeningClient:
    """The client for a bus that is still to be found: ``opening`` answers its client, and is asked
    once, with the first request. Raises what that raised, and asks again with the next request."""

    def __init__(self, opening: Callable[[], Awaitable[Client]]) -> None:
        self._opening = opening
        self._turn = asyncio.Lock()
        self._client: Client | None = None

    async def request(self, message: Message) -> Any:
        """See ``Client.request``."""
        return await (await self._opened()).request(message)

    async def _opened(self) -> Client:
        if self._client is None:
            async with self._turn:
                if self._client is None:
                    self._client = await self._opening()
        return self._client

    def silence(self) -> str | None:
        """See ``Client.silence``."""
        return "it is starting" if self._client is None else self._client.silence()

    def apart(self, timeout: float) -> Client:
        """See ``Client.apart``."""
        if self._client is not None:
            return self._client.apart(timeout)

        async def later() -> Client:
            return (await self._opened()).apart(timeout)

        return OpeningClient(later)

    async def close(self) -> None:
        """See ``Client.close``."""
        if self._client is not None:
            await self._client.close()
