"""The Dead letters tab on a real bus in this process, with letters that have really died; and fixed ones for
pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from textual.pilot import Pilot

from event_monitor.config import DashboardSettings
from event_monitor.dashboard.app import EventMonitorApp
from event_monitor.dashboard.dead_letters.tab import DeadLettersTab
from event_monitor.dashboard.memory import Memory
from event_monitor.host import BusThread, LocalClient
from event_monitor.messages import (
    Message,
    Publish,
    QueryDeadGroups,
    QueryDeadLetters,
    QueryRetryRuns,
    ResolveRoute,
    Subscribe,
)
from event_monitor.model import Priority
from event_monitor.paths import HomePaths
from event_monitor.replies.dead_letters import DeadGroup, DeadGroups, RetryRun, RetryRuns, RetryState
from event_monitor.replies.general import DeadLetter, DeadLetterPage, Route
from event_monitor.runtime import Runtime
from tests.dashboard import scene
from tests.dashboard.driving import settle
from tests.flagged import HANDLER

SEEDS = (("a.bad", 5), ("b.bad", 2))
TARGET = "mine"


class Stage:
    """A view of a real bus, opened at the Dead letters tab."""

    def __init__(self, app: EventMonitorApp, pilot: Pilot[Any], bus: LocalClient, home: Path) -> None:
        self.app = app
        self.pilot = pilot
        self.bus = bus
        self.home = home

    @property
    def tab(self) -> DeadLettersTab:
        tab = self.app.tabs.active
        assert isinstance(tab, DeadLettersTab)
        return tab

    async def ask(self, message: Message) -> Any:
        """Ask the bus itself, past the view."""
        return await self.bus.request(message)

    async def groups(self) -> dict[str, int]:
        """How many letters of each type the bus has."""
        found: DeadGroups = await self.ask(QueryDeadGroups())
        return {group.event_type: group.letters for group in found.groups}

    async def press(self, *keys: str) -> None:
        """Press keys and let what they began end."""
        await self.pilot.press(*keys)
        await settle(self.pilot)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the screen shows what is meant; it is asked to look again as it does every second."""
        async with asyncio.timeout(30):
            while not condition():
                self.app.refresh_soon()
                self.tab.reader.look()
                await self.pilot.pause(0.02)

    def mend(self) -> None:
        """From now on the handler takes everything."""
        (self.home / "broken").unlink()

    def seen(self) -> list[int]:
        """The ids that the handler took."""
        seen = self.home / "seen"
        return sorted(map(int, seen.read_text().split())) if seen.exists() else []


