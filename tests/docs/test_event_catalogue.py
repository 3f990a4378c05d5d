"""What a real bus publishes by itself stands in the catalogue of event types, key by key."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from event_monitor import messages as m
from event_monitor import runtime as runtime_module
from event_monitor import spooling
from event_monitor.bus import event_bus, storms
from event_monitor.config import StormRule
from event_monitor.control.hooks import translate
from event_monitor.event_types import OWN_EVENTS
from event_monitor.hook_types import COMMON_KEYS, HOOK_TYPES, KEYS, UNKNOWN, HookType
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from event_monitor.services.registry import ServiceChange
from tests.bus.helpers import rows, settings
from tests.test_runtime import running, until

RECORDED = (Path(__file__).parents[1] / "data" / "hook-payloads.jsonl").read_bytes().splitlines()
BY_TYPE = {kind.TYPE: kind for kind in OWN_EVENTS}


@pytest.fixture
def paths() -> Iterator[HomePaths]:
    with tempfile.TemporaryDirectory(prefix="em") as directory:
        yield HomePaths(os.path.join(directory, "home"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "TICK", 0.02)
    monkeypatch.setattr(event_bus, "EXPIRY_INTERVAL", 0.05)
    monkeypatch.setattr(storms, "QUIET", 0.3)


async def test_a_run_meets_every_type_of_the_catalogue_and_no_key_that_it_lacks(paths: HomePaths) -> None:
    rule = StormRule(rate=5, burst=5, keep=0)
    async with running(paths, settings(storm={"a.#": rule})) as runtime:
        await _services(runtime)
        await _breakers_and_states(runtime)
        await runtime.handle(m.StartStoreWork(kind="backup", path=os.path.join(paths.home, "copy.db")))
        await _commands_that_recur(runtime)
        _spool(paths, "lines", b"no event\n")
        _spool(paths, "hook", b"no JSON")
        for _ in range(50):
            await runtime.handle(m.Publish(event_type="a.b", source="loud"))
        await until(lambda: _unmet(paths) == {"error.critical"})
        # Last, for it engages the kill switch.
        claim = {"path": "/nonexistent/site.tar", "size": 1}
        await runtime.handle(m.Publish(event_type="backup.completed", payload=claim, source="a script"))
        await until(lambda: not _unmet(paths))
    for event_type, source, payload in _told(paths):
        kind = BY_TYPE.get(event_type)
        assert kind is not None, f"{event_type} does not stand in event_types"
        assert source == kind.FROM
        # Strictly: no key too many, none too few, each of its type.
        msgspec.convert(json.loads(payload), kind)


async def _services(runtime: Runtime) -> None:
    for kind in ("http", "mcp"):
        for what in ("health", "fallback"):
            for well in (False, True):
                runtime.services.on_change(ServiceChange("s", kind, what, well, "s: so it is", False))


async def _breakers_and_states(runtime: Runtime) -> None:
    breaker = runtime.bus.circuit_breakers["storage"]
    for _ in range(breaker.failure_threshold):
        breaker.acquire().failure(OSError("the disk is gone"))
    await runtime.handle(m.SetBreaker(name="target:storage", action="half_open", reason="a test", by="ann"))
    breaker.acquire().success()
    for action in ("open", "reset"):
        await runtime.handle(m.SetBreaker(name="target:log", action=action, reason="a test", by="ann"))


async def _commands_that_recur(runtime: Runtime) -> None:
    for _ in range(4):
        for command in ("git add", "git commit"):
            payload = {"session_id": "one", "tool_input": {"command": command}}
            await runtime.handle(m.Publish(event_type="command.executed", payload=payload))


def _spool(paths: HomePaths, kind: str, content: bytes) -> None:
    spooling.write_entry(paths.spool, spooling.entry_name(kind), [content])


def _unmet(paths: HomePaths) -> set[str]:
    return set(BY_TYPE) - {event_type for event_type, _, _ in _told(paths)}


def _told(paths: HomePaths) -> list[tuple[str, str, str]]:
    """Type, source and payload of what the program itself has published."""
    return rows(
        Path(paths.database),
        "SELECT event_type, source, payload FROM events WHERE source IN ('event-monitor', 'spool', 'hook')",
    )


def test_every_recorded_hook_becomes_a_type_of_the_table_with_keys_that_it_names() -> None:
    known = {one.event_type: one for one in HOOK_TYPES}
    for line in RECORDED:
        event = translate(line, 262_144)
        row = known[event.event_type]
        assert event.payload["hook_event_name"] == row.hook
        assert set(event.payload) <= {*COMMON_KEYS, *row.keys, "mcp_server"}
        assert set(event.payload) <= set(KEYS)


@pytest.mark.parametrize("row", HOOK_TYPES, ids=lambda row: row.event_type)
def test_each_row_of_the_hooks_is_what_such_a_hook_becomes(row: HookType) -> None:
    tool = {"command": "Bash", "mcp": "mcp__github__search", "tool": "Read", "": None}[row.tool]
    payload = {"hook_event_name": row.hook} | ({"tool_name": tool} if tool else {})
    event = translate(json.dumps(payload), 262_144)
    assert (event.event_type, event.priority) == (row.event_type, row.priority)


def test_a_hook_that_is_not_known_is_named_after_itself() -> None:
    assert translate('{"hook_event_name": "WorktreeCreate"}', 262_144).event_type == "hook.worktree_create"
    assert translate("{}", 262_144).event_type == UNKNOWN
