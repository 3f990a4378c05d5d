"""Opening buses and looking at what they stored."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.rules import RuleSet, load_rules
from event_monitor.config import QueueSettings, RetrySettings, Settings, StoreSettings, TargetSettings

FAST_RETRY = TargetSettings(retry=RetrySettings(strategy="fixed", max_retries=2, max_delay=0.02, jitter=0))


def settings(**sections: Any) -> Settings:
    """Settings for tests: no fsync, unless a test says otherwise."""
    return Settings(
        **{"store": StoreSettings(durability="normal"), "target_defaults": FAST_RETRY, **sections}
    )


def queue(**limits: int) -> QueueSettings:
    return QueueSettings(**limits)


def rules(mapping: dict[str, Any], *targets: str) -> RuleSet:
    import json

    return load_rules(json.dumps({"routing": mapping}), "rules.json", {"log", *targets})


@asynccontextmanager
async def open_bus(
    path: Path, prepare: Callable[[EventBus], Any] = lambda bus: None, **options: Any
) -> AsyncIterator[EventBus]:
    """A started bus. ``prepare`` adds handlers before the start."""
    bus = await EventBus.open(path, settings=options.pop("settings", settings()), **options)
    prepare(bus)
    async with bus:
        yield bus


def rows(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read the database as anybody could."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


class Recorder:
    """A handler that remembers what it was given, may block, and may fail."""

    def __init__(self, fail: Callable[[Any], bool] = lambda event: False) -> None:
        self.events: list[Any] = []
        self.fail = fail
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def __call__(self, event: Any) -> None:
        self.entered.set()
        await self.gate.wait()
        if self.fail(event):
            raise ValueError(f"refused {event.id}")
        self.events.append(event)

    @property
    def ids(self) -> list[int]:
        return [event.id for event in self.events]
