"""Handlers that are commands, the bus on a thread of its own, and the program's life as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor.config import RetrySettings, Settings, TargetSettings
from event_monitor.control.client import SocketClient
from event_monitor.errors import AlreadyRunning, BusClosed, InvalidRequest, ReadOnly
from event_monitor.host import BusThread, LocalClient
from event_monitor.paths import HomePaths
from event_monitor.replies import general as r
from event_monitor.runtime import Runtime
from tests.bus.helpers import rows, settings
from tests.processes import Headless, headless, wait_for


@pytest.fixture
def paths() -> Iterator[HomePaths]:
    with tempfile.TemporaryDirectory(prefix="em") as directory:
        yield HomePaths(os.path.join(directory, "home"))


@contextlib.asynccontextmanager
async def running(paths: HomePaths, chosen: Settings | None = None) -> AsyncIterator[Runtime]:
    runtime = await Runtime.start(paths, chosen or settings())
    try:
        yield runtime
    finally:
        await runtime.stop()


async def settled(runtime: Runtime, event_id: int | None) -> r.EventDetail:
    """The event once each of its deliveries has ended."""
    assert event_id is not None
    async with asyncio.timeout(30):
        while True:
            detail: r.EventDetail = await runtime.handle(m.GetEvent(event_id=event_id))
            if detail.event.status != "pending":
                return detail
            await asyncio.sleep(0.01)


def script(text: str) -> str:
    """A handler that runs Python code; the event is in ``event``."""
    code = f"import sys, os, json\nevent = json.loads(sys.stdin.readline())\n{text}"
    return f"exec:{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def note(event: Any) -> None:
    """A ``py:`` handler."""
    with open(os.environ["NOTED"], "a", encoding="utf-8") as file:
        file.write(f"{event.id} {event.event_type}\n")


# --- handlers -------------------------------------------------------------------------------


async def test_a_command_gets_the_event_as_json_and_survives_a_restart(
    paths: HomePaths, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    handler = script(
        f"open({str(out)!r}, 'a').write(json.dumps([event, os.environ['EVENT_MONITOR_EVENT_ID']]) + '\\n')"
    )
    async with running(paths) as runtime:
        reply = await runtime.handle(m.Subscribe(pattern="a.#", handler=handler, name="mine"))
        assert reply.subscription.name == "mine"
        with pytest.raises(InvalidRequest, match="exists"):
            await runtime.handle(m.Subscribe(pattern="a.#", handler=handler, name="mine"))
        first = await runtime.handle(m.Publish(event_type="a.b", payload={"text": "$(touch x); `id`\n'"}))
        assert "mine" in first.targets
        assert (await settled(runtime, first.id)).event.status == "delivered"
    async with running(paths) as again:
        (kept,) = (await again.handle(m.QuerySubscriptions())).subscriptions
        assert (kept.name, kept.pattern, kept.handler) == ("mine", "a.#", handler)
        second = await again.handle(m.Publish(event_type="a.c"))
        await settled(again, second.id)
        await again.handle(m.Unsubscribe(name="mine"))
        assert "mine" not in (await again.handle(m.Publish(event_type="a.d"))).targets
    noted = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(event["id"], cause) for event, cause in noted] == [
        (first.id, str(first.id)),
        (second.id, str(second.id)),
    ]
    assert noted[0][0]["payload"] == {"text": "$(touch x); `id`\n'"}


async def test_what_a_handler_publishes_is_caused_by_its_event(paths: HomePaths) -> None:
    command = f"exec:{shlex.quote(sys.executable)} -m event_monitor.cli publish caused.event"
    async with running(paths) as runtime:
        await runtime.handle(m.Subscribe(pattern="a.#", handler=command))
        cause = await runtime.handle(m.Publish(event_type="a.b"))
        detail = await settled(runtime, cause.id)
        assert [effect.event_type for effect in detail.effects] == ["caused.event"]
        assert (detail.effects[0].causation_id, detail.effects[0].depth) == (cause.id, 1)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sys.exit('out of paper')", "exit status 1: out of paper"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("sys.stderr.write('x' * 1_000_000); sys.exit(3)", "exit status 3: xxx"),
    ],
)
async def test_a_command_that_fails_becomes_a_dead_letter_with_its_reason(
    paths: HomePaths, text: str, error: str
) -> None:
    async with running(paths) as runtime:
        await runtime.handle(m.Subscribe(pattern="a.#", handler=script(text), name="mine"))
        published = await runtime.handle(m.Publish(event_type="a.b"))
        assert (await settled(runtime, published.id)).event.status == "dead"
        (letter,) = (await runtime.handle(m.QueryDeadLetters())).dead_letters
        assert (letter.target, letter.attempts, len(letter.errors)) == ("mine", 3, 3)
        assert error in letter.error and len(letter.error) < 10_000
        assert "Dead letter from mine" in [alert.title for alert in runtime.alerts.newest(10)]


async def test_a_program_that_disappears_is_a_failure_not_a_crash(paths: HomePaths, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o700)
    async with running(paths) as runtime:
        await runtime.handle(m.Subscribe(pattern="a.#", handler=f"exec:{program}", name="mine"))
        program.unlink()
        published = await runtime.handle(m.Publish(event_type="a.b"))
        assert (await settled(runtime, published.id)).event.status == "dead"
    async with running(paths) as again:
        assert "Started with a repair" in [alert.title for alert in again.alerts.newest(10)]
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o700)
        assert (await again.handle(m.QuerySubscriptions())).subscriptions[0].name == "mine"


async def test_long_targets_have_long_limits_and_ones_own_setting_wins(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        lanes = runtime.bus.dispatcher.lanes
        assert (lanes["verification"].timeout, lanes["cleanup"].timeout) == (300, 1_800)
    own = {"verification": TargetSettings(timeout=7.0), "cleanup": TargetSettings(timeout="critical_path")}
    async with running(paths, settings(targets=own)) as runtime:
        lanes = runtime.bus.dispatcher.lanes
        assert (lanes["verification"].timeout, lanes["cleanup"].timeout) == (7, 5)


async def test_a_command_that_hangs_is_ended_with_its_whole_group(paths: HomePaths, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hang = (
        "import signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "child.wait()\nsignal.pause()\n"
    )
    once = TargetSettings(timeout=1.0, retry=RetrySettings(max_retries=0))
    async with running(paths, settings(target_defaults=once)) as runtime:
        await runtime.handle(m.Subscribe(pattern="a.#", handler=script(hang), name="mine"))
        published = await runtime.handle(m.Publish(event_type="a.b"))
        assert (await settled(runtime, published.id)).event.status == "dead"
        (letter,) = (await runtime.handle(m.QueryDeadLetters())).dead_letters
        assert "no answer within 1 s" in letter.error
        numbers = [int(number) for number in pids.read_text().split()]
        async with asyncio.timeout(20):
            while any(map(alive, numbers)):  # noqa: ASYNC110 - other processes end when they end
                await asyncio.sleep(0.01)


def alive(number: int) -> bool:
    """Whether a process runs: one that waits to be collected by its parent has ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_python_function_is_called_with_the_event(
    paths: HomePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))
    async with running(paths) as runtime:
        await runtime.handle(
            m.Subscribe(pattern="a.*", handler="py:tests.test_runtime_life:note", filter="yes")
        )
        wanted = await runtime.handle(m.Publish(event_type="a.b", payload={"x": "yes"}))
        other = await runtime.handle(m.Publish(event_type="a.b", payload={"x": "no"}))
        assert other.targets == ["log"]
        assert (await settled(runtime, wanted.id)).event.status == "delivered"
    assert (tmp_path / "noted").read_text() == f"{wanted.id} a.b\n"


