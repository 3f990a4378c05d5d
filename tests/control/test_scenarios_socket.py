"""Scenarios 44 to 50: the control socket of a real process under attack, an honest client beside it.

What can be seen without a process of its own is in ``test_server`` and ``test_server_access``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import stat
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import Headless, connect, exchange, headless, read_line, wait_for

ANSWERS_WITHIN = 2.0
# Files that the bus itself may open meanwhile: its log, a WAL, a question in between.
SPARE = 3
"""Seconds for the median of an honest client's answers: ten times the promise, for loaded machines."""


@pytest.fixture
def bus(home: Path) -> Iterator[Headless]:
    with headless(home) as running:
        yield running
        assert "Traceback" not in running.errors.read_text()


def median_answer(bus: Headless, asks: int = 15) -> float:
    """The median time of a new client's answer, in seconds."""
    took = []
    for _ in range(asks):
        began = time.perf_counter()
        bus.ask(do="ping")
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def open_files(bus: Headless) -> int:
    return len(os.listdir(f"/proc/{bus.process.pid}/fd"))


def published(bus: Headless, event_type: str) -> int:
    return len(bus.ask(do="query_events", type=event_type)["events"])


@contextlib.contextmanager
def running(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """``work`` on a thread for the length of a block; its connections may break."""
    over = threading.Event()

    def run() -> None:
        with contextlib.suppress(OSError):
            work(over)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# --- 44, 45: what is at the path ------------------------------------------------------------


def test_44_a_path_too_long_for_a_socket_gets_a_private_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    with headless(tmp_path / ("long" * 40)) as bus:
        assert len(bus.socket) < 107
        assert stat.S_IMODE(os.stat(bus.socket).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(bus.socket)).st_mode) == 0o700
        assert bus.ask(do="ping") is not None
    assert not os.path.lexists(bus.socket)


def test_45_a_second_monitor_leaves_a_live_socket_alone_even_without_the_lock(home: Path) -> None:
    with headless(home) as first:
        before = os.lstat(first.socket).st_ino
        with pytest.raises(AssertionError, match="runs on"):
            Headless(home)
        (home / "event-bus" / "lock").unlink()
        with pytest.raises(AssertionError, match="another process listens"):
            Headless(home)
        assert os.lstat(first.socket).st_ino == before
        assert first.ask(do="ping") is not None


def test_45_a_killed_monitor_s_socket_is_taken_over(home: Path) -> None:
    first = Headless(home)
    first.kill()
    assert stat.S_ISSOCK(os.lstat(first.socket).st_mode)
    with headless(home) as second:
        assert second.ask(do="ping") is not None


# --- 46: who may connect --------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_46_a_real_stranger_whom_the_rights_let_in_is_cut_off_unread() -> None:
    with tempfile.TemporaryDirectory(prefix="em") as directory, headless(Path(directory) / "home") as bus:
        os.chmod(bus.socket, 0o666)
        for inner in (directory, bus.home, os.path.dirname(bus.socket)):
            os.chmod(inner, 0o711)
        assert visit_as_stranger(bus.socket) == "0\n"
        assert published(bus, "stranger.was.here") == 0
        assert "user 65534 was refused" in bus.errors.read_text()


def visit_as_stranger(path: str) -> str:
    """What another user's process prints: how many bytes it heard in reply to an event."""
    visit = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "try:\n"
        '    s.sendall(b\'{"do":"publish","event_type":"stranger.was.here"}\\n\'); print(len(s.recv(9)))\n'
        "except ConnectionError: print(0)\n"
    )
    heard = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", visit, path],
        user=65_534,
        cwd="/",
        env={"PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return heard.stdout or heard.stderr


# --- 47, 48: what cannot be understood ------------------------------------------------------


def test_47_a_command_behind_an_oversized_frame_is_not_executed(bus: Headless) -> None:
    behind = b'{"do":"publish","event_type":"behind.it"}\n'
    with contextlib.closing(connect(bus.socket)) as attacker:
        with contextlib.suppress(BrokenPipeError):
            attacker.sendall(b'{"do":"ping","x":"' + b"x" * 1_048_576 + b'"}\n' + behind)
        with contextlib.suppress(ConnectionResetError):
            reply = json.loads(read_line(attacker))
            assert reply["error"]["code"] == "invalid_request"
            assert attacker.recv(1) == b""
    assert published(bus, "behind.it") == 0


NOT_UNDERSTOOD = [
    b'{"do":"publish","event_type":"a","payload":{"a":' + b"[" * 100_000,
    b"[" * 100_000,
    b'{"do":"publish","event_type":"a","payload":{"n":' + b"9" * 5_000 + b"}}",
    b'{"do":"publish","event_type":"a","payload":{"n":NaN}}',
    b'{"do":"publish","event_type":"a","payload":{"n":1e999}}',
    b'{"do":"publish","event_type":"a","payload":{"t":"\xff"}}',
    b'{"do":"publish","event_type":"a","payload":{"t":"\\ud800"}}',
    b'{"do":"publish_text","event_type":"a","payload":"{\\"t\\":\\"\\\\ud800\\"}"}',
    b'{"do":"publish_text","event_type":"a","payload":"' + b"[" * 100_000 + b'"}',
    b'{"do":"publish_text","event_type":"a","payload":"{\\"n\\":NaN}"}',
    b'{"do":"publish_text","event_type":"\\u0000"}',
    b'{"do":"query_events","regex":"(((("}',
    b'{"do":"query_events","limit":-1}',
    b'{"do":"resolve_route","event_type":"' + b"a." * 50_000 + b'"}',
    b"[1,2]",
    b'"ping"',
    b'{"do":"shutdown"}',
    b'{"do":"ping","do":"nothing"}',
]


def test_48_a_real_bus_answers_one_error_without_a_stack(bus: Headless) -> None:
    for line in NOT_UNDERSTOOD:
        shown = line[-60:]
        with contextlib.closing(connect(bus.socket)) as attacker:
            attacker.sendall(line + b"\n")
            reply = json.loads(read_line(attacker))
            assert reply["ok"] is False, shown
            assert reply["error"]["code"] in ("invalid_request", "invalid_event"), shown
            assert "File " not in json.dumps(reply), shown
            assert exchange(attacker, {"do": "ping"})["ok"] is True, shown


# --- 49: clients that say nothing, little, too much, or do not listen -----------------------


def test_49_two_hundred_silent_clients_do_not_starve_an_honest_one(bus: Headless) -> None:
    files = open_files(bus)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(contextlib.closing(connect(bus.socket))) for _ in range(200)]
        assert median_answer(bus) < ANSWERS_WITHIN
        assert open_files(bus) - files <= 64 + SPARE
        for connection in silent:
            # The half-frame limit of five seconds, or an honest client that needed the place.
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    wait_for(lambda: open_files(bus) <= files + SPARE)


