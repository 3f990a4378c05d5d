"""A breaker that a person holds: against its own judgement, over time and over a restart, on record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.config import RetrySettings, ServiceSettings
from event_monitor.resilience.breaker import CircuitOpenError
from event_monitor.runtime import Runtime
from event_monitor.services.base import ServiceDown
from tests.chaos.scripted import ScriptedService, scripted_runtime
from tests.virtual import database_counted, run_virtual

SETTINGS = (ServiceSettings(name="db", kind="tcp", retry=RetrySettings(max_retries=0)),)
LONG = 3_600.0


async def hold(runtime: Runtime, action: Any, by: str, reason: str) -> None:
    await runtime.handle(m.SetBreaker(name="db", action=action, by=by, reason=reason))


async def report(runtime: Runtime) -> tuple[str, str | None, str | None, str]:
    (found,) = (await runtime.handle(m.QueryBreakers(name="db"))).breakers
    return found.state, found.forced, found.forced_by, found.forced_reason


async def record(runtime: Runtime) -> list[tuple[str, str, str]]:
    """What persons did to it: event, who and why, the oldest first."""
    page = await runtime.handle(m.QueryEvents(type="breaker.*", newest_first=False))
    payloads = [(event.event_type, event.payload) for event in page.events]
    return [(kind, told["by"], told["reason"]) for kind, told in payloads if told["by"]]


def test_scenario_37_what_a_person_decides_holds_and_is_recorded_with_who_and_why(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        up = True
        service = ScriptedService("db", lambda: up)

        async def call() -> Any:
            return (await runtime.services["db"].call("get")).value

        async with scripted_runtime(home, monkeypatch, {"db": service}, SETTINGS) as runtime:
            await hold(runtime, "open", "ada", "disk swap")
            await asyncio.sleep(LONG)
            with pytest.raises(CircuitOpenError):
                await call()
            assert await report(runtime) == ("OPEN", "open", "ada", "disk swap")
        async with scripted_runtime(home, monkeypatch, {"db": service}, SETTINGS) as runtime:
            assert await report(runtime) == ("OPEN", "open", "ada", "disk swap")
            await asyncio.sleep(LONG)
            with pytest.raises(CircuitOpenError):
                await call()
            await hold(runtime, "close", "bob", "measuring")
            up = False
            for _ in range(50):
                with pytest.raises(ServiceDown):
                    await call()
            await asyncio.sleep(LONG)
            assert await report(runtime) == ("CLOSED", "closed", "bob", "measuring")
        up = True
        async with scripted_runtime(home, monkeypatch, {"db": service}, SETTINGS) as runtime:
            assert await report(runtime) == ("CLOSED", "closed", "bob", "measuring")
            await hold(runtime, "close", "eve", "still measuring")
            await hold(runtime, "reset", "ada", "done")
            assert await report(runtime) == ("CLOSED", None, None, "")
            up = False
            for _ in range(5):
                with pytest.raises(ServiceDown):
                    await call()
            with pytest.raises(CircuitOpenError):
                await call()
            up = True
            await asyncio.sleep(60)
            assert await call() == "get"
            assert await record(runtime) == [
                ("breaker.opened", "ada", "disk swap"),
                ("breaker.closed", "bob", "measuring"),
                ("breaker.closed", "eve", "still measuring"),
                ("breaker.closed", "ada", "done"),
            ]

    with database_counted(monkeypatch):
        run_virtual(main)
