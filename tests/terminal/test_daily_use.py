"""The installed programs in a real terminal, used from the keyboard as on any day."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import headless, wait_for
from tests.terminal.pane import Terminal, terminal

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

MONITOR = (sys.executable, "-m", "event_monitor")


def cli(home: Path, *words: str) -> list[Any]:
    """What ``event-cli`` answers as JSON, a value a line."""
    done = subprocess.run(
        [sys.executable, "-m", "event_monitor.cli", "--home", str(home), "--output", "json", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def dashboard(home: Path, *options: str, **variables: str) -> Iterator[Terminal]:
    """The dashboard in a pane, once it shows a state."""
    with started(home, *options, **variables) as pane:
        pane.wait_for("HEALTHY")
        yield pane


@contextlib.contextmanager
def started(home: Path, *options: str, **variables: str) -> Iterator[Terminal]:
    home.mkdir(parents=True, exist_ok=True)
    settings = {"TERM": "tmux-256color", **variables}
    with terminal(home, (*MONITOR, "--home", str(home), *options), **settings) as pane:
        yield pane


def configure(home: Path, text: str) -> None:
    """Write the home's settings."""
    directory = home / "event-bus"
    directory.mkdir(parents=True, mode=0o700)
    (directory / "event-monitor.yaml").write_text(text)


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile, and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_breaker_is_held_and_reset_from_the_keyboard_while_its_service_is_down(home: Path) -> None:
    with free_port() as port:
        configure(home, f"services:\n  - {{name: db, kind: tcp, port: {port}}}\n")
        with started(home) as pane:
            pane.wait_for("DEGRADED")
            pane.keys("Tab", "o")
            pane.wait_for("Open the breaker of db?")
            pane.keys("-l", "moving the disk")
            pane.keys("Enter")
            pane.wait_for("FORCED OPEN")
            (held,) = cli(home, "breaker", "db")
            assert (held["state"], held["forced"]) == ("OPEN", "open")
            pane.keys("r")
            pane.wait_for("Reset the breaker of db?")
            pane.keys("Enter")
            wait_for(lambda: cli(home, "breaker", "db")[0]["forced"] is None)
            assert cli(home, "health", "db")[0]["startup"] != "pass"


def test_maintenance_holds_events_back_until_it_is_ended_from_the_keyboard(home: Path) -> None:
    with dashboard(home) as pane:
        pane.keys("m")
        pane.wait_for("Begin maintenance?")
        pane.keys("-l", "new disk")
        pane.keys("Enter")
        pane.wait_for("MAINTENANCE")
        (state,) = cli(home, "state")
        assert (state["state"], "new disk" in state["reason"]) == ("MAINTENANCE", True)
        cli(home, "publish", "order.created", "{}")
        assert cli(home, "events", "--type", "order.created")[0]["status"] == "pending"
        pane.keys("m")
        pane.wait_for("End maintenance?")
        pane.keys("Enter")
        pane.wait_for("HEALTHY")
        wait_for(lambda: cli(home, "events", "--type", "order.created")[0]["status"] == "delivered")


def test_the_pane_is_made_a_sliver_and_wide_again(home: Path) -> None:
    with dashboard(home, COLUMNS="80", LINES="24") as pane:
        cli(home, "publish", "order.created", '{"note": "while wide"}')
        pane.wait_for("order.created")
        pane.resize(40, 12)
        wait_for(lambda: "Queue depth" not in pane.text() and "queue" in pane.text())
        assert max(len(row) for row in pane.text().splitlines()) <= 40
        cli(home, "publish", "order.paid", "{}")
        pane.wait_for("order.paid")
        pane.resize(120, 36)
        pane.wait_for("Queue depth")
        cli(home, "publish", "order.sent", "{}")
        pane.wait_for("order.sent")


@pytest.mark.parametrize("term", ["screen-256color", "xterm", "xterm-256color"])
def test_other_terminals_show_it_too(home: Path, term: str) -> None:
    with dashboard(home, TERM=term) as pane:
        pane.keys("q")
        wait_for(lambda: pane.ended)
        assert "Traceback" not in pane.text()


def test_a_dumb_terminal_is_told_what_to_do(home: Path) -> None:
    with started(home, TERM="dumb") as pane:
        pane.wait_for("--once")
        assert "TERM=dumb" in pane.text() and "\x1b" not in pane.text()


def test_a_killed_bus_is_named_and_found_again_when_it_is_back(home: Path) -> None:
    with headless(home) as bus, dashboard(home, "--attach") as pane:
        bus.kill()
        pane.wait_for("NO CONNECTION")
        cli(home, "publish", "order.created", "{}")
        with headless(home):
            pane.wait_for("order.created")
            wait_for(lambda: "NO CONNECTION" not in pane.text())


class Forwarder:
    """Carries a Unix socket to another one, as ``ssh -L`` does."""

    def __init__(self, here: str, there: str) -> None:
        self._here, self._there = here, there
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_unix_server(self._carry, self._here)
        self._ready.set()
        await self._stop.wait()
        server.close()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._there)
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_a_view_over_a_forwarded_socket_sees_and_acts(home: Path, tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "forwarded.sock", tmp_path / "laptop"
    with (
        headless(home) as bus,
        Forwarder(str(here), bus.socket),
        dashboard(elsewhere, "--attach", "--socket", str(here)) as pane,
    ):
        pane.wait_for(str(home)[:30])
        cli(home, "publish", "order.created", "{}")
        pane.wait_for("order.created")
        pane.keys("m")
        pane.wait_for("Begin maintenance?")
        pane.keys("Enter")
        pane.wait_for("MAINTENANCE")
        assert cli(home, "state")[0]["state"] == "MAINTENANCE"
        assert not (elsewhere / "event-bus" / "events.db").exists()
        bus.stop()
        pane.keys("5")
        pane.wait_for("event>")
        pane.keys("-l", "publish order.lost")
        pane.keys("Enter")
        # What the other machine's bus is to have must not wait on this one.
        pane.wait_for("the event was not kept")
        assert not (elsewhere / "event-bus" / "spool").exists()


def test_without_the_forwarded_socket_it_says_what_to_look_at(home: Path) -> None:
    with started(home, "--attach", "--socket", "/none/bus.sock") as pane:
        pane.wait_for("is it forwarded")


@pytest.mark.parametrize("options", [(), ("--headless",), ("--demo",)])
def test_a_socket_is_for_views_only(home: Path, options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [*MONITOR, *options, "--socket", "/tmp/x.sock"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "--attach" in done.stderr
