"""event-cli on a home of its own, and scripted buses for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.scripted import Cli, Script, ScriptedBus


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "home")


@pytest.fixture
def bus(cli: Cli) -> Iterator[Callable[[Script], ScriptedBus]]:
    running: list[ScriptedBus] = []

    def start(script: Script) -> ScriptedBus:
        started = ScriptedBus(cli.paths.socket, script)
        running.append(started)
        return started

    yield start
    for one in running:
        one.stop()
