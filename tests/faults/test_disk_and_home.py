"""A disk that is full, a home that is read-only, descriptors that run out, a process that sleeps."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.account import Account, alerts, check_files, check_state_file, state, well
from tests.processes import DidNotStart, Headless, connect, exchange, headless, wait_for


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A home of eight megabytes."""
    home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(home)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    settings = home / "event-bus" / "event-monitor.yaml"
    settings.parent.mkdir(mode=0o700)
    settings.write_text("watch: {disk_free: 0}  # so small a disk is always nearly full\n")
    try:
        yield home
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def test_a_disk_that_is_really_full_refuses_and_recovers(small_disk: Path) -> None:
    """Scenario 25 on a real file system."""
    account = Account(small_disk)
    filler = small_disk / "filler"
    with headless(small_disk) as bus:
        well(bus)
        assert account.publish(bus)
        _fill_up(filler)
        # What is small may still fit while what is large does not: the state then comes and goes.
        wait_for(lambda: not account.publish(bus, size=60_000) and state(bus) == "DEGRADED")
        wait_for(
            lambda: (
                not account.publish(bus, size=60_000) and bus.ask(do="get_snapshot")["state"] == "DEGRADED"
            )
        )
        assert "free some space" in alerts(bus)["The event store cannot be written"]
        check_state_file(small_disk)
        filler.unlink()
        well(bus)
        assert account.publish(bus)
        well(bus)
    check_files(small_disk)
    assert account.missing() == set()
    assert {error["code"] for error in account.refusals} == {"store_unavailable"}


def test_a_read_only_home_refuses_the_start_in_plain_words(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DidNotStart) as refused:
        Headless(small_disk)
    assert refused.value.status == 1
    assert "Read-only file system" in refused.value.errors
    assert "writable" in refused.value.errors
    assert len(refused.value.errors.splitlines()) == 1


def test_descriptors_that_run_out_cost_connections_only(home: Path) -> None:
    account = Account(home)
    with headless(home, before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))) as bus:
        well(bus)
        with contextlib.ExitStack() as connections:
            held = [connections.enter_context(contextlib.closing(connect(bus.socket))) for _ in range(60)]
            asked = 0
            for connection in held:
                connection.settimeout(0.5)
                with contextlib.suppress(OSError):
                    asked += exchange(connection, {"do": "ping"})["ok"]
            assert asked > 10
            before = _processor_seconds(bus.process.pid)
            began = time.monotonic()
            time.sleep(2)
            busy = (_processor_seconds(bus.process.pid) - before) / (time.monotonic() - began)
            assert busy < 0.5, f"{busy:.0%} of a processor while no descriptor is free"
            held[0].settimeout(30)
            reply = exchange(held[0], {"do": "publish", "event_type": "a.b", "payload": {}})
            assert reply["ok"] or reply["error"]["code"] == "store_unavailable"
            assert "Too many open files" in bus.errors.read_text()
        wait_for(lambda: account.publish(bus))
        well(bus)
        assert "ulimit -n" in alerts(bus)["File descriptors have run out"]
    check_files(home)
    assert account.missing() == set()


@pytest.mark.slow
def test_a_process_that_was_suspended_goes_on_without_a_storm(home: Path) -> None:
    account = Account(home)
    with headless(home) as bus:
        well(bus)
        before = bus.ask(do="get_stats")["published"]
        os.kill(bus.process.pid, signal.SIGSTOP)
        time.sleep(10)
        os.kill(bus.process.pid, signal.SIGCONT)
        assert account.publish(bus)
        well(bus)
        assert alerts(bus) == {}
        assert bus.ask(do="get_stats")["published"] == before + 1
        history = bus.ask(do="get_state", history=True)["history"]
        assert [step["to_state"] for step in history] == ["HEALTHY"]
    assert account.missing() == set()


def _fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
