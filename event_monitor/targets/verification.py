"""The ``verification`` target: a backup is what the event about it claims."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType

from event_monitor.bus.inflight import Pending
from event_monitor.event_types import BackupVerified, ErrorCritical
from event_monitor.targets.publishing import Publish, publish_effect

LIMIT = 240.0
CHUNK = 1024 * 1024
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_LONGEST_PATH = 4_096


class NotVerified(Exception):
    """The backup is not what was claimed, or the claim cannot be checked; the text says why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an event says of a backup. ``size`` is in bytes, ``sha256`` in lower-case hexadecimal;
    at least one of them is there."""

    path: str
    size: int | None
    sha256: str | None


class VerificationTarget:
    """Publishes ``backup.verified``, or ``error.critical`` with the reason, once for each event.

    ``limit`` is how many seconds reading one file may take; the target's own timeout must be
    longer. Serve it with batches of one.
    """

    def __init__(self, publish: Publish, *, limit: float = LIMIT) -> None:
        self._publish = publish
        self._limit = limit

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Verify what each event names. Raises only if the verdict cannot be published."""
        for delivery in batch:
            event = delivery.record.event
            try:
                verdict: BackupVerified | ErrorCritical = await self._verify(event.payload)
            except NotVerified as error:
                path = _shown(event.payload.get("path"))
                verdict = ErrorCritical(
                    title=f"backup {path}", path=path, error=str(error), backup_event=event.id
                )
            await publish_effect(self._publish, event, verdict, f"verification:{event.id}")

    async def _verify(self, payload: dict[str, Any]) -> BackupVerified:
        claim = read_claim(payload)
        stop = threading.Event()
        try:
            async with asyncio.timeout(self._limit):
                size, digest = await asyncio.to_thread(_examine, claim, stop)
        except TimeoutError:
            raise NotVerified(f"it could not be read within {self._limit:g} seconds") from None
        finally:
            stop.set()
        checked = [name for name in ("size", "sha256") if getattr(claim, name) is not None]
        missing = [name for name in ("size", "sha256") if name not in checked]
        unchecked: str | UnsetType = UNSET
        if missing:
            unchecked = f"the event claimed no {missing[0]}, only the {checked[0]} was checked"
        return BackupVerified(path=claim.path, size=size, sha256=digest, checked=checked, message=unchecked)


def read_claim(payload: dict[str, Any]) -> Claim:
    """What a payload claims. Raises ``NotVerified`` for what is missing or cannot be read."""
    path, size, digest = (payload.get(key) for key in ("path", "size", "sha256"))
    if not isinstance(path, str) or not path:
        raise NotVerified("the event names no file: put its full path into the payload's path")
    if not os.path.isabs(path):
        raise NotVerified("the path is relative: write it in full, from /")
    if len(path) > _LONGEST_PATH:
        raise NotVerified(f"the path has {len(path):,} characters, the limit is {_LONGEST_PATH:,}")
    if size is None and digest is None:
        raise NotVerified("the event claims neither size nor sha256: there is nothing to verify against")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise NotVerified("the claimed size is not a number of bytes")
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise NotVerified("the claimed sha256 is not 64 hexadecimal digits")
    return Claim(path, size, digest.lower() if digest is not None else None)


def _examine(claim: Claim, stop: threading.Event) -> tuple[int, str]:
    """The size and digest of the file, which are those claimed. Raises ``NotVerified``."""
    # A fifo must not make the open wait, nor a link lead elsewhere.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        if stat.S_ISLNK(os.lstat(claim.path).st_mode):
            raise NotVerified("it is a symbolic link: name the file itself")
        file = os.open(claim.path, flags)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise NotVerified("it is not a regular file")
            if claim.size is not None and found.st_size != claim.size:
                raise NotVerified(f"it has {found.st_size:,} bytes, {claim.size:,} were claimed")
            size, digest = _read(file, stop)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NotVerified(f"it cannot be read: {cause}") from error
    if size != found.st_size:
        raise NotVerified("it changed while it was read")
    if claim.sha256 is not None and digest != claim.sha256:
        raise NotVerified(f"its SHA-256 is {digest}, {claim.sha256} was claimed")
    return size, digest


def _read(file: int, stop: threading.Event) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    while chunk := os.read(file, CHUNK):
        if stop.is_set():
            raise NotVerified("reading it was given up")
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _shown(path: object) -> str:
    return path[:_LONGEST_PATH] if isinstance(path, str) else ""
