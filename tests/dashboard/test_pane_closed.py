"""The pane is closed at awkward moments: no process stays behind, whatever Textual waits for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.mark.parametrize("delay", [0.2, 0.35, 0.45, 1.5])
def test_a_closed_pane_ends_the_program(tmp_path: Path, home: Path, delay: float) -> None:
    socket = str(tmp_path / "tmux")

    def tmux(*words: str) -> str:
        done = subprocess.run(["tmux", "-S", socket, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    command = f"exec env EVENT_MONITOR_HOME={home} {sys.executable} -m event_monitor"
    tmux("new-session", "-d", "-s", "pane", "-x", "120", "-y", "36", command)
    pid = int(tmux("display-message", "-p", "-t", "pane", "#{pane_pid}"))
    time.sleep(delay)
    tmux("kill-server")
    end = time.monotonic() + 20
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.05)
    survived = _runs(pid)
    if survived:
        os.kill(pid, 9)
    assert not survived


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
