"""The Console and ``event-cli repl`` in a real tmux, as a person types at them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboard.test_overview_tmux import server
from tests.processes import wait_for

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def events(home: Path, pattern: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "event_monitor.cli", "--home", str(home), "events", "--type", pattern]
    done = subprocess.run(command, check=True, capture_output=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_event_is_published_from_the_console_and_from_the_repl(tmp_path: Path, home: Path) -> None:
    with server(tmp_path) as tmux:

        def shows(text: str, window: int = 0) -> None:
            wait_for(lambda: text in tmux("capture-pane", "-p", "-t", f"s:{window}"))

        def type_in(window: int, *keys: str) -> None:
            tmux("send-keys", "-t", f"s:{window}", *keys)

        type_in(0, f"{sys.executable} -m event_monitor --home {home}", "Enter")
        shows("HEALTHY")
        type_in(0, "5")
        shows("Type a command of event-cli")
        type_in(0, 'publish shop.order {"n": 1,', "Enter", '"m": 2}', "Enter")
        shows("accepted shop.order as event")
        type_in(0, "breaker target:l", "Tab")
        shows("▸ target:learning")
        type_in(0, "C-c", "events --follow --type shop.#", "Enter")
        shows('{"n":1,"m":2}')

        tmux("new-window", "-t", "s:1", f"{sys.executable} -m event_monitor.cli --home {home} repl")
        shows("HEALTHY", 1)
        type_in(1, 'publish shop.order {"n": 3}', "Enter")
        shows("accepted shop.order as event", 1)
        shows('{"n":3}')
        tmux("select-window", "-t", "s:0")
        type_in(0, "C-c")
        shows("stopped")
        assert [event["payload"] for event in events(home, "shop.#")] == [{"n": 1, "m": 2}, {"n": 3}]
        type_in(1, "exit", "Enter")
        type_in(0, "Escape")
        shows("the output has the focus")
        type_in(0, "q")
        wait_for(lambda: "Console" not in tmux("capture-pane", "-p", "-t", "s:0"))
