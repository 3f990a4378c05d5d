"""``event-monitor`` prints for a person and for a pipe alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import headless


@pytest.mark.parametrize("option", ["--print-config", "--check-config", "--once"])
def test_a_reader_that_has_seen_enough_is_no_failure(home: Path, option: str) -> None:
    command = [sys.executable, "-m", "event_monitor", "--home", str(home), option]
    with (
        headless(home),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as printing,
    ):
        assert printing.stdout is not None and printing.stderr is not None
        printing.stdout.close()
        assert (printing.stderr.read(), printing.wait(30)) == (b"", 0)
