"""``event-cli hook`` as an assistant runs it: silent, quick, and never a failure."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from event_monitor.cli import hook, stdio, wire
from event_monitor.control.spool import Spool
from event_monitor.paths import HomePaths
from event_monitor.spooling import entry_key
from tests.cli.scripted import Cli, Outcome, Script, ScriptedBus, refusal, success

PUBLISHED = {"id": 1, "event_type": "turn.done", "priority": "NORMAL", "status": "accepted", "targets": []}
SILENT = Outcome(0, "", "")
INPUT = b'{"hook_event_name": "Stop", "text": "\\u00e9 \xc3\xa9 \\" \\\\ \\n"}\n'
BANNED = {"textual", "yaml", "asyncio", "argparse", "json", "msgspec", "typing", "re", "socket", "pathlib"}

StartBus = Callable[[Script], ScriptedBus]


def accept(request: object, number: int) -> bytes:
    return success(PUBLISHED)


def test_input_reaches_the_bus_as_it_came(cli: Cli, bus: StartBus) -> None:
    started = bus(accept)
    assert cli("hook", stdin=INPUT) == SILENT
    (request,) = started.requests
    assert (request["do"], request["text"]) == ("publish_hook", INPUT.decode())
    assert cli.spooled() == []


def test_with_no_bus_input_is_spooled(cli: Cli) -> None:
    assert cli("hook", stdin=INPUT) == SILENT
    (file,) = cli.spooled()
    assert file.read_bytes() == INPUT
    assert file.suffix == ".hook"


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x00\xfe", b'{"hook_event_name": "St', b"\n" * 700_000, b"x" * 3_000_000],
    ids=["empty", "binary", "truncated", "grows when quoted", "large"],
)
@pytest.mark.parametrize("running", [True, False])
def test_no_input_is_lost(cli: Cli, bus: StartBus, data: bytes, running: bool) -> None:
    requests = bus(accept).requests if running else []
    assert cli("hook", stdin=data) == SILENT
    sent = [request["text"].encode() for request in requests]
    kept = [file.read_bytes() for file in cli.spooled()]
    assert sent + kept == [data]


def test_huge_input_goes_to_the_spool_piece_by_piece(cli: Cli) -> None:
    size = 100_000_000
    with cli.start("hook", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(bytes(size))
    assert (process.returncode, out, err) == (0, b"", b"")
    (file,) = cli.spooled()
    assert file.stat().st_size == size
    spool = Spool(cli.paths.spool)
    (event,) = spool.read(spool.entries(1)[0])
    assert (event.event_type, event.payload["bytes"]) == ("hook.unreadable", size)


@pytest.mark.parametrize(
    "script",
    [
        lambda request, number: None,
        lambda request, number: [b'{"ok":true,"res'],
        lambda request, number: refusal("bus_full", "the backlog is full"),
        lambda request, number: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["no answer", "half an answer", "refused", "another program"],
)
def test_what_the_bus_does_not_take_is_spooled_under_the_same_key(
    cli: Cli, bus: StartBus, script: Script
) -> None:
    started = bus(script)
    assert cli("hook", stdin=INPUT) == SILENT
    (file,) = cli.spooled()
    assert file.read_bytes() == INPUT
    assert [request["key"] for request in started.requests] == [entry_key(file.name)]


def test_a_bus_that_hangs_is_left_after_a_second(cli: Cli) -> None:
    Path(cli.paths.bus_dir).mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(cli.paths.socket)
        silent.listen(1)
        assert cli("hook", stdin=INPUT) == SILENT
    assert [file.read_bytes() for file in cli.spooled()] == [INPUT]


def test_a_bus_that_trickles_is_left_at_the_deadline(tmp_path: Path) -> None:
    path = str(tmp_path / "bus.sock")
    over = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while not over.wait(0.02):
                    connection.sendall(b"{")
            except OSError:
                return

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        try:
            with pytest.raises(TimeoutError):
                wire.exchange(path, b"{}\n", 0.2)
        finally:
            over.set()
            thread.join()


def test_a_home_that_cannot_be_written_is_no_failure(cli: Cli) -> None:
    cli.home.write_text("a file stands where the home should be")
    assert cli("hook", stdin=INPUT) == SILENT
    shown = cli("hook", stdin=INPUT, EVENT_MONITOR_DEBUG="1")
    assert (shown.status, shown.out) == (0, "")
    assert re.fullmatch(r"event-cli hook: \w+\(.*\)\n", shown.err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_failure_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "wb", buffering=0) as full, open(os.devnull, "rb") as empty:
        monkeypatch.setattr(os, "open", _open_instead(os.open, full.fileno()))
        monkeypatch.setattr(stdio, "read_head", lambda fd, limit: INPUT)
        with pytest.raises(OSError, match="No space left"):
            hook.deliver(HomePaths(str(tmp_path)), empty.fileno())
    assert list((tmp_path / "event-bus" / "spool" / "tmp").iterdir()) == []


def _open_instead(real: Callable[..., int], fd: int) -> Callable[..., int]:
    def fake(path: str, flags: int, mode: int = 0o777) -> int:
        made = real(path, flags, mode)
        if flags & os.O_CREAT:
            os.dup2(fd, made)
        return made

    return fake


def test_closed_stdin_is_empty_input(cli: Cli) -> None:
    command = f"{sys.executable} -m event_monitor.cli hook <&-"
    done = subprocess.run(["sh", "-c", command], env=cli.environ, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    "arguments", [("hook", "--bogus"), ("hook", "extra"), ("--output", "json", "hook", "--wrong=1")]
)
def test_wrong_usage_is_no_failure_either(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments, stdin=INPUT) == SILENT
    assert [file.read_bytes() for file in cli.spooled()] == [INPUT]


@pytest.mark.parametrize("place", ["before", "after", "attached"])
def test_the_home_can_be_named(cli: Cli, tmp_path: Path, place: str) -> None:
    other = Cli(tmp_path / "other")
    home = str(other.home)
    arguments = {
        "before": ["--home", home, "hook"],
        "after": ["hook", "--home", home],
        "attached": [f"--home={home}", "hook"],
    }
    assert cli(*arguments[place], stdin=INPUT) == SILENT
    assert (len(cli.spooled()), len(other.spooled())) == (0, 1)


def test_help_is_shown(cli: Cli) -> None:
    shown = cli("hook", "--help")
    assert shown.status == 0
    assert "EVENT_MONITOR_DEBUG" in shown.out


@pytest.mark.parametrize("arguments", [["hook"], ["publish", "a.b", '{"x": 1}'], ["publish", "a.b", "-"]])
@pytest.mark.parametrize("running", [True, False])
def test_the_fast_path_imports_next_to_nothing(
    cli: Cli, bus: StartBus, arguments: list[str], running: bool
) -> None:
    if running:
        bus(accept)
    elif arguments[0] == "publish":
        pytest.skip("checks the event before it spools it")
    loaded = _imports(
        cli, f"import sys; sys.argv[1:] = {arguments!r}; from event_monitor.cli import main; main()"
    )
    loaded -= _imports(cli, "pass")
    assert "event_monitor.cli.fast" in loaded
    assert {name.partition(".")[0] for name in loaded} & BANNED == set()
    assert loaded <= {
        "event_monitor",
        "_socket",
        "__future__",
        "event_monitor.paths",
        "event_monitor.spooling",
    } | {name for name in loaded if name.startswith("event_monitor.cli")}


def _imports(cli: Cli, code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env=cli.environ,
        input=b"{}",
        capture_output=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}


def test_the_request_is_what_the_bus_reads() -> None:
    text = "".join(map(chr, range(0x250))) + "\u2028\U0001f600"
    assert json.loads(wire.frame("publish_hook", {"text": text, "key": "k"})) == {
        "do": "publish_hook",
        "text": text,
        "key": "k",
    }
