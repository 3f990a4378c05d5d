"""What the dashboard keeps over a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from event_monitor.dashboard.memory import Memory


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "event-bus" / "dashboard.json"
    memory = Memory(str(path))
    assert not memory.unsaved
    memory.set("tab", "events")
    assert memory.unsaved
    memory.save()
    assert not memory.unsaved
    assert Memory(str(path)).get("tab", "overview") == "events"
    assert [file.name for file in path.parent.iterdir()] == ["dashboard.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"tab": 7}', b"\xff\xfe", b"{"])
def test_a_file_that_makes_no_sense_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dashboard.json"
    path.write_bytes(content)
    assert Memory(str(path)).get("tab", "overview") == "overview"


def test_a_home_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    memory = Memory(str(tmp_path / "file" / "dashboard.json"))
    memory.set("tab", "events")
    with caplog.at_level(logging.WARNING):
        memory.save()
        memory.save()
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1
    assert memory.get("tab", "") == "events"
