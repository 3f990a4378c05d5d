"""The n-th write, sync, rename or creating open fails, for n = 1, 2, ... until a run is clean.

``EVENT_MONITOR_FAULT_STRIDE=1`` tries every n; unset, every few, so that it is done in a minute.
"""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path

import pytest

from tests.faults.account import Account, alerts, check_files, state, well
from tests.faults.shim import FOR_EVER, SHORT_WRITE, Faults
from tests.processes import DidNotStart, Headless, headless, wait_for

STRIDE = int(os.environ.get("EVENT_MONITOR_FAULT_STRIDE", "11"))
ROUND = 6


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
def test_a_start_succeeds_or_is_refused_in_plain_words(home: Path, faults: Faults, code: int) -> None:
    refused = 0
    for n in count(1 + code % STRIDE, STRIDE):
        faults.arm(n, code, calls=FOR_EVER)
        try:
            bus = Headless(home, faults.environment)
        except DidNotStart as error:
            refused += 1
            assert error.status == 1
            assert error.errors.splitlines()[-1].startswith("event-monitor: ")
            assert "Traceback" not in error.errors
            faults.heal()
            continue
        try:
            struck = faults.struck
            faults.heal()
            well(bus)
        finally:
            assert bus.stop() == 0
        check_files(home)
        if not struck or n > 200:
            break
    assert refused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "calls"),
    [
        (errno.ENOSPC, FOR_EVER),
        (errno.EROFS, FOR_EVER),
        (errno.EIO, 1),
        (SHORT_WRITE, 3),
    ],
    ids=["full", "read-only", "one-error", "short-writes"],
)
def test_a_fault_while_it_runs_loses_nothing_and_heals(
    home: Path, faults: Faults, code: int, calls: int
) -> None:
    account = Account(home)
    with headless(home, faults.environment) as bus:
        well(bus)
        for n in range(1, 60, STRIDE):
            faults.arm(n, code, calls=calls)
            for _ in range(ROUND):
                account.publish(bus)
            account.publish_with_cli()
            if calls == FOR_EVER:
                wait_for(lambda: account.publish(bus) is False)
                wait_for(lambda: state(bus) == "DEGRADED")
            faults.heal()
            well(bus)
            assert account.publish(bus)
        raised = alerts(bus)
        well(bus)
        assert bus.process.poll() is None
    check_files(home)
    assert account.missing() == set()
    if calls == FOR_EVER:
        assert {error["code"] for error in account.refusals} == {"store_unavailable"}
        assert all(error["advice"] for error in account.refusals)
        assert "free some space" in raised["The event store cannot be written"]
