"""A real span of history is replayed from the keyboard of a real terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.processes import wait_for
from tests.terminal.test_daily_use import cli, dashboard

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def test_a_span_is_chosen_planned_and_replayed_and_found_again(home: Path) -> None:
    with dashboard(home) as pane:
        for number in range(3):
            cli(home, "publish", "old.news", f'{{"n": {number}}}')
        pane.keys("3")
        pane.wait_for("Plan: nothing is delivered yet")
        # Typed without a pause between, as a paste is: each word is for the line that it follows.
        pane.keys("f")
        pane.wait_for("Which events?")
        pane.keys(*"old.#", "Down", *"n.:[12]", "Enter")
        pane.wait_for("regex n.:[12]")
        pane.wait_for("2 events")
        pane.keys("n")
        pane.wait_for("Replay 2 events at 1x, one at a time?")
        pane.keys("y")
        pane.wait_for("1 of 2")
        (waiting,) = cli(home, "replay", "list")
        assert (waiting["state"], waiting["replayed"]) == ("paused", 1)
        pane.keys("q")
        wait_for(lambda: pane.ended)
    with dashboard(home) as pane:
        pane.wait_for("replay paused 50 %")
        pane.wait_for("1 of 2")
        pane.keys("Space")
        ended = wait_for(lambda: [one for one in cli(home, "replay", "list") if one["state"] == "done"])
        assert (ended[0]["replayed"], ended[0]["failed"]) == (2, 0)
        pane.wait_for("2 of 2")
