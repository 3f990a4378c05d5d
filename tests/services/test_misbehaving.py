"""What misbehaves is noticed, told, and mended in time: real processes, killed and stopped for real.

Each time the services panel and ``event-cli health`` must say within one probe interval how it is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from event_monitor.config import ProbeSettings, ServiceProbes, ServiceSettings
from event_monitor.resilience.timeouts import DeadlineExceeded
from tests.services import peers
from tests.services.watching import INTERVAL, NOTICED_WITHIN, PROBES, WELL, Watched, service, watching

pytestmark = pytest.mark.slow
STUB = Path(__file__).with_name("stub_server.py")
SIGNALS = [signal.SIGKILL, signal.SIGSTOP]


def stub(*options: str, **given: Any) -> ServiceSettings:
    return service(kind="mcp", command=(sys.executable, str(STUB), *options), **given)


def is_running(pid: int) -> bool:
    """Whether a process is there and neither stopped nor a zombie, as the system says."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"T", b"t", b"Z", b"X")


# --- servers that we run --------------------------------------------------------------------

OURS: dict[str, Callable[[Path], ServiceSettings]] = {
    "stub": lambda place: stub(),
    "stub that ignores SIGTERM": lambda place: stub("--deaf"),
    "mcp-server-time": lambda place: service(kind="mcp", command=tuple(peers.time_server())),
    "server-everything": lambda place: service(
        kind="mcp", command=tuple(peers.node_server("server-everything"))
    ),
    "server-filesystem": lambda place: service(
        kind="mcp", command=(*peers.node_server("server-filesystem"), str(place))
    ),
    "command": lambda place: service(kind="command", command=("sleep", "600")),
}


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
async def test_a_server_of_ours_that_is_killed_or_stopped_is_started_again(
    home: Path, tmp_path: Path, make: Callable[[Path], ServiceSettings], number: signal.Signals
) -> None:
    settings = make(tmp_path)
    down, up = (
        ("mcp.server.down", "mcp.server.up") if settings.kind == "mcp" else ("service.down", "service.up")
    )
    async with watching(home, settings) as it:
        await it.well(60)
        first = it.pid
        assert first is not None and is_running(first)
        os.kill(first, number)
        await it.happened(down, NOTICED_WITHIN)
        await it.until(lambda: it.pid not in (None, first))
        await it.well()
        second = it.pid
        assert second is not None and is_running(second) and not is_running(first)
        assert (await it.command())["details"]["pid"] == second
        assert (await it.history(down))[:1] == [down]
        await it.happened(up)
        assert it.states()[:1] == ["HEALTHY"]
        assert it.states()[-3:] == ["DEGRADED", "RECOVERING", "HEALTHY"]
    assert not is_running(second), "it was left behind"


# --- servers that somebody else runs --------------------------------------------------------


@contextmanager
def http_server(place: Path) -> Iterator[tuple[ServiceSettings, Callable[[], subprocess.Popen[bytes]]]]:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(place)]
    yield service(kind="http", url=f"http://127.0.0.1:{port}/"), lambda: started(command)


_LISTENER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=0)
while True:
    server.accept()[0].close()
