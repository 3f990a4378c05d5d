"""The ``log`` target: every event as one JSON line in ``logs/events.jsonl``, rotated by size."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from event_monitor.bus.inflight import Pending
from event_monitor.config import LogTargetSettings
from event_monitor.redaction import redact

BATCH = 256
_encode = msgspec.json.Encoder().encode


class LogTarget:
    """Appends events to ``directory/events.jsonl``; ``.1`` is the youngest of the old files.

    Values that look like secrets are masked. ``sync`` makes each batch reach the disk before it
    counts as delivered.
    """

    def __init__(
        self, directory: Path, settings: LogTargetSettings, *, mask: Sequence[str] = (), sync: bool = True
    ) -> None:
        self.path = directory / "events.jsonl"
        self._settings = settings
        self._mask = tuple(mask)
        self._sync = sync
        self._whole_lines = False

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Write a batch as one append."""
        lines = b"".join(
            _encode(replace(event, payload=redact(event.payload, self._mask))) + b"\n"
            for event in (delivery.record.event for delivery in batch)
        )
        await asyncio.shield(asyncio.to_thread(self._append, lines))

    def _append(self, lines: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rotate(len(lines))
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not self._whole_lines:
                lines = self._close_torn_line(file) + lines
            self._whole_lines = False
            view = memoryview(lines)
            while view:
                view = view[os.write(file, view) :]
            self._whole_lines = True
            if self._sync:
                os.fsync(file)
        finally:
            os.close(file)

    def _close_torn_line(self, file: int) -> bytes:
        """A newline, if a write ended within a line: its process was killed, or the disk was full."""
        size = os.fstat(file).st_size
        return b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""

    def _rotate(self, coming: int) -> None:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if not size or size + coming <= self._settings.max_bytes:
            return
        if not self._settings.keep:
            self.path.unlink()
            return
        for number in range(self._settings.keep - 1, 0, -1):
            older = self._old(number)
            if older.exists():
                os.replace(older, self._old(number + 1))
        os.replace(self.path, self._old(1))

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
