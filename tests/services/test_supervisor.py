"""A supervised process in every kind of trouble."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from event_monitor.config import RestartSettings
from event_monitor.services.base import ServiceDown
from event_monitor.services.guardian import Guardian
from event_monitor.services.supervisor import TAIL_BYTES, Child, Exit, Grace, ProcessState, Supervisor
from tests.services.groups import members

QUICK = RestartSettings(min_delay=0.01, max_delay=0.05)
NEVER = RestartSettings(enabled=False)
IMPATIENT = Grace(end_of_input=0.2, terminate=0.3, kill=5.0)
DEAF = (
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(600)"
)


class Watched:
    """A supervisor whose starts and ends a test can wait for."""

    def __init__(self, guardian: Guardian, command: list[str], **options: object) -> None:
        self.children: asyncio.Queue[Child] = asyncio.Queue()
        self.exits: asyncio.Queue[Exit | str] = asyncio.Queue()
        self.output = bytearray()
        self.spoke = asyncio.Event()
        self.supervisor = Supervisor(
            command,
            guardian,
            on_start=self._started,
            on_exit=self.exits.put_nowait,
            **{"grace": IMPATIENT, "restart": QUICK, **options},  # type: ignore[arg-type]
        )

    def _started(self, child: Child) -> None:
        child.on_output = self._heard
        self.children.put_nowait(child)

    def _heard(self, data: bytes) -> None:
        self.output += data
        self.spoke.set()


Watch = Callable[..., Watched]


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    guardian = Guardian()
    made: list[Watched] = []

    def begin(command: list[str], **options: object) -> Watched:
        made.append(Watched(guardian, command, **options))
        return made[-1]

    async with asyncio.timeout(30):
        yield begin
        for watched in made:
            await watched.supervisor.stop()
        assert guardian.groups == frozenset()
        await guardian.close()


async def test_what_ends_is_started_again(watch: Watch) -> None:
    watched = watch(["sh", "-c", "exit 3"])
    await watched.supervisor.start()
    exits = [await watched.exits.get() for _ in range(3)]
    assert [str(how) for how in exits] == ["exit status 3"] * 3
    assert watched.supervisor.starts >= 3


async def test_a_signal_is_named_and_a_new_process_follows(watch: Watch) -> None:
    watched = watch(["sleep", "600"])
    await watched.supervisor.start()
    first = await watched.children.get()
    assert watched.supervisor.pid is not None
    os.kill(watched.supervisor.pid, signal.SIGKILL)
    assert str(await watched.exits.get()) == "ended by SIGKILL"
    second = await watched.children.get()
    assert second is not first


async def test_without_restart_it_stays_ended_and_says_how(watch: Watch) -> None:
    watched = watch(["sh", "-c", "echo broken >&2; exit 4"], restart=NEVER)
    await watched.supervisor.start()
    await watched.exits.get()
    with pytest.raises(ServiceDown, match="exit status 4"):
        watched.supervisor.check()
    await watched.supervisor.stop()
    assert watched.supervisor.describe()["last_exit"] == "exit status 4"


async def test_a_command_that_does_not_exist_is_a_state(watch: Watch) -> None:
    watched = watch(["no-such-command-anywhere"])
    await watched.supervisor.start()
    assert "not found on PATH" in str(await watched.exits.get())
    assert watched.supervisor.state is ProcessState.UNSTARTABLE
    with pytest.raises(ServiceDown, match="not found on PATH"):
        watched.supervisor.check()


async def test_a_command_that_is_installed_later_is_started(watch: Watch, tmp_path: Path) -> None:
    program = tmp_path / "later"
    watched = watch([str(program)])
    await watched.supervisor.start()
    assert "does not exist" in str(await watched.exits.get())
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    await watched.children.get()


async def test_the_end_of_its_input_is_enough_for_the_polite(watch: Watch) -> None:
    watched = watch(["cat"], talks=True)
    await watched.supervisor.start()
    child = await watched.children.get()
    await child.send(b"word\n")
    await watched.spoke.wait()
    await watched.supervisor.stop()
    assert str(watched.supervisor.last_exit) == "exit status 0"
    assert watched.output == b"word\n"


async def test_the_deaf_are_killed_with_their_whole_group(watch: Watch) -> None:
    script = f'{sys.executable} -c "{DEAF}" & wait'
    watched = watch(["sh", "-c", script], talks=True)
    await watched.supervisor.start()
    await watched.spoke.wait()
    group = watched.supervisor.pid
    assert group is not None and len(members(group)) == 2
    await watched.supervisor.stop()
    assert members(group) == []
    assert watched.supervisor.state is ProcessState.STOPPED


async def test_a_grandchild_does_not_live_on_when_its_parent_dies(watch: Watch) -> None:
    watched = watch(["sh", "-c", "sleep 600 & echo up; wait"], talks=True, restart=NEVER)
    await watched.supervisor.start()
    await watched.spoke.wait()
    group = watched.supervisor.pid
    assert group is not None
    os.kill(group, signal.SIGKILL)
    assert str(await watched.exits.get()) == "ended by SIGKILL"
    assert members(group) == []


async def test_a_stopped_process_is_ended_too(watch: Watch) -> None:
    watched = watch(["sh", "-c", "echo up; exec sleep 600"], talks=True)
    await watched.supervisor.start()
    await watched.spoke.wait()
    group = watched.supervisor.pid
    assert group is not None
    os.kill(group, signal.SIGSTOP)
    await watched.supervisor.stop()
    assert members(group) == []


async def test_restart_does_not_wait_for_the_backoff(watch: Watch) -> None:
    slow = RestartSettings(min_delay=1_000, max_delay=1_000)
    watched = watch(["sh", "-c", "exit 1"], restart=slow)
    await watched.supervisor.start()
    await watched.exits.get()
    await watched.supervisor.restart("a person asked")
    await watched.exits.get()
    assert watched.supervisor.starts == 2


async def test_a_cancelled_stop_leaves_no_process(watch: Watch) -> None:
    watched = watch([sys.executable, "-c", DEAF], talks=True)
    await watched.supervisor.start()
    await watched.spoke.wait()
    group = watched.supervisor.pid
    assert group is not None
    stopping = asyncio.create_task(watched.supervisor.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait([stopping])
    await watched.supervisor.stop()
    assert members(group) == []


async def test_a_flood_of_errors_is_kept_short_and_clean(watch: Watch) -> None:
    script = "import sys; sys.stderr.write('x' * 3_000_000 + '\\x1b[31mend hunter22\\n')"
    watched = watch([sys.executable, "-c", script], talks=True, restart=NEVER, env={"TOKEN": "hunter22"})
    await watched.supervisor.start()
    await watched.exits.get()
    tail = watched.supervisor.tail()
    assert len(tail) <= TAIL_BYTES
    assert tail.endswith("x [31mend ***\n")
    assert "hunter22" not in str(watched.supervisor.describe())


async def test_writing_to_one_that_does_not_read_is_bounded(watch: Watch) -> None:
    watched = watch(["sh", "-c", "echo up; exec sleep 600"], talks=True)
    await watched.supervisor.start()
    await watched.spoke.wait()
    child = watched.children.get_nowait()
    writing = asyncio.create_task(child.send(b"x" * 3_000_000))
    await asyncio.sleep(0)
    with pytest.raises(ServiceDown, match="does not read"):
        await child.send(b"x" * 3_000_000)
    writing.cancel()


async def test_delays_double_up_to_the_limit() -> None:
    settings = RestartSettings(min_delay=1, max_delay=60)
    supervisor = Supervisor(["true"], Guardian(), restart=settings, rng=random.Random(1))
    delays = [supervisor.delay(failures) for failures in (0, 1, 2, 3, 4, 5, 6, 10_000)]
    for delay, base in zip(delays, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert base <= delay <= base * 1.1


async def test_recovery_ends_what_ran_then_and_nothing_that_was_started_since(watch: Watch) -> None:
    crashes: list[str] = []
    watched = watch(["sleep", "600"], on_crash=crashes.append)
    await watched.supervisor.start()
    first = await watched.children.get()
    now = asyncio.get_running_loop().time
    await watched.supervisor.recover("it hangs", now())
    await watched.exits.get()
    second = await watched.children.get()
    assert crashes == ["it hangs; ended by SIGTERM"]
    await watched.supervisor.recover("an old story", now() - 60)
    await asyncio.sleep(0.05)
    assert (watched.supervisor.pid, watched.supervisor.starts) == (second.pid, 2)
    assert second.pid != first.pid
    await watched.supervisor.restart("a person's word")
    await watched.children.get()
    assert len(crashes) == 1, "what a person asks for is no crash"
