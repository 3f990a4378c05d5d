"""The program's own log stays within its bounds, whatever is written to it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from event_monitor import logfile
from event_monitor.logfile import log_to_file
from event_monitor.paths import HomePaths


def test_the_programs_own_log_is_rotated_and_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "_BYTES", 4_096)
    paths = HomePaths(str(home))
    with log_to_file(paths):
        for number in range(400):
            logging.getLogger("event_monitor.test").warning("line %d %s", number, "x" * 80)
    files = sorted(Path(paths.logs).glob("event-monitor.log*"))
    assert [file.name for file in files] == [
        "event-monitor.log",
        *(f"event-monitor.log.{n}" for n in (1, 2, 3)),
    ]
    assert all(file.stat().st_size <= 4_096 for file in files)
    assert "line 399" in files[0].read_text()
