"""Publishing into a failing bus, and the account of what became of what it acknowledged."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.processes import Headless, connect, exchange, wait_for


class Account:
    """Notes the names of the events that a bus on ``home`` has acknowledged."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.acknowledged: set[str] = set()
        self.refusals: list[dict[str, str]] = []
        self._published = 0

    def publish(self, bus: Headless, *, size: int = 0) -> bool:
        """Publish one event with ``size`` bytes of padding; whether it was accepted."""
        self._published += 1
        name = f"event-{self._published}"
        payload = {"name": name, "padding": "x" * size}
        with contextlib.closing(connect(bus.socket)) as connection:
            reply = exchange(connection, {"do": "publish", "event_type": "fault.test", "payload": payload})
        if reply["ok"]:
            self.acknowledged.add(name)
        else:
            self.refusals.append(reply["error"])
        return bool(reply["ok"])

    def publish_with_cli(self) -> None:
        """Publish one event as a script does. What is spooled counts as acknowledged too."""
        self._published += 1
        name = f"event-{self._published}"
        answer = event_cli(self.home, "publish", "fault.test", json.dumps({"name": name}))
        assert answer.returncode in (0, 1), answer.stderr
        if answer.returncode == 0:
            self.acknowledged.add(name)
        else:
            assert "Traceback" not in answer.stderr

    def missing(self) -> set[str]:
        """What was acknowledged and is neither in the log nor a dead letter."""
        return self.acknowledged - _logged(self.home) - _dead(self.home)


def event_cli(
    home: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``event-cli`` as a process of its own."""
    command = [sys.executable, "-m", "event_monitor.cli", "--home", str(home), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **(environment or {})}
    )


def well(bus: Headless) -> None:
    """Wait until the bus says that all is well and nothing is left to do."""
    wait_for(lambda: state(bus) == "HEALTHY")
    # The event of that change may be on its way to the disk still; a query waits for it.
    bus.ask(do="query_events", limit=1)
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)


def state(bus: Headless) -> str:
    """The system state, as ``event-cli state`` answers it."""
    return str(bus.ask(do="get_state")["state"])


def alerts(bus: Headless) -> dict[str, str]:
    """The alerts' details by title."""
    found: list[dict[str, Any]] = bus.ask(do="query_alerts")["alerts"]
    return {alert["title"]: alert["detail"] for alert in found}


def check_files(home: Path) -> None:
    """The database is sound and the state file is whole."""
    with contextlib.closing(sqlite3.connect(home / "event-bus" / "events.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check_state_file(home)


def check_state_file(home: Path) -> None:
    """The state file is the last one that was written whole."""
    saved = home / "state" / "current.json"
    assert not saved.exists() or json.loads(saved.read_text())["format"] == 1


def _logged(home: Path) -> set[str]:
    names = set()
    for log in (home / "event-bus" / "logs").glob("events.jsonl*"):
        for line in log.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                names.add(json.loads(line)["payload"].get("name", ""))
    return names


def _dead(home: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(home / "event-bus" / "events.db")) as connection:
        rows = connection.execute(
            "SELECT e.payload ->> '$.name' FROM deliveries d JOIN events e ON e.id = d.event_id "
            "WHERE d.state = 'dead'"
        ).fetchall()
    return {name for (name,) in rows}