# --- the bus on its own thread --------------------------------------------------------------


async def test_a_view_reaches_the_bus_on_its_thread_and_nothing_is_left(paths: HomePaths) -> None:
    before = set(threading.enumerate())
    thread = BusThread(lambda: Runtime.start(paths, settings()))
    thread.begin()
    client = LocalClient(thread)
    replies = await asyncio.gather(*(client.request(m.Publish(event_type="a.b")) for _ in range(50)))
    assert len({reply.id for reply in replies}) == 50
    with pytest.raises(ReadOnly):
        await LocalClient(thread, read_only=True).request(m.ReloadRules())
    assert (await LocalClient(thread, read_only=True).request(m.Ping())).pid == os.getpid()
    await client.close()
    await asyncio.to_thread(thread.stop)
    thread.stop()
    with pytest.raises(BusClosed):
        await client.request(m.Ping())
    left = {one.name for one in set(threading.enumerate()) - before if not one.name.startswith("asyncio_")}
    assert left == set()
    assert not os.path.lexists(paths.socket)
    assert rows(Path(paths.database), "SELECT COUNT(*) FROM events WHERE event_type = 'a.b'") == [(50,)]


async def test_a_start_that_fails_is_raised_to_whoever_asks(paths: HomePaths) -> None:
    async with running(paths):
        thread = BusThread(lambda: Runtime.start(paths, settings()))
        with pytest.raises(AlreadyRunning):
            await asyncio.to_thread(thread.start)
        with pytest.raises(AlreadyRunning):
            await LocalClient(thread).request(m.Ping())
        await asyncio.to_thread(thread.stop)


