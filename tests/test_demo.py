"""The demo: its services are real ones, and it touches nothing but its throw-away home."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from event_monitor.demo_services import NAMES, InventedServices
from event_monitor.messages import GetSnapshot
from event_monitor.model import Event
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from event_monitor.services.base import ServiceError
from event_monitor.services.http import HttpService
from event_monitor.settings_file import load_settings


async def test_an_invented_service_answers_and_fails_when_it_is_down(tmp_path: Path) -> None:
    invented = InventedServices()
    path = str(tmp_path / "event-bus" / "event-monitor.yaml")
    await invented.start(path)
    try:
        services = load_settings(path).services
        assert [service.name for service in services] == list(NAMES)
        client = HttpService("github", services[1].url or "")
        assert (await client.call("get"))["status"] == 200
        invented.servers[1].down = True
        with pytest.raises(ServiceError, match="503"):
            await client.call("get")
        invented.servers[1].down = False
        assert (await client.call("get"))["status"] == 200
        await client.stop()
    finally:
        await invented.stop()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int((services[1].url or "").rstrip("/").split(":")[-1]))


async def test_the_demo_calls_its_services_and_tells_the_bus(home: Path) -> None:
    runtime = await Runtime.start(HomePaths(str(home)), demo=True)
    called = asyncio.Event()

    def hear(event: Event) -> None:
        called.set()

    try:
        runtime.bus.subscribe("mcp.call.ok", hear)
        async with asyncio.timeout(30):
            await called.wait()
        picture = await runtime.handle(GetSnapshot())
        assert picture.demo and {view.name for view in picture.services} >= set(NAMES)
    finally:
        await runtime.stop()
