"""What all tests share: a home of their own, never the user's."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a throw-away home, also in the processes that it starts."""
    home = tmp_path / "home"
    monkeypatch.setenv("EVENT_MONITOR_HOME", str(home))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.delenv("TMUX", raising=False)
    return home