"""


@contextmanager
def tcp_server(place: Path) -> Iterator[tuple[ServiceSettings, Callable[[], subprocess.Popen[bytes]]]]:
    """One that has no queue of its own: the system takes connections for a stopped server until its
    queue is full, and nobody outside can tell."""
    port = free_port()
    yield service(kind="tcp", port=port), lambda: started([sys.executable, "-c", _LISTENER, str(port)])


@contextmanager
def process(place: Path) -> Iterator[tuple[ServiceSettings, Callable[[], subprocess.Popen[bytes]]]]:
    path = place / "it.pid"

    def start() -> subprocess.Popen[bytes]:
        child = started(["sleep", "600"])
        path.write_text(f"{child.pid}\n")
        return child

    yield service(kind="process", pid_file=str(path)), start


def started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("kind", [http_server, tcp_server, process])
async def test_a_server_of_others_is_shown_as_it_is_until_it_comes_back(
    home: Path, tmp_path: Path, kind: Any, number: signal.Signals
) -> None:
    children = []
    with kind(tmp_path) as (settings, start):
        children.append(start())
        try:
            async with watching(home, settings) as it:
                await it.well()
                children[-1].send_signal(number)
                if number == signal.SIGKILL:
                    children[-1].wait()
                queue = INTERVAL * 4 if kind is tcp_server and number == signal.SIGSTOP else 0.0
                row = await it.agree(lambda row: row[1] == "fail", NOTICED_WITHIN + queue)
                stopped_process = kind is process and number == signal.SIGSTOP
                assert row[2] == "pass" or not stopped_process, "a stopped process is not dead"
                await it.happened("service.down", NOTICED_WITHIN)
                await it.happened("breaker.opened")
                await it.agree(lambda row: row[1] == "fail" and row[3] != "CLOSED", NOTICED_WITHIN + INTERVAL)
                assert "DEGRADED" in it.states()
                await it.happened("breaker.half_open")
                if number == signal.SIGKILL:
                    children.append(start())
                else:
                    children[-1].send_signal(signal.SIGCONT)
                await it.well()
                await it.happened("service.up")
                assert (await it.history("breaker.*"))[-2:] == ["breaker.half_open", "breaker.closed"]
                assert it.states()[-2:] == ["RECOVERING", "HEALTHY"]
        finally:
            for child in children:
                child.kill()
                child.wait()


# --- servers that do not do as they should --------------------------------------------------


async def never_down(it: Watched) -> None:
    """For a few probes it stays well, whatever it writes."""
    for _ in range(3):
        assert await it.both() == (WELL, WELL)
        await asyncio.sleep(INTERVAL)
    assert await it.history("mcp.#") == []
    assert await it.history("breaker.*") == []


async def test_a_slow_start_is_waited_for_and_is_no_failure(home: Path) -> None:
    async with watching(home, stub("--start=2")) as it:
        await it.agree(lambda row: row == ("unknown", "unknown", "unknown", "CLOSED"), NOTICED_WITHIN)
        assert it.runtime.machine.state == "INITIALIZING"
        await it.well()
        assert it.states() == ["HEALTHY"]
        await never_down(it)


@pytest.mark.parametrize("trouble", ["--noise", "--flood"])
async def test_garbage_on_its_outputs_is_no_failure(home: Path, trouble: str) -> None:
    async with watching(home, stub(trouble)) as it:
        await it.well()
        answer = await it.guard.call("echo", text="heard")
        assert "heard" in str(answer.value)
        await never_down(it)


async def test_a_server_that_never_answers_is_ended_and_started_again(home: Path, tmp_path: Path) -> None:
    impatient = ServiceProbes(
        startup=ProbeSettings(interval=0.25, limit=1.0, failures=1),
        readiness=PROBES.readiness,
        liveness=PROBES.liveness,
    )
    hanging = stub("--hang", f"--once={tmp_path / 'once'}", probes=impatient)
    async with watching(home, hanging) as it:
        await it.agree(lambda row: row[0] == "fail", 1.0 + NOTICED_WITHIN)
        await it.happened("mcp.server.down")
        await it.well()
        await it.happened("mcp.server.up")
        assert it.states()[0] in ("DEGRADED", "RECOVERING")


@pytest.mark.parametrize("trouble", ["--die=ping", "--mute"])
async def test_a_server_that_breaks_off_is_started_again(home: Path, tmp_path: Path, trouble: str) -> None:
    async with watching(home, stub(trouble, f"--once={tmp_path / 'once'}")) as it:
        await it.until(lambda: it.guard.service.describe()["starts"] > 1)
        await it.well()
        described = it.guard.service.describe()
        assert described["starts"] == 2
        assert described["last_exit"] == ("exit status 9" if trouble == "--die=ping" else "ended by SIGTERM")


async def test_a_server_that_dies_at_each_question_is_shown_as_failing_and_its_breaker_opens(
    home: Path,
) -> None:
    async with watching(home, stub("--die=ping")) as it:
        await it.happened("mcp.server.down")
        await it.happened("breaker.opened")
        await it.agree(lambda row: row[1] == "fail", NOTICED_WITHIN)
        started = time.monotonic()
        starts = it.guard.service.describe()["starts"]
        await asyncio.sleep(3)
        again = it.guard.service.describe()["starts"] - starts
        assert again <= 2 + (time.monotonic() - started) / 0.25, "it is started again without any delay"
        assert it.runtime.machine.state != "HEALTHY"


async def test_late_answers_open_the_breaker_though_it_is_alive(home: Path) -> None:
    async with watching(home, stub("--late=1", timeout=0.4)) as it:
        await it.well()
        calls = (it.guard.call("echo", text="x") for _ in range(4))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, DeadlineExceeded) for outcome in outcomes)
        assert it.guard.breaker.counters.opened == 1
        await it.happened("breaker.opened")
        await it.well()
        assert await it.history("breaker.*") == ["breaker.opened", "breaker.half_open", "breaker.closed"]
        assert await it.history("mcp.server.*") == [], "its process was not at fault"
