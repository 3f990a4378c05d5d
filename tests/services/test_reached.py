"""Services that are reached or watched, not started: http, tcp, process; and the plain command."""

from __future__ import annotations

import asyncio
import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from event_monitor.config import RestartSettings
from event_monitor.resilience.health import CheckKind
from event_monitor.services.base import CallerError, ServiceDown, ServiceError
from event_monitor.services.command import CommandService
from event_monitor.services.guardian import Guardian
from event_monitor.services.http import HttpService
from event_monitor.services.process import ProcessService, _from_ps, running
from event_monitor.services.tcp import TcpService


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path; ``/endless`` sends a head and nothing more."""

    released = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/hang":
            self.released.wait(20)
            return
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            self.released.wait(20)
            return
        body = self.headers.get("X-Token", "none").encode()
        self.send_response(int(self.path.strip("/").partition("?")[0]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Handler.released.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Handler.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def check(service: HttpService | TcpService | ProcessService | CommandService) -> None:
    async with asyncio.timeout(10):
        for probe in service.probes().values():
            await probe()


@pytest.mark.parametrize(("status", "note"), [(200, ""), (404, ""), (401, "needs auth"), (403, "needs auth")])
async def test_http_below_500_is_alive(address: str, status: int, note: str) -> None:
    service = HttpService("web", f"{address}/{status}")
    await check(service)
    said = service.describe()
    assert (said["last_status"], said["note"]) == (status, note)


async def test_http_500_is_not(address: str) -> None:
    with pytest.raises(ServiceError, match="answered 503"):
        await check(HttpService("web", f"{address}/503"))


async def test_http_needs_only_the_head_of_an_endless_answer(address: str) -> None:
    await check(HttpService("web", f"{address}/endless"))


async def test_http_calls_carry_headers_that_no_description_holds(address: str) -> None:
    service = HttpService("web", f"{address}/200?key=hunter2", {"X-Token": "hunter2"})
    answer = await service.call("get")
    assert (answer["status"], answer["body"]) == (200, "hunter2")
    assert "hunter2" not in str(service.describe())


async def test_http_says_whose_fault_it_is(address: str) -> None:
    with pytest.raises(CallerError, match="answered 404"):
        await HttpService("web", f"{address}/404").call("get")
    with pytest.raises(ServiceError, match="answered 429"):
        await HttpService("web", f"{address}/429").call("get")
    with pytest.raises(CallerError, match="not an HTTP method"):
        await HttpService("web", f"{address}/200").call("steal")
    with pytest.raises(CallerError, match="nothing else"):
        await HttpService("web", f"{address}/200").call("get", bodies="x")


async def test_a_cancelled_http_call_leaves_no_thread_waiting(address: str) -> None:
    service = HttpService("web", f"{address}/hang")
    before = threading.active_count()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await service.call("get")
    await service.stop()
    async with asyncio.timeout(5):
        # The server's own thread for the connection may be among those that were counted.
        while any(thread.name.startswith("http-") for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert threading.active_count() <= before + 1


async def test_nobody_there(free_port: int) -> None:
    with pytest.raises(ServiceDown, match="refused"):
        await check(HttpService("web", f"http://127.0.0.1:{free_port}/"))
    with pytest.raises(ServiceDown, match=str(free_port)):
        await check(TcpService("db", "127.0.0.1", free_port))


async def test_what_is_no_http_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def garbage() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(1_000)
                connection.sendall(b"\x1b[2Jgarbage\r\n\r\n")

        thread = threading.Thread(target=garbage, daemon=True)
        thread.start()
        with pytest.raises(ServiceDown, match="not an HTTP answer"):
            await HttpService("web", f"http://127.0.0.1:{server.getsockname()[1]}/").call("get")
        thread.join()


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "x", "http://h:99999/", "http://h/a b", "http://h/\n"]
)
def test_a_url_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        HttpService("web", url)


async def test_tcp_takes_a_connection() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        service = TcpService("db", "127.0.0.1", server.getsockname()[1])
        await check(service)
        await service.call("check")
        with pytest.raises(CallerError):
            await service.call("query")


async def test_a_process_is_found_by_its_pid_file_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "it.pid"
    service = ProcessService("job", pid_file=str(path))
    with pytest.raises(ServiceDown, match="cannot be read"):
        await check(service)
    with subprocess.Popen(["sleep", "600"]) as process:  # noqa: ASYNC220 - starts at once
        path.write_text(f"{process.pid}\n")
        await check(service)
        assert service.describe()["pids"] == [process.pid]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it was just killed
        with pytest.raises(ServiceDown, match="not running"):
            await check(service)
    path.write_text("nonsense")
    with pytest.raises(ServiceDown, match="no process id"):
        await check(service)


async def test_a_process_is_found_by_its_command_line() -> None:
    mark = f"marked-{os.getpid()}"
    service = ProcessService("job", match=f"{mark} .*end$")
    with pytest.raises(ServiceDown, match="no running process matches"):
        await check(service)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", mark, "at the", "end"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: ASYNC220 - starts at once
        assert process.stdout is not None
        process.stdout.readline()
        await check(service)
        assert service.describe()["pids"] == [process.pid]
        assert process.pid in {pid for pid, _ in _from_ps()}


def test_this_process_runs_whichever_way_it_is_asked() -> None:
    for listing in (running(), _from_ps()):
        assert os.getpid() in {pid for pid, _ in listing}


@pytest.mark.parametrize("given", [{}, {"pid_file": "a", "match": "b"}, {"match": "("}])
def test_a_process_that_nothing_can_find_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        ProcessService("job", **given)


async def test_a_command_is_healthy_while_it_runs() -> None:
    guardian = Guardian()
    service = CommandService(
        "job", ["sh", "-c", "read word; exec sleep 600"], guardian, restart=RestartSettings(enabled=False)
    )
    with pytest.raises(ServiceDown, match="stopped"):
        await check(service)
    await service.start()
    while service.describe()["pid"] is None:  # noqa: ASYNC110 - a description has no signal
        await asyncio.sleep(0.01)
    await check(service)
    await service.stop()
    with pytest.raises(ServiceDown):
        await check(service)
    assert service.describe()["last_exit"] == "ended by SIGTERM"
    assert set(service.probes()) == set(CheckKind)
    await guardian.close()
