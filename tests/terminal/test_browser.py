"""The dashboard starts as textual-serve starts it: pipes instead of a terminal, the browser behind them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.processes import headless
from tests.terminal.test_daily_use import MONITOR

# What Textual's driver for browsers writes once the app is drawn for the first time.
GREETING = b"__GANGLION__\n"
DRIVER = "textual.drivers.web_driver:WebDriver"


def test_a_read_only_view_starts_behind_a_browser(home: Path) -> None:
    settings = {"TEXTUAL_DRIVER": DRIVER, "COLUMNS": "120", "ROWS": "36"}
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
            assert view.stdout is not None and view.stderr is not None
            greeting = view.stdout.readline()
            assert greeting == GREETING, view.stderr.read()
            shown = b""
            while b"HEALTHY" not in shown:
                more = view.stdout.read1()
                assert more, "it ended before it showed the bus"
                shown += more
        finally:
            view.kill()
