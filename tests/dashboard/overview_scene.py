"""The real dashboard in front of a real bus: services that are up and down, targets that fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from event_monitor.config import DashboardSettings
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.memory import Memory
from event_monitor.dashboard.palette import ActionProvider
from event_monitor.host import BusThread, LocalClient
from event_monitor.messages import Message, Publish, Subscribe
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime

_PATIENCE = 30.0


@dataclass
class Live:
    """The dashboard and the bus behind it."""

    app: EventMonitorApp
    pilot: Pilot[Any]
    client: LocalClient

    async def ask(self, message: Message) -> Any:
        """What the bus itself answers."""
        return await self.client.request(message)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Take pictures until something is so, and answer it."""
        async with asyncio.timeout(_PATIENCE):
            while not (found := condition()):
                self.app.refresh_soon()
                await self.pilot.pause(0.02)
        return found

    async def until_bus(self, message: Message, condition: Callable[[Any], Any]) -> Any:
        """Ask the bus until its answer is as it should be."""
        async with asyncio.timeout(_PATIENCE):
            while not condition(reply := await self.ask(message)):
                await self.pilot.pause(0.02)
        return reply

    async def press(self, *keys: str) -> None:
        """Press keys one by one."""
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def answer(self, reason: str) -> None:
        """Type a reason into the question that is about to be asked, and confirm."""
        await self.until(lambda: type(self.app.screen).__name__ == "ReasonDialog")
        await self.press(*reason, "enter")
        await self.until(lambda: len(self.app.screen_stack) == 1)

    async def entries(self) -> dict[str, Any]:
        """What the palette offers, rare entries too, by name."""
        provider = ActionProvider(self.app.screen)
        await provider.startup()
        return {entry.name: entry for entry in provider._entries()}

    async def choose(self, name: str) -> None:
        """Run an entry of the palette."""
        await (await self.entries())[name].run()
        await self.pilot.pause()


@contextlib.asynccontextmanager
async def live(home: Path, *, memory: Memory | None = None, read_only: bool = False) -> AsyncIterator[Live]:
    """A dashboard on a home where ``db`` is up, ``gone`` is down, and what is published as ``bad.#`` fails
    at once."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    probes = {"startup": {"interval": 0.1, "failures": 1}, "readiness": {"interval": 0.2}}
    db = {"name": "db", "kind": "tcp", "port": port, "probes": probes}
    gone = {"name": "gone", "kind": "tcp", "port": 1, "probes": probes}
    retry = {"retry": {"max_retries": 0}}
    settings = home / "event-bus" / "event-monitor.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"services": [db, gone], "target_defaults": retry}))
    thread = BusThread(lambda: Runtime.start(HomePaths(str(home))))
    thread.begin()
    client = LocalClient(thread, read_only=read_only)
    app = EventMonitorApp(
        client, DashboardSettings(refresh=60.0, reduced_motion=True), memory=memory, read_only=read_only
    )
    try:
        if not read_only:
            await client.request(Subscribe(pattern="bad.#", handler="exec:false", name="failing"))
        async with server, app.run_test(size=(120, 36), notifications=True) as pilot:
            yield Live(app, pilot, client)
    finally:
        await asyncio.to_thread(thread.stop)


async def dead_letter(bus: Live) -> None:
    """Have a delivery fail for good."""
    await bus.ask(Publish(event_type="bad.thing", payload={"service": "db"}))
    await bus.until(lambda: bus.app.snapshot is not None and bus.app.snapshot.queue.dead)
