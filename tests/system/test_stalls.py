"""A loop that stands still, in real time: found within a second while it lasts, and told afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from event_monitor.stacks import stack_of_thread
from event_monitor.system.interpreter import InterpreterDump, parse_dump
from event_monitor.system.stalls import Stall, StallWatch
from tests.processes import Headless, connect, exchange, headless, wait_for

HANDLERS = "py:tests.system.blocking_handlers:"
ROOT = Path(__file__).parents[2]


class Scene:
    """A watch of the running loop, and what it told."""

    def __init__(self, limit: float) -> None:
        self.told: list[str] = []
        self.stalls: list[tuple[Stall, float]] = []
        self.over = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.watch = StallWatch(loop, loop.time, limit=limit)
        self.watch.on_begin = lambda stall: self.told.append(f"begin {stall.who}")
        self.watch.on_end = self._ended

    def _ended(self, stall: Stall, seconds: float) -> None:
        self.told.append("end")
        self.stalls.append((stall, seconds))
        self.over.set()


async def test_a_stall_can_be_read_while_it_lasts_and_is_told_before_what_came_later() -> None:
    scene = Scene(limit=0.3)
    seen: list[str | None] = []
    loop = asyncio.get_running_loop()

    async def block() -> None:
        began = loop.time()
        while (text := scene.watch.describe()) is None and loop.time() < began + 10:
            time.sleep(0.01)  # noqa: ASYNC251 - the stall
        seen.append(text)
        loop.call_soon_threadsafe(scene.told.append, "what came later")

    assert scene.watch.describe() is None
    scene.watch.start()
    await asyncio.create_task(block(), name="target-clumsy")
    async with asyncio.timeout(10):
        await scene.over.wait()
    await scene.watch.stop()
    assert seen[0] is not None and seen[0].startswith("stalled in handler clumsy for ")
    assert scene.told[0] == "begin handler clumsy" and scene.told[-1] == "end"
    [(stall, seconds)] = scene.stalls
    assert seconds > 0.3 and scene.watch.now is None
    assert any("in test_a_stall" in line and "test_stalls.py" in line for line in stall.stack)


async def test_a_loop_that_is_busy_or_idle_is_no_stall() -> None:
    scene = Scene(limit=1.5)
    scene.watch.start()
    end = asyncio.get_running_loop().time() + 2.5
    while asyncio.get_running_loop().time() < end:
        time.sleep(0.02)  # noqa: ASYNC251 - busy, with room for others in between
        await asyncio.sleep(0)
    await asyncio.sleep(2)
    await scene.watch.stop()
    assert not scene.told


async def test_a_watch_that_never_started_can_be_stopped() -> None:
    await Scene(limit=1).watch.stop()


def test_the_last_stack_of_a_dump_counts() -> None:
    text = (
        "Stack (most recent call first):\n"
        '  File "/a/b/c/old.py", line 1 in old\n\n'
        "Stack (most recent call first):\n"
        '  File "/x/y/z/new.py", line 2 in new\n  File "/x/y/z/caller.py", line 3 in <module>\n'
    )
    assert parse_dump(text) == ("y/z/new.py:2 in new", "y/z/caller.py:3 in <module>")
    assert parse_dump("torn \udcff 0x") == ()


@pytest.fixture
def dump(tmp_path: Path) -> Iterator[InterpreterDump]:
    with closing(InterpreterDump(tmp_path / "stall.txt")) as dump:
        yield dump


def keep_the_interpreter(until: Callable[[], bool]) -> None:
    while not until():
        re.match(r"(a+)+$", "a" * 18 + "b")


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "another thread"])
def test_a_dump_shows_the_thread_that_computes_and_is_forgotten_once_it_was_read(
    tmp_path: Path, dump: InterpreterDump, thread: bool
) -> None:
    def until() -> bool:
        return (tmp_path / "stall.txt").stat().st_size > 0

    dump.arm(0.05)
    if thread:
        computing = threading.Thread(target=keep_the_interpreter, args=(until,))
        computing.start()
        computing.join()
    else:
        keep_the_interpreter(until)
    stack = dump.take()
    assert any("in keep_the_interpreter" in line for line in stack)
    assert ("threading.py" in stack[-1]) is thread
    assert dump.take() == ()


def test_a_process_that_uses_no_processor_is_not_looked_into(dump: InterpreterDump) -> None:
    """Suspended, starved or asleep, it may run on in the middle of a dump."""
    dump.arm(0.1)
    time.sleep(0.3)
    assert dump.take() == ()


def test_an_old_dump_is_not_taken_for_a_new_one_and_a_late_signal_is_no_end(
    tmp_path: Path, dump: InterpreterDump
) -> None:
    dump.arm(0.05)
    keep_the_interpreter(lambda: (tmp_path / "stall.txt").stat().st_size > 0)
    dump.arm(60)
    assert dump.take() == ()
    dump.close()
    os.kill(os.getpid(), signal.SIGPROF)
    assert (tmp_path / "stall.txt").read_bytes() == b""


def test_a_dump_without_a_home_does_no_harm(tmp_path: Path) -> None:
    nowhere = InterpreterDump(tmp_path / "missing" / "stall.txt")
    nowhere.arm(0.01)
    assert nowhere.take() == ()
    nowhere.close()


def test_a_threads_stack_names_places_and_no_values() -> None:
    secret = "hunter2"
    stack = stack_of_thread(threading.get_ident())
    assert stack[1].split(":")[0].endswith("tests/system/test_stalls.py")
    assert secret not in "".join(stack) and stack_of_thread(1) == ()


# --- in a process of its own ----------------------------------------------------------------


@pytest.fixture
def bus(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Headless]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with headless(home) as running:
        wait_for(lambda: running.ask(do="get_state")["state"] == "HEALTHY")
        yield running


def log_of(bus: Headless) -> str:
    return (bus.home / "event-bus" / "logs" / "event-monitor.log").read_text()


def lines_with(bus: Headless, part: str) -> list[str]:
    return [line for line in log_of(bus).splitlines() if part in line]


def time_of(line: str) -> datetime:
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")


def start_blocking(bus: Headless, function: str) -> datetime:
    """Have a handler of the bus block it; answers when it was asked for."""
    bus.ask(do="subscribe", pattern="stall.now", handler=HANDLERS + function, name="clumsy")
    with closing(connect(bus.socket)) as connection:
        began = datetime.now()
        connection.sendall(b'{"do": "publish", "event_type": "stall.now"}\n')
        wait_for(lambda: lines_with(bus, "the bus loop is stalled"))
        return began


def alert_about(bus: Headless, part: str) -> Any:
    def find() -> Any:
        return next((one for one in bus.ask(do="query_alerts")["alerts"] if part in one["title"]), None)

    return wait_for(find)


def test_scenario_22_a_handler_that_blocks_the_loop_is_logged_within_a_second_and_shows_as_degraded(
    bus: Headless,
) -> None:
    began = start_blocking(bus, "block")
    first = lines_with(bus, "the bus loop is stalled")[0]
    assert 0 < (time_of(first) - began).total_seconds() < 1.5, "the promise is a second"
    assert "handler clumsy" in first and "blocking_handlers.py" in first and " in block" in first
    assert bus.ask(do="get_state")["state"] in ("HEALTHY", "DEGRADED")
    alert = alert_about(bus, "The bus stood still in handler clumsy")
    assert "blocking_handlers.py" in alert["detail"] and alert["severity"] == "critical"
    wait_for(lambda: bus.ask(do="get_state")["state"] == "DEGRADED")
    wait_for(lambda: bus.ask(do="get_state")["state"] == "HEALTHY")
    history = [change["to_state"] for change in bus.ask(do="get_state", history=True)["history"]]
    assert history[-3:] == ["DEGRADED", "RECOVERING", "HEALTHY"]
    delivered = bus.ask(do="get_stats")["targets"]["clumsy"]
    assert delivered["handled"] == 1 and delivered["failed"] == 0


def test_scenario_22_a_call_that_keeps_the_interpreter_is_found_with_its_stack(bus: Headless) -> None:
    start_blocking(bus, "spin")
    alert = alert_about(bus, "The bus stood still")
    assert "blocking_handlers.py" in alert["detail"] and "in spin" in alert["detail"]


def test_a_process_that_was_stopped_for_a_while_did_not_stall(bus: Headless) -> None:
    os.kill(bus.process.pid, signal.SIGSTOP)
    time.sleep(2)
    os.kill(bus.process.pid, signal.SIGCONT)
    assert bus.ask(do="ping")["pid"] == bus.process.pid
    time.sleep(1)
    assert not lines_with(bus, "stalled")
    assert bus.ask(do="get_state")["state"] == "HEALTHY"


def test_sigusr1_writes_the_tasks_to_the_log_while_the_loop_stands_still(bus: Headless) -> None:
    start_blocking(bus, "block")
    os.kill(bus.process.pid, signal.SIGUSR1)
    found = wait_for(lambda: lines_with(bus, "tasks: the loop's thread is at"))
    assert "blocking_handlers.py" in found[0] and " in block" in found[0]
    assert wait_for(lambda: lines_with(bus, "tasks: target-clumsy running"))
    assert not lines_with(bus, "the bus loop runs again"), "it still stood still then"
    assert bus.ask(do="ping")["pid"] == bus.process.pid


def test_handlers_that_wait_for_each_other_are_broken_and_named_and_the_bus_goes_on(bus: Headless) -> None:
    bus.ask(do="subscribe", pattern="circle.ask", handler=HANDLERS + "ask", name="asker")
    bus.ask(do="subscribe", pattern="circle.answer", handler=HANDLERS + "answer", name="answerer")
    began = datetime.now()
    bus.ask(do="publish", event_type="circle.ask")
    line = wait_for(lambda: lines_with(bus, "deadlock, broken"))[0]
    assert (time_of(line) - began).total_seconds() < 1.5, "the promise is a second"
    assert "target-asker" in line and "target-answerer" in line and "blocking_handlers.py" in line
    alert = alert_about(bus, "A deadlock was broken")
    assert "target-answerer" in alert["detail"]
    with closing(connect(bus.socket)) as connection:
        assert exchange(connection, {"do": "publish", "event_type": "other"})["ok"]
