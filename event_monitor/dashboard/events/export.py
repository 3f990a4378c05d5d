"""Writes events of history to a file, one JSON object a line, the oldest first.

The lines are what ``event-cli events`` prints and ``event-cli publish - --batch`` takes. The file
appears under its name when it is whole; nothing that was there before is lost without a yes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from event_monitor.dashboard.events.marks import Marks
from event_monitor.errors import Conflict, InvalidRequest
from event_monitor.messages import HistoryFilter, QueryHistory
from event_monitor.model import Event
from event_monitor.replies.explorer import HistoryPage

PAGE = 500

Ask = Callable[[QueryHistory], Awaitable[HistoryPage]]
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Part:
    """A span of ids of which all that pass the filter are meant, or single events."""

    low: int
    high: int
    single: tuple[int, ...] = ()


def parts_of(marks: Marks, cursor: int | None) -> list[Part]:
    """What is marked, in the order of the ids, each event once."""
    spans: list[tuple[int, int]] = []
    for low, high in sorted(marks.spans(cursor)):
        if spans and low <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], high))
        else:
            spans.append((low, high))
    parts = [Part(low, high) for low, high in spans]
    alone = sorted(one for one in marks.single if not any(low <= one <= high for low, high in spans))
    parts += [Part(one, one, (one,)) for one in alone]
    return sorted(parts, key=lambda part: part.low)


def everything() -> list[Part]:
    """All of history that passes."""
    return [Part(0, 2**63 - 2)]


async def read_parts(
    ask: Ask, where: HistoryFilter, parts: Sequence[Part], without: frozenset[int] = frozenset()
) -> AsyncIterator[list[Event]]:
    """The events of the parts, page by page."""
    singles: list[int] = []
    for part in parts:
        if part.single:
            singles += part.single
            if len(singles) < PAGE:
                continue
        async for events in _read_singles(ask, singles):
            yield events
        singles = []
        if part.single:
            continue
        after: int | None = part.low - 1
        while after is not None:
            page = await ask(
                QueryHistory(
                    where=where,
                    after_id=after,
                    before_id=part.high + 1,
                    newest_first=False,
                    limit=PAGE,
                    full=True,
                )
            )
            yield [event for event in page.events if event.id not in without]
            after = page.cursor
    async for events in _read_singles(ask, singles):
        yield events


async def _read_singles(ask: Ask, ids: Sequence[int]) -> AsyncIterator[list[Event]]:
    wanted = tuple(ids)
    found: list[Event] = []
    while wanted:
        page = await ask(QueryHistory(ids=wanted, full=True))
        found += page.events
        cursor = page.cursor
        wanted = () if cursor is None else tuple(one for one in wanted if one < cursor)
    if found:
        yield found[::-1]


def check_path(text: str) -> Path:
    """The file that a person named, ``~`` and all. Raises ``InvalidRequest``."""
    if not text:
        raise InvalidRequest("no file is named", "write a name, or esc to leave it")
    path = Path(os.path.expanduser(text))
    if path.is_dir():
        raise InvalidRequest(f"{path} is a directory", "write a file's name after it")
    if not path.absolute().parent.is_dir():
        raise InvalidRequest(f"{path.parent} is no directory", "make it first, or choose another")
    return path


def overwrites(text: str) -> str:
    """What a person should know before something that is there is replaced; empty if nothing is."""
    path = Path(os.path.expanduser(text))
    return f"{path} is there already: enter once more replaces it" if os.path.lexists(path) else ""


class Export:
    """One export under way. ``stop`` ends it; ``count`` events are written so far."""

    def __init__(self, path: Path, *, replace: bool, told: Callable[[], None]) -> None:
        self.path = path
        self.count = 0
        self._replace = replace
        self._told = told
        self._stopped = False

    def stop(self) -> None:
        """Write nothing more and leave no file."""
        self._stopped = True

    async def run(self, pages: AsyncIterator[list[Event]]) -> bool:
        """Write all pages. False if it was stopped. Raises ``OSError``, ``EventMonitorError``, and
        ``Conflict`` if another program has made the file meanwhile. Then there is no new file."""
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        file = await asyncio.to_thread(_create, aside)
        try:
            async for events in pages:
                if self._stopped:
                    return False
                await asyncio.to_thread(_write, file, events)
                self.count += len(events)
                self._told()
            await asyncio.to_thread(self._finish, file, aside)
            return True
        finally:
            await asyncio.to_thread(_discard, file, aside)

    def _finish(self, file: IO[bytes], aside: Path) -> None:
        file.flush()
        os.fsync(file.fileno())
        if self._replace:
            os.replace(aside, self.path)
            return
        try:
            os.link(aside, self.path)
        except FileExistsError:
            raise Conflict(f"{self.path} was made by another program", "choose another name") from None


def _create(path: Path) -> IO[bytes]:
    # Payloads may hold what others should not read.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _write(file: IO[bytes], events: Sequence[Event]) -> None:
    file.write(b"".join(_encode(event) + b"\n" for event in events))


def _discard(file: IO[bytes], aside: Path) -> None:
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
