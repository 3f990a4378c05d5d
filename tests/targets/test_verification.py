"""The verification target, on real files: what passes, what is found out, what is given up."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from event_monitor.errors import StoreUnavailable
from event_monitor.model import Event
from event_monitor.targets import verification
from event_monitor.targets.verification import Claim, VerificationTarget
from tests.bus.helpers import open_bus, rows, rules
from tests.targets.helpers import Outbox, batch, event

CONTENT = b"all that matters\n" * 70_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ENDLESS = 2**40


def backup(payload: dict[str, Any], number: int = 5) -> Event:
    return event(number, "backup.completed", payload, correlation_id="session-1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    path.write_bytes(CONTENT)
    return path


async def verdict(payload: dict[str, Any], **options: Any) -> tuple[str, dict[str, Any]]:
    outbox = Outbox()
    await VerificationTarget(outbox, **options).handle(batch(backup(payload)))
    (sent,) = outbox.events
    assert outbox.options == [{"source": "event-monitor", "correlation_id": "session-1", "causation_id": 5}]
    return sent


async def test_a_backup_that_is_what_was_claimed_is_verified(file: Path) -> None:
    claim = {"path": str(file), "size": len(CONTENT), "sha256": DIGEST.upper()}
    assert await verdict(claim) == (
        "backup.verified",
        {"path": str(file), "size": len(CONTENT), "sha256": DIGEST, "checked": ["size", "sha256"]},
    )


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"size": len(CONTENT)}, "the event claimed no sha256, only the size was checked"),
        ({"sha256": DIGEST}, "the event claimed no size, only the sha256 was checked"),
    ],
)
async def test_what_was_not_claimed_is_said(file: Path, claim: dict[str, Any], said: str) -> None:
    kind, payload = await verdict({"path": str(file), **claim})
    assert (kind, payload["message"], payload["checked"]) == ("backup.verified", said, list(claim))


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"size": 17}, "it has 1,190,000 bytes, 17 were claimed"),
        ({"sha256": "0" * 64}, f"its SHA-256 is {DIGEST}, {'0' * 64} was claimed"),
        ({}, "the event claims neither size nor sha256: there is nothing to verify against"),
        ({"size": True}, "the claimed size is not a number of bytes"),
        ({"size": "17"}, "the claimed size is not a number of bytes"),
        ({"size": -1}, "the claimed size is not a number of bytes"),
        ({"sha256": DIGEST[:-1]}, "the claimed sha256 is not 64 hexadecimal digits"),
        ({"sha256": 7}, "the claimed sha256 is not 64 hexadecimal digits"),
    ],
)
async def test_a_backup_that_is_something_else_is_critical(
    file: Path, claim: dict[str, Any], said: str
) -> None:
    assert await verdict({"path": str(file), **claim}) == (
        "error.critical",
        {"title": f"backup {file}", "path": str(file), "error": said, "backup_event": 5},
    )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (None, "the event names no file: put its full path into the payload's path"),
        ("", "the event names no file: put its full path into the payload's path"),
        (["/x"], "the event names no file: put its full path into the payload's path"),
        ("backup.tar", "the path is relative: write it in full, from /"),
        ("~/backup.tar", "the path is relative: write it in full, from /"),
        ("/" + "x" * 5_000, "the path has 5,001 characters, the limit is 4,096"),
        ("/no/such/file", "it cannot be read: No such file or directory"),
        ("/a\0b", "it cannot be read: "),
    ],
)
async def test_a_path_that_leads_to_no_file_is_said(path: object, said: str) -> None:
    kind, payload = await verdict({"path": path, "size": 1})
    assert kind == "error.critical" and payload["error"].startswith(said)
    assert len(payload["path"]) <= 4_096


async def test_only_a_regular_file_is_a_backup_and_no_link_is_followed(tmp_path: Path, file: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "fifo")
    said = {}
    for name in ("link", "fifo", "."):
        _, payload = await verdict({"path": f"{tmp_path}/{name}", "size": len(CONTENT)})
        said[name] = payload["error"]
    assert said == {
        "link": "it is a symbolic link: name the file itself",
        "fifo": "it is not a regular file",
        ".": "it is not a regular file",
    }


async def test_a_file_that_takes_too_long_is_given_up_and_its_thread_ends(tmp_path: Path) -> None:
    with (tmp_path / "endless").open("wb") as sparse:
        sparse.truncate(ENDLESS)
    kind, payload = await verdict({"path": str(tmp_path / "endless"), "size": ENDLESS}, limit=0.05)
    assert (kind, payload["error"]) == ("error.critical", "it could not be read within 0.05 seconds")
    async with asyncio.timeout(30):
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_cancelled_verification_stops_reading_and_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "endless").open("wb") as sparse:
        sparse.truncate(ENDLESS)
    loop, reading = asyncio.get_running_loop(), asyncio.Event()
    examine = verification._examine

    def examine_and_say(claim: Claim, stop: threading.Event) -> tuple[int, str]:
        loop.call_soon_threadsafe(reading.set)
        return examine(claim, stop)

    monkeypatch.setattr(verification, "_examine", examine_and_say)
    outbox = Outbox()
    claim = {"path": str(tmp_path / "endless"), "size": ENDLESS}
    task = asyncio.create_task(VerificationTarget(outbox).handle(batch(backup(claim))))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(30):
        await loop.shutdown_default_executor()
    assert outbox.calls == 0


async def test_a_verdict_that_cannot_be_published_fails_the_delivery(file: Path) -> None:
    outbox = Outbox()
    outbox.error = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        await VerificationTarget(outbox).handle(batch(backup({"path": str(file), "size": 1})))


async def test_on_a_bus_a_second_delivery_publishes_no_second_verdict(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path, rules=rules({"#": ["log"]})) as bus:
        target = VerificationTarget(bus.publish)
        cause = await bus.publish("backup.completed", {"path": str(file)}, correlation_id="s")
        delivered = event(
            cause.id, "backup.completed", {"path": str(file), "sha256": DIGEST}, correlation_id="s"
        )
        await target.handle(batch(delivered))
        file.write_bytes(b"gone bad since")
        await target.handle(batch(delivered))
    found = rows(
        path, "SELECT event_type, causation_id, correlation_id, source, depth FROM events WHERE id > 1"
    )
    assert found == [("backup.verified", cause.id, "s", "event-monitor", 1)]


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=300), size=st.integers(0, 300), flip=st.booleans())
def test_it_is_verified_exactly_if_every_claim_is_true(
    tmp_path: Path, content: bytes, size: int, flip: bool
) -> None:
    path = tmp_path / "backup"
    path.write_bytes(content)
    digest = hashlib.sha256(content + b"x" if flip else content).hexdigest()
    kind, _ = asyncio.run(verdict({"path": str(path), "size": size, "sha256": digest}))
    assert (kind == "backup.verified") is (size == len(content) and not flip)
