"""Each tab in a real terminal, and what its keys did as ``event-cli`` sees it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.processes import wait_for
from tests.terminal.test_daily_use import cli, configure, dashboard

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

# The first failed delivery is a dead letter.
GIVE_UP_AT_ONCE = "target_defaults:\n  retry: {max_retries: 0}\n"
BEGINNING = "the beginning of history"
# What each tab says on a home with one event, whatever its size.
MARKS = {
    "1": "order.created",
    "2": BEGINNING,
    "3": "Nothing was replayed yet",
    "4": "No dead letters",
    "5": "event>",
}
WIDE_HEADER = "1 Overview  2 Events"


def test_history_is_filtered_as_it_is_typed_and_an_event_is_read(home: Path) -> None:
    with dashboard(home) as pane:
        cli(home, "publish", "order.created", '{"note": "the one", "token": "sesame"}')
        cli(home, "publish", "build.done", "{}")
        pane.keys("2")
        pane.wait_for(BEGINNING)
        assert "build.done" in pane.text()
        pane.keys("/")
        pane.wait_for("/regex/  status:dead")
        pane.keys("-l", "order.#")
        wait_for(lambda: "build.done" not in pane.text() and "order.created" in pane.text())
        pane.keys("Enter", "Enter")
        pane.wait_for('"note": "the one"')
        assert "sesame" not in pane.text()


def test_a_dead_letter_is_retried_once_its_cause_is_mended(home: Path) -> None:
    configure(home, GIVE_UP_AT_ONCE)
    mended, seen = home / "mended", home / "seen"
    with dashboard(home) as pane:
        cli(
            home, "subscribe", "job.bad", f"exec:sh -c 'test -e {mended} && cat > {seen}'", "--name", "worker"
        )
        cli(home, "publish", "job.bad", '{"job": 7}')
        pane.wait_for("4 Dead letters 1")
        pane.keys("4")
        pane.wait_for("job.bad → worker")
        pane.keys("Enter")
        pane.wait_for("job=7")
        pane.keys("j")
        pane.wait_for('"job": 7')
        assert len(cli(home, "dlq", "list")) == 1
        mended.touch()
        pane.keys("r")
        pane.wait_for("No dead letters")
        wait_for(seen.exists)
        assert cli(home, "dlq", "list") == []
        wait_for(lambda: cli(home, "events", "--type", "job.bad")[0]["status"] == "delivered")


def test_the_last_tab_is_there_again_after_a_restart(home: Path) -> None:
    with dashboard(home) as pane:
        pane.keys("5")
        pane.wait_for("event>")
        pane.keys("Escape")
        pane.wait_for("the output has the focus")
        pane.keys("q")
        wait_for(lambda: pane.ended)
    with dashboard(home) as pane:
        pane.wait_for("event>")


@pytest.mark.parametrize("tab", MARKS)
def test_a_tab_becomes_a_sliver_and_wide_again(home: Path, tab: str) -> None:
    with dashboard(home) as pane:
        cli(home, "publish", "order.created", "{}")
        pane.wait_for("order.created")
        pane.keys(f"F{tab}")
        pane.wait_for(MARKS[tab])
        pane.resize(40, 12)
        wait_for(lambda: WIDE_HEADER not in pane.text() and MARKS[tab] in pane.text())
        assert max(len(row) for row in pane.text().splitlines()) <= 40
        pane.resize(120, 36)
        wait_for(lambda: WIDE_HEADER in pane.text() and MARKS[tab] in pane.text())
        assert not pane.ended and "Traceback" not in pane.text()
