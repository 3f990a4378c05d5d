"""Records the session that the README shows: the real dashboard before a real bus in this process, on a
throw-away home with the demo's traffic. A server is made to fail, and a person mends what follows.

python screenshots/record.py            write session.svg; takes about a minute
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
    os.environ.pop(name, None)
os.environ |= {"TEXTUAL_COLOR_SYSTEM": "truecolor", "USER": "demo"}

from textual.pilot import Pilot  # noqa: E402  (environment first)

from event_monitor import demo, demo_services  # noqa: E402
from event_monitor.config import DashboardSettings  # noqa: E402
from event_monitor.dashboard.app import EventMonitorApp  # noqa: E402
from event_monitor.dashboard.themes import DARK  # noqa: E402
from event_monitor.host import BusThread, LocalClient  # noqa: E402
from event_monitor.messages import AcknowledgeAlerts, Publish  # noqa: E402
from event_monitor.model import Event, SystemState  # noqa: E402
from event_monitor.paths import HomePaths  # noqa: E402
from event_monitor.resilience import PermanentError  # noqa: E402
from event_monitor.runtime import Runtime  # noqa: E402
from screenshots.animation import Animation, Frame  # noqa: E402

PICTURE = HERE / "session.svg"
COLUMNS, ROWS = 110, 32
_SERVICE = "github"
_WARM_UP = 15.0
_A_FRAME = 0.25
_PATIENCE = 40.0


class StagedServices(demo_services.InventedServices):
    """The demo's servers, which fail when they are told to."""

    async def run(self) -> None:
        """None fails by itself."""
        await asyncio.Event().wait()

    def turn(self, service: str, *, down: bool) -> None:
        """Let a server fail, or heal."""
        next(server for server in self.servers if server.name == service).down = down


class Stage:
    """What happens behind the screen."""

    def __init__(self, paths: HomePaths) -> None:
        self.paths = paths
        self.services = StagedServices(random.Random(4))
        self.disk_full = True

    async def start(self) -> Runtime:
        """Start the bus, the servers, and the traffic."""
        await self.services.start(self.paths.settings)
        settings = Path(self.paths.settings)
        # The breaker is to wait for the person.
        settings.write_text(settings.read_text().replace("recovery_timeout: 8", "recovery_timeout: 120"))
        runtime = await Runtime.start(self.paths)
        runtime.bus.subscribe("report.written", self._archive, name="archive")
        self.traffic = asyncio.create_task(demo.Demo(runtime, self.services, random.Random(4)).run())
        for number in range(1, 4):
            payload = {"path": f"/reports/{number}.html", "size": 4096}
            await runtime.handle(Publish(event_type="report.written", payload=payload, source="ci"))
        return runtime

    async def end(self) -> None:
        """End the traffic: the bus is about to."""
        self.traffic.cancel()
        await asyncio.wait([self.traffic])

    async def _archive(self, event: Event) -> None:
        if self.disk_full:
            raise PermanentError("No space left on device")


class Recorder:
    """Takes a frame whenever the screen differs."""

    def __init__(self, pilot: Pilot[Any]) -> None:
        self.pilot = pilot
        self.app: EventMonitorApp = pilot.app  # type: ignore[assignment]
        self.animation = Animation(COLUMNS, ROWS, DARK.background or "", DARK.foreground or "")
        self._began = time.monotonic()
        self._last: tuple[Any, str] | None = None
        self.caption = ""

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def take(self) -> None:
        """Keep what is on the screen now."""
        rows = tuple(tuple(strip.simplify()) for strip in self.app.screen._compositor.render_strips())
        if self._last != (rows, self.caption):
            self._last = rows, self.caption
            self.animation.add(Frame(self.seconds, rows, self.caption))

    async def watch(self, seconds: float) -> None:
        """Let time go by."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.take()
            await self.pilot.pause(_A_FRAME)
        self.take()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Let time go by until something is seen."""
        end = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise SystemExit(f"never seen: {what}")
            await self.watch(_A_FRAME)

    async def press(self, *keys: str) -> None:
        """Press keys as a person does."""
        for key in keys:
            await self.pilot.press(key)
            await self.watch(0.12 if len(keys) > 2 else 0.5)


async def play(recorder: Recorder, stage: Stage) -> None:
    """The story."""
    app = recorder.app

    def state() -> SystemState:
        assert app.snapshot is not None
        return app.snapshot.state

    recorder.caption = "All is well: four services answer, events come in."
    await recorder.watch(2.5)
    recorder.caption = "The github server stops to answer …"
    stage.services.turn(_SERVICE, down=True)
    await recorder.until(lambda: state() is SystemState.DEGRADED, "DEGRADED")
    recorder.caption = "… its breaker opens after 3 failures: calls fail fast, an alert says why."
    await recorder.watch(3.0)
    recorder.caption = "2  Events, /  what failed?"
    await recorder.press("2", "slash")
    await recorder.press(*"mcp.call.failed")
    await recorder.watch(1.0)
    await recorder.press("enter")
    await recorder.watch(1.5)
    recorder.caption = "4  Dead letters: the disk was full. There is room again, so A retries them all."
    await recorder.press("4")
    await recorder.watch(1.5)
    stage.disk_full = False
    await recorder.press("A")
    await recorder.watch(1.5)
    await recorder.press("y")
    await recorder.until(lambda: bool(app.snapshot and not app.snapshot.queue.dead), "no dead letters")
    await recorder.watch(1.0)
    recorder.caption = (
        "1  Back on the Overview. The server is mended, r resets the breaker: a probe, and all is well."
    )
    stage.services.turn(_SERVICE, down=False)
    await recorder.press("1")
    while app.services.selected is None or app.services.selected.name != _SERVICE:
        await recorder.press("j") if app.services.has_focus else await recorder.press("tab")
    await recorder.watch(1.0)
    await recorder.press("r")
    await recorder.until(lambda: state() is SystemState.HEALTHY, "HEALTHY")
    recorder.caption = "HEALTHY again."
    await recorder.watch(3.0)


@asynccontextmanager
async def staged() -> AsyncIterator[tuple[Recorder, Stage]]:
    """The dashboard before a bus that has run for a while."""
    with tempfile.TemporaryDirectory(prefix="demo-") as home:
        stage = Stage(HomePaths(home))
        thread = BusThread(stage.start)
        thread.begin()
        try:
            await asyncio.wrap_future(thread.ready)
            await asyncio.sleep(_WARM_UP)
            client = LocalClient(thread)
            await client.request(AcknowledgeAlerts())
            settings = DashboardSettings(refresh=0.5, reduced_motion=True, bell=False)
            app = EventMonitorApp(client, settings)
            async with app.run_test(size=(COLUMNS, ROWS), notifications=True) as pilot:
                await pilot.pause(1.0)
                yield Recorder(pilot), stage
        finally:
            if thread.ready.done() and thread.ready.exception() is None:
                await asyncio.wrap_future(thread.submit(lambda _: stage.end()))
            await asyncio.to_thread(thread.stop)


async def record() -> str:
    """The whole session as one picture."""
    async with staged() as (recorder, stage):
        await play(recorder, stage)
        return recorder.animation.svg(recorder.seconds)


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(record()), encoding="utf-8")
    print(f"written: {PICTURE.relative_to(HERE.parent)}, {PICTURE.stat().st_size / 1000:.0f} kB")
