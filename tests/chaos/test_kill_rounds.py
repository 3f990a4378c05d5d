"""``kill -9`` round after round: back within five seconds, with every accepted event and every breaker.

``EVENT_MONITOR_KILLS`` says how many rounds; the whole scenario is 200.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from event_monitor.model import SystemState
from tests.chaos.test_kill import check_conservation, dead_names, handled_names
from tests.processes import Headless, wait_for

ROUNDS = int(os.environ.get("EVENT_MONITOR_KILLS", "20"))
RESTARTED_WITHIN = 5.0
RECOVERY = 30.0
_PUBLISHER = Path(__file__).with_name("publisher.py")
_SETTINGS = f"""
log: {{max_bytes: 1000000000}}
target_defaults:
  retry: {{strategy: fixed, max_retries: 1000, max_delay: 0.05}}
  breaker: {{failure_threshold: 3, recovery_timeout: {RECOVERY}}}
"""


def saved_breaker(home: Path, name: str) -> str | None:
    """The state that is on disk."""
    connection = sqlite3.connect(f"file:{home}/event-bus/events.db?mode=ro", uri=True)
    row = connection.execute("SELECT saved FROM breakers WHERE name = ?", (name,)).fetchone()
    connection.close()
    return None if row is None else str(json.loads(row[0])["state"])


def check_breaker(bus: Headless, before: str | None) -> None:
    report = next(one for one in bus.ask(do="query_breakers")["breakers"] if one["service"] == "target:fails")
    if report["state"] == "OPEN":
        assert 0 <= report["retry_after"] <= RECOVERY
    if before == "OPEN":
        assert report["state"] in ("OPEN", "HALF_OPEN"), "an open breaker was forgotten"


def check_state_file(home: Path) -> None:
    """The whole of an old or of a new state, never a torn one."""
    SystemState(json.loads((home / "state" / "current.json").read_text())["state"])
    assert not list(home.glob("**/*damaged*"))


@pytest.mark.slow
def test_scenario_38_every_restart_is_quick_and_whole(home: Path, tmp_path: Path) -> None:
    rng = random.Random(38)
    (home / "event-bus").mkdir(parents=True)
    (home / "event-bus" / "event-monitor.yaml").write_text(_SETTINGS)
    bus = Headless(home)
    bus.ask(do="subscribe", pattern="kill.p0.t0", handler="exec:false", name="fails")
    noted = tmp_path / "acknowledged"
    publisher = subprocess.Popen(
        [sys.executable, str(_PUBLISHER), bus.socket, "p0", str(noted)], stdin=subprocess.PIPE
    )
    slowest, opened = 0.0, 0
    try:
        for _ in range(ROUNDS):
            time.sleep(rng.uniform(0.0, 0.6))
            bus.kill()
            before = saved_breaker(home, "target:fails")
            opened += before == "OPEN"
            check_state_file(home)
            begin = time.monotonic()
            bus = Headless(home)
            slowest = max(slowest, time.monotonic() - begin)
            check_breaker(bus, before)
        wait_for(lambda: noted.stat().st_size > 0)
    finally:
        publisher.communicate()
    assert slowest < RESTARTED_WITHIN
    assert opened > ROUNDS / 2, "the breaker was hardly ever open when it was killed"
    bus.ask(do="unsubscribe", name="fails")
    wait_for(lambda: bus.ask(do="get_stats")["pending"] == 0)
    stats = bus.ask(do="get_stats")
    assert bus.stop() == 0
    acknowledged = set(noted.read_text().split())
    handled = Counter(handled_names(home / "event-bus" / "logs" / "events.jsonl"))
    assert acknowledged - set(handled) - set(dead_names(home)) == set()
    check_conservation(home, stats)
