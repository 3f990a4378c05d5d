"""What all tests share: a home of their own, never the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("event-monitor", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("event-monitor")


@pytest.fixture(autouse=True)
def _never_the_real_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process and all that it starts at a throw-away home and an assistant that declares
    nothing, whatever a test shadows."""
    monkeypatch.setenv("EVENT_MONITOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "assistant"))
    monkeypatch.delenv("TMUX", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The throw-away home of a test."""
    return tmp_path / "home"
