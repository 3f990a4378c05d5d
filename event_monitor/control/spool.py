"""The reading end of the spool: what was written while no bus could take it.

Blocking file work: call it in a thread. ``event_monitor.spooling`` describes the layout and writes.
"""

from __future__ import annotations

import heapq
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from event_monitor import spooling
from event_monitor.control.hooks import HEAD_CHARACTERS, translate, unreadable
from event_monitor.errors import InvalidEvent
from event_monitor.event_types import SpoolUnreadable
from event_monitor.grammar.decode import publish_from_line, publish_from_text
from event_monitor.messages import Publish, PublishText

MAX_ENTRY_BYTES = 33_554_432
STALE_SECONDS = 86_400.0

_NAME = re.compile(rf"[0-9]{{20}}-[0-9]+-[0-9a-f]+\.({'|'.join(spooling.KINDS)})")
_text_decoder = msgspec.json.Decoder(PublishText)


class SpoolEntry(msgspec.Struct, frozen=True, order=True):
    """One waiting entry. Entries sort by age."""

    name: str
    kind: str


class Spool:
    """The entries of one spool directory.

    ``now`` is wall time in seconds; drafts older than a day, left by writers that were killed, are
    removed against it.
    """

    def __init__(self, directory: str | Path, *, now: Callable[[], float] = time.time) -> None:
        self._directory = Path(directory)
        self.bad = self._directory / "bad"
        self._now = now

    def entries(self, limit: int) -> list[SpoolEntry]:
        """The oldest entries, oldest first. Foreign files and links are passed over; a directory that
        does not exist is empty. Raises ``OSError`` if it cannot be read."""
        self._remove_stale_drafts()
        return heapq.nsmallest(limit, self._scan())

    def read(self, entry: SpoolEntry, max_payload_bytes: int = 262_144) -> list[Publish]:
        """The events in an entry, each with a key by which the bus knows it when it comes again.

        ``max_payload_bytes`` is what a hook's payload is shortened to.
        A hook that cannot be read becomes ``hook.unreadable``, a bad line ``spool.unreadable``.
        Raises ``InvalidEvent`` for an entry of which nothing can be used, ``FileNotFoundError`` for
        one that is gone, ``OSError`` if it cannot be read now.
        """
        data, size = self._load(entry)
        key = spooling.entry_key(entry.name)
        if entry.kind == "hook":
            return [_event_of_hook(data, size, key, max_payload_bytes)]
        if size > MAX_ENTRY_BYTES:
            raise InvalidEvent(f"the entry is larger than {MAX_ENTRY_BYTES} bytes", "publish it in parts")
        if entry.kind == "lines":
            return _events_of_lines(data, key)
        return [_event_of_text(data, key)]

    def done(self, entry: SpoolEntry) -> None:
        """Forget an entry whose events are stored."""
        self._path(entry).unlink(missing_ok=True)

    def reject(self, entry: SpoolEntry, why: str) -> None:
        """Move an entry to ``bad/``, with a ``.why`` file beside it that a person can read."""
        self.bad.mkdir(mode=0o700, exist_ok=True)
        reason = os.open(
            self.bad / f"{entry.name}.why", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
        )
        with open(reason, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{why}\n")
        self._path(entry).rename(self.bad / entry.name)

    def _path(self, entry: SpoolEntry) -> Path:
        return self._directory / "new" / entry.name

    def _scan(self) -> list[SpoolEntry]:
        found = []
        try:
            with os.scandir(self._directory / "new") as listing:
                for item in listing:
                    match = _NAME.fullmatch(item.name)
                    if match and item.is_file(follow_symlinks=False):
                        found.append(SpoolEntry(item.name, match[1]))
        except FileNotFoundError:
            return []
        return found

    def _load(self, entry: SpoolEntry) -> tuple[bytes, int]:
        """The content, cut at one byte more than the limit, and the size of the whole."""
        # O_NONBLOCK: opening a pipe that took the file's place must not hang.
        fd = os.open(self._path(entry), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidEvent("the entry is not a file")
            return file.read(MAX_ENTRY_BYTES + 1), status.st_size

    def _remove_stale_drafts(self) -> None:
        oldest = self._now() - STALE_SECONDS
        try:
            with os.scandir(self._directory / "tmp") as listing:
                drafts = [item.path for item in listing if _is_stale(item, oldest)]
        except FileNotFoundError:
            return
        for path in drafts:
            Path(path).unlink(missing_ok=True)


def _is_stale(item: os.DirEntry[str], oldest: float) -> bool:
    try:
        return (
            _NAME.fullmatch(item.name) is not None
            and item.is_file(follow_symlinks=False)
            and item.stat(follow_symlinks=False).st_mtime < oldest
        )
    except FileNotFoundError:
        # Its writer has just finished.
        return False


def _event_of_hook(data: bytes, size: int, key: str, max_payload_bytes: int) -> Publish:
    if size <= MAX_ENTRY_BYTES:
        return translate(data, max_payload_bytes, key=key)
    head = data[: 4 * HEAD_CHARACTERS].decode("utf-8", "replace")
    return unreadable(size, head, f"larger than {MAX_ENTRY_BYTES} bytes", max_payload_bytes, key)


def _event_of_text(data: bytes, key: str) -> Publish:
    try:
        message = _text_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidEvent(f"not a publish message: {error}") from None
    return _with_key(publish_from_text(message), key)


def _events_of_lines(data: bytes, key: str) -> list[Publish]:
    return [
        _event_of_line(line, number, f"{key}:{number}")
        for number, line in enumerate(data.split(b"\n"), start=1)
        if line.strip()
    ]


def _event_of_line(line: bytes, number: int, key: str) -> Publish:
    try:
        return _with_key(publish_from_line(line), key)
    except InvalidEvent as error:
        head = line[: 4 * HEAD_CHARACTERS].decode("utf-8", "replace")[:HEAD_CHARACTERS]
        bad = SpoolUnreadable(line=number, head=head, error=error.message)
        return Publish(event_type=bad.TYPE, payload=bad.payload(), key=key, source=bad.FROM)


def _with_key(event: Publish, key: str) -> Publish:
    return event if event.key else msgspec.structs.replace(event, key=key)
