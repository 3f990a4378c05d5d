"""The wall clock jumps by an hour either way: nothing expires, is retried or delivered at a wrong time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from event_monitor.clock import from_iso
from tests.faults.account import Account, alerts, check_files, well
from tests.faults.shim import Faults
from tests.processes import Headless, headless, wait_for

HOUR = 3_600.0
LONGEST_RETRY = 302.0


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_jump_of_the_wall_clock_hurries_and_delays_nothing(home: Path, faults: Faults, jump: float) -> None:
    """Scenario 16 with a real process."""
    account = Account(home)
    faults.set_clock(0)
    with headless(home, faults.environment) as bus:
        well(bus)
        bus.ask(do="subscribe", pattern="retried.#", handler="exec:/bin/false", name="failing")
        retried = bus.ask(do="publish", event_type="retried.one", payload={})["id"]
        wait_for(lambda: _attempts(bus, retried) == 1)
        account.publish(bus)
        faults.set_clock(jump)
        lived = bus.ask(do="publish", event_type="short.lived", payload={}, ttl=20)["id"]
        assert wait_for(lambda: _status(bus, lived) == "delivered")
        account.publish(bus)
        tried = wait_for(lambda: _attempts(bus, retried) > 1 and _attempts(bus, retried))
        assert tried == 2, "an hour is no reason to use up all attempts"
        faults.set_clock(0)
        account.publish(bus)
        page = bus.ask(do="query_events", type="fault.test")["events"]
        ids = [event["id"] for event in page]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 3
        assert alerts(bus) == {}
        assert bus.ask(do="get_state")["state"] == "HEALTHY"
    check_files(home)
    assert account.missing() == set()


def test_a_start_after_the_clock_was_set_back_waits_no_hour_for_a_retry(home: Path, faults: Faults) -> None:
    faults.set_clock(HOUR)
    (home / "event-bus").mkdir(parents=True)
    with headless(home, faults.environment) as bus:
        well(bus)
        bus.ask(do="subscribe", pattern="retried.#", handler="exec:/bin/false", name="failing")
        retried = bus.ask(do="publish", event_type="retried.one", payload={})["id"]
        wait_for(lambda: _attempts(bus, retried) == 1)
    faults.set_clock(0)
    with headless(home, faults.environment) as bus:
        found = _delivery(bus, retried)
        assert found is not None
        due = found["next_attempt_at"]
        assert due is None or from_iso(str(due)) < time.time() + LONGEST_RETRY


def _delivery(bus: Headless, event_id: int) -> dict[str, object] | None:
    found = bus.ask(do="get_event", event_id=event_id)["deliveries"]
    return next((one for one in found if one["target"] == "failing"), None)


def _attempts(bus: Headless, event_id: int) -> int:
    found = _delivery(bus, event_id)
    return int(str(found["attempts"])) if found else 0


def _status(bus: Headless, event_id: int) -> str:
    return str(bus.ask(do="get_event", event_id=event_id)["event"]["status"])