# --- the program ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_ends_it_in_order_with_everything_settled_or_stored(home: Path, number: int) -> None:
    with headless(home) as bus:
        child = script("import time; time.sleep(0.3)")
        bus.ask(do="subscribe", pattern="slow.#", handler=child, name="slow")
        for _ in range(3):
            bus.ask(do="publish", event_type="slow.one")
        ids = [bus.ask(do="publish", event_type="a.b")["id"] for _ in range(50)]
        assert bus.stop(number) == 0
    assert not os.path.lexists(bus.socket)
    database = home / "event-bus" / "events.db"
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = dict(connection.execute("SELECT id, status FROM events WHERE event_type = 'a.b'").fetchall())
        slow = connection.execute("SELECT status FROM events WHERE event_type = 'slow.one'").fetchall()
    assert set(found) == set(ids)
    assert {status for (status,) in slow} <= {"delivered", "pending"} and len(slow) == 3
    with headless(home) as again:
        wait_for(lambda: again.ask(do="get_stats")["pending"] == 0)


def test_a_second_bus_on_the_same_home_is_told_who_runs(home: Path) -> None:
    with headless(home) as first:
        second = subprocess.run(
            [sys.executable, "-m", "event_monitor", "--headless", "--home", str(home)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 1
        assert second.stdout == ""
        assert f"process id {first.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        assert first.ask(do="ping")["pid"] == first.process.pid


async def test_a_client_of_another_process_attaches(home: Path) -> None:
    bus = await asyncio.to_thread(Headless, home)
    try:
        client = SocketClient(bus.socket)
        published = await client.request(m.Publish(event_type="a.b", payload={"x": 1}))
        detail = await client.request(m.GetEvent(event_id=published.id))
        assert detail.event.payload == {"x": 1}
        assert (await client.request(m.GetSnapshot())).pid == bus.process.pid
        await client.close()
    finally:
        assert await asyncio.to_thread(bus.stop) == 0


def test_a_killed_owner_is_replaced_at_once(home: Path) -> None:
    first = Headless(home)
    identity = first.ask(do="publish", event_type="a.b")["id"]
    first.kill()
    assert os.path.lexists(first.socket)
    with headless(home) as second:
        assert second.ask(do="get_event", event_id=identity)["event"]["id"] == identity