@asynccontextmanager
async def stage(
    home: Path,
    *,
    seeds: tuple[tuple[str, int], ...] = SEEDS,
    size: tuple[int, int] = (120, 36),
    read_only: bool = False,
    memory: Memory | None = None,
) -> AsyncIterator[Stage]:
    """A bus with dead letters, and the tab that shows them."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "broken").touch()
    thread = BusThread(lambda: Runtime.start(HomePaths(str(home))))
    thread.begin()
    bus = LocalClient(thread)
    try:
        await bus.request(Subscribe(pattern="*.bad", handler=HANDLER, name=TARGET))
        for event_type, count in seeds:
            for number in range(count):
                payload = {"name": f"job {number}", "token": "hunter2", "size": number}
                await bus.request(Publish(event_type=event_type, payload=payload))
        await _until_dead(bus, sum(count for _, count in seeds))
        app = EventMonitorApp(
            LocalClient(thread, read_only=read_only),
            DashboardSettings(refresh=60.0, reduced_motion=True, toast=False),
            mask=("token",),
            read_only=read_only,
            memory=memory,
        )
        async with app.run_test(size=size, notifications=True) as pilot:
            await settle(pilot)
            await pilot.press("4")
            shown = Stage(app, pilot, bus, home)
            async with asyncio.timeout(30):
                while app.tabs.active.NAME != "dead_letters" or shown.tab.tree_.found is None:
                    await pilot.pause(0.01)
            await settle(pilot)
            yield shown
    finally:
        await asyncio.to_thread(thread.stop)


async def _until_dead(bus: LocalClient, wanted: int) -> None:
    async with asyncio.timeout(30):
        while (await bus.request(QueryDeadGroups())).letters < wanted:  # noqa: ASYNC110 - a bus is asked
            await asyncio.sleep(0.01)


# --- fixed data for pictures ----------------------------------------------------------------


def _group(number: int, event_type: str, target: str, letters: int, error: str, sample: str) -> DeadGroup:
    return DeadGroup(
        id=number,
        event_type=event_type,
        target=target,
        error=error,
        letters=letters,
        first_at="2026-03-14T09:12:44.000000Z",
        last_at=f"2026-03-14T15:{42 - number}:16.000000Z",
        first_id=100 * number,
        last_id=100 * number + letters,
        sample=sample,
    )


GROUPS = (
    _group(
        1,
        "backup.completed",
        "storage",
        1_204,
        "OSError: [Errno <n>] No space left on device: '<path>'",
        "OSError: [Errno 28] No space left on device: '/mnt/backup/2026-03-14.tar.zst'",
    ),
    _group(
        2,
        "mcp.server.down",
        "notification",
        37,
        "CommandFailed: notify-send: exit status <n>",
        "CommandFailed: notify-send: exit status 1: cannot open display",
    ),
    _group(
        3,
        "command.failed",
        "pager",
        1,
        "TimeoutError: no answer within <n> s",
        "TimeoutError: no answer within 30 s",
    ),
)


def letter(number: int) -> DeadLetter:
    """A dead letter of the first group."""
    errors = [
        {"at": f"2026-03-14T15:41:{second}.000000Z", "error": GROUPS[0].sample} for second in (10, 12, 16)
    ]
    return DeadLetter(
        id=number,
        event_type="backup.completed",
        target="storage",
        attempts=3,
        error=GROUPS[0].sample,
        dead_at="2026-03-14T15:41:16.000000Z",
        priority=Priority.HIGH,
        payload={
            "name": f"/home/demo/backup-{number}.tar.zst",
            "size": 48_213_000 + number,
            "token": "hunter2",
            "note": "bad \x1b[31m mark",
        },
        errors=errors,
    )


RUN = RetryRun(
    id=3,
    state=RetryState.RUNNING,
    rate=10.0,
    letters=1_204,
    retried=602,
    delivered=590,
    failed=4,
    under_way=8,
    seconds_left=60.2,
    groups=[1],
    begun_by="demo (dashboard)",
    created_at="2026-03-14T15:41:00.000000Z",
)


class DeadClient(scene.FakeClient):
    """Fixed dead letters beside the fixed picture."""

    def __init__(self, groups: tuple[DeadGroup, ...] = GROUPS, runs: tuple[RetryRun, ...] = (RUN,)) -> None:
        queue = msgspec.structs.replace(scene.snapshot().queue, dead=sum(g.letters for g in groups))
        super().__init__(scene.snapshot(queue=queue))
        self.groups, self.runs = groups, runs

    async def request(self, message: Message) -> Any:
        if isinstance(message, QueryDeadGroups):
            fit = [g for g in self.groups if all(w in f"{g.event_type} {g.error}" for w in message.words)]
            total = sum(group.letters for group in fit)
            return DeadGroups(groups=fit, total=len(fit), letters=total, at="2026-03-14T15:42:07.000000Z")
        if isinstance(message, QueryRetryRuns):
            return RetryRuns(runs=list(self.runs))
        if isinstance(message, QueryDeadLetters):
            return DeadLetterPage(dead_letters=[letter(1_304 - n) for n in range(50)], more=True)
        if isinstance(message, ResolveRoute):
            return Route(
                event_type=message.event_type,
                priority=Priority.HIGH,
                targets=["storage", "log"],
                rules=["backup.*"],
            )
        return await super().request(message)
