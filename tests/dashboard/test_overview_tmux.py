"""What a person in another tmux window notices: the window's bell flag and the pane's title."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import wait_for

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

Tmux = Callable[..., str]


@contextlib.contextmanager
def server(directory: Path) -> Iterator[Tmux]:
    """A tmux of the test's own with one shell in it, as it comes without a configuration."""
    socket = str(directory / "tmux")

    def tmux(*words: str) -> str:
        command = ["tmux", "-f", os.devnull, "-S", socket, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    tmux("new-session", "-d", "-s", "s", "-x", "120", "-y", "36", "exec env PS1='$ ' sh")
    try:
        yield tmux
    finally:
        tmux("kill-server")


def cli(home: Path, *words: str) -> None:
    command = [sys.executable, "-m", "event_monitor.cli", "--home", str(home), *words]
    subprocess.run(command, check=True, capture_output=True)


def test_bell_flag_and_title_tell_of_an_alert_and_the_title_is_given_back(tmp_path: Path, home: Path) -> None:
    with server(tmp_path) as tmux:

        def title() -> str:
            return tmux("display-message", "-p", "-t", "s:0", "#{pane_title}")

        def flag() -> str:
            return tmux("display-message", "-p", "-t", "s:0", "#{window_bell_flag}")

        tmux("send-keys", "-t", "s:0", r"printf '\033]2;mine\033\\'", "Enter")
        wait_for(lambda: title() == "mine")
        command = f"{sys.executable} -m event_monitor --home {home}"
        tmux("send-keys", "-t", "s:0", command, "Enter")
        wait_for(lambda: "HEALTHY" in title())
        tmux("new-window", "-t", "s:1", "exec cat")
        assert flag() == "0"
        cli(home, "publish", "mcp.server.down", '{"service": "github"}')
        wait_for(lambda: flag() == "1")
        wait_for(lambda: "alert" in title())
        cli(home, "alerts", "--ack", "all")
        wait_for(lambda: "alert" not in title())
        tmux("select-window", "-t", "s:0")
        tmux("send-keys", "-t", "s:0", "q")
        wait_for(lambda: title() == "mine")


def test_neither_bell_nor_title_where_they_are_not_wanted(tmp_path: Path, home: Path) -> None:
    settings = home / "event-bus" / "event-monitor.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("dashboard: {bell: false, title: false}\n")
    with server(tmp_path) as tmux:

        def shown() -> str:
            return tmux("capture-pane", "-p", "-t", "s:0")

        before = tmux("display-message", "-p", "-t", "s:0", "#{pane_title}")
        tmux("send-keys", "-t", "s:0", f"{sys.executable} -m event_monitor --home {home}", "Enter")
        wait_for(lambda: "● HEALTHY" in shown())
        tmux("new-window", "-t", "s:1", "exec cat")
        cli(home, "publish", "mcp.server.down", '{"service": "github"}')
        wait_for(lambda: re.search(r"▲ \d+ alert", shown()))
        state = tmux("display-message", "-p", "-t", "s:0", "#{window_bell_flag} #{pane_title}")
        assert state == f"0 {before}"
