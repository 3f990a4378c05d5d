"""The dashboard starts as textual-serve starts it, pipes instead of a terminal, and ends with its browser."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import IO

import pytest

from tests.processes import headless
from tests.terminal.test_daily_use import MONITOR

# What Textual's driver for browsers writes once the app is drawn for the first time.
GREETING = b"__GANGLION__\n"
DRIVER = "textual.drivers.web_driver:WebDriver"
COLUMNS = 130


@pytest.fixture
def view(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A read-only view that has greeted."""
    settings = {"TEXTUAL_DRIVER": DRIVER, "COLUMNS": str(COLUMNS), "ROWS": "36"}
    with (
        headless(home),
        subprocess.Popen(
            [*MONITOR, "--home", str(home), "--attach", "--read-only"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | settings,
        ) as view,
    ):
        try:
            assert output(view).readline() == GREETING
            yield view
        finally:
            view.kill()


def output(view: subprocess.Popen[bytes]) -> IO[bytes]:
    assert view.stdout is not None
    return view.stdout


def say(view: subprocess.Popen[bytes], **packet: object) -> None:
    """Tell the view something, as textual-serve does."""
    assert view.stdin is not None
    payload = json.dumps(packet).encode()
    view.stdin.write(b"M" + len(payload).to_bytes(4, "big") + payload)
    view.stdin.flush()


def read_until(view: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        more = os.read(output(view).fileno(), 65_536)
        assert more, "it ended before it showed that"
        shown += more
    return shown


def fill(view: subprocess.Popen[bytes]) -> None:
    """Let the view draw more than its pipe holds, and read none of it."""
    descriptor = output(view).fileno()
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 4096)
    read_until(view, b"HEALTHY")
    for size in count(1):
        say(view, type="resize", width=100 + size % 50, height=36)
        if select.select([descriptor], [], [], 1.0)[0]:
            return


def hang_up(view: subprocess.Popen[bytes]) -> None:
    assert view.stdin is not None
    view.stdin.close()
    output(view).close()


def test_a_read_only_view_starts_behind_a_browser(view: subprocess.Popen[bytes]) -> None:
    shown = read_until(view, b"Live").decode(errors="replace")
    rows = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown).split("\n")
    assert max(row.rindex("╮") - row.index("╭") + 1 for row in rows if "╭" in row and "╮" in row) == COLUMNS


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes cannot be made small here")
@pytest.mark.parametrize(
    "end",
    [
        lambda view: view.send_signal(signal.SIGTERM),
        lambda view: view.send_signal(signal.SIGHUP),
        lambda view: say(view, type="quit"),
        hang_up,
    ],
    ids=["sigterm", "sighup", "farewell", "closed pipes"],
)
def test_a_view_that_nobody_reads_ends(
    view: subprocess.Popen[bytes], end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    fill(view)
    end(view)
    assert view.wait(timeout=30) == 0