def test_49_two_hundred_clients_that_drip_do_not_starve_an_honest_one(bus: Headless) -> None:
    def drip(over: threading.Event) -> None:
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(contextlib.closing(connect(bus.socket))) for _ in range(200)]
            while not over.wait(0.1):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b" ")

    files = open_files(bus)
    with running(drip):
        wait_for(lambda: open_files(bus) > files + 30)
        assert median_answer(bus) < ANSWERS_WITHIN
        # Drops them all although they never pause as long as the limit.
        wait_for(lambda: open_files(bus) <= files + SPARE)
    assert median_answer(bus) < ANSWERS_WITHIN


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b'{"do":"ping"}\n', b'{"do":"get_stats"}\n'],
    ids=["empty", "bad", "ping", "stats"],
)
@pytest.mark.parametrize("reads", [True, False])
def test_49_a_flood_of_requests_lets_others_in(bus: Headless, line: bytes, reads: bool) -> None:
    attacker = connect(bus.socket)

    def flood(over: threading.Event) -> None:
        while not over.is_set():
            attacker.sendall(line * (262_144 // len(line)))

    def read(over: threading.Event) -> None:
        while not over.is_set() and attacker.recv(1 << 20):
            pass

    memory = bus.resident_bytes()
    with contextlib.closing(attacker), running(flood), running(read if reads else lambda over: None):
        time.sleep(0.3)
        assert median_answer(bus, 7) < ANSWERS_WITHIN
        with contextlib.suppress(OSError):
            attacker.shutdown(socket.SHUT_RDWR)
    assert bus.resident_bytes() - memory < 40_000_000


def test_49_subscribers_that_never_read_cost_bounded_memory(bus: Headless) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            deaf = stack.enter_context(contextlib.closing(connect(bus.socket)))
            deaf.sendall(b'{"do":"subscribe","pattern":"#"}\n')
        before = bus.resident_bytes()
        with contextlib.closing(connect(bus.socket)) as honest:
            for number in range(400):
                exchange(
                    honest,
                    {"do": "publish", "event_type": "big.one", "payload": {"n": number, "t": "x" * 50_000}},
                )
        assert bus.resident_bytes() - before < 150_000_000
        assert median_answer(bus) < ANSWERS_WITHIN


# --- 50: noise ------------------------------------------------------------------------------


def test_50_after_noise_over_many_connections_all_is_as_before(bus: Headless) -> None:
    rng = random.Random(50)
    frames = [
        b'{"do":"ping"}',
        b'{"do":"get_state"}',
        b'{"do":"resolve_route","event_type":"a.b"}',
        b"{}",
        b"",
    ]
    bus.ask(do="ping")
    files = open_files(bus)
    sent = 0
    for _ in range(40):
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(contextlib.closing(connect(bus.socket))) for _ in range(30)]
            for connection in rng.choices(crowd, k=200):
                frame = bytearray(rng.choice(frames))
                if frame and rng.random() < 0.7:
                    frame[rng.randrange(len(frame))] = rng.randrange(256)
                with contextlib.suppress(OSError):
                    connection.send(bytes(frame)[: rng.choice([3, 999])] + rng.choice([b"", b"\n"]))
                    sent += 1
    assert sent > 6_000
    assert median_answer(bus) < ANSWERS_WITHIN
    wait_for(lambda: open_files(bus) <= files + SPARE)
    bus.ask(do="publish", event_type="after.it", payload={})
    wait_for(lambda: published(bus, "after.it") == 1)
