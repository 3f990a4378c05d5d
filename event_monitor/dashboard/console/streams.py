"""Commands that go on until they are stopped: they look again with each picture that the dashboard takes,
so they rest while the console is not on the screen and lose nothing of what is recorded meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from event_monitor.dashboard.console.log import MAX_STREAM, Log, Result, Stream, Text
from event_monitor.errors import NoBus
from event_monitor.grammar.render_replay import progress_line
from event_monitor.grammar.steps import Show, newest_events
from event_monitor.messages import ControlReplay, GetStats, Message, QueryEvents, QueryReplays, StartReplay
from event_monitor.replies.replays import ReplayReport

Ask = Callable[[Message], Awaitable[Any]]
_PAGE = 200
# What comes faster than this between two pictures is skipped, with a word about it.
_MOST_PAGES = 5
_PROGRESS_WIDTH = 76


class Watching:
    """What streams need: the bus, the output, and the next picture to wait for."""

    def __init__(self, ask: Ask, log: Log, changed: Callable[[], None], mask: tuple[str, ...]) -> None:
        self.ask = ask
        self.log = log
        self.changed = changed
        self.mask = mask
        self.fixed: bool | None = None
        """Whether the command asked for JSON, or for a table; ``None`` if for neither."""
        self._picture = asyncio.Event()

    def tick(self) -> None:
        """A picture was taken."""
        self._picture.set()

    async def next_picture(self) -> None:
        """Wait for one that is taken from now on."""
        self._picture.clear()
        await self._picture.wait()

    # --- the streams ------------------------------------------------------------------------

    async def events(self, query: QueryEvents, limit: int, count: int | None = None) -> None:
        """Recorded events, the newest ``limit``, and then new ones; ``count`` of them if that is given."""
        stream = Stream(self.mask, self.fixed)
        self.log.add(stream)
        last = await self._newest_id()
        if limit:
            stream.add(await self._recorded(query, min(limit, MAX_STREAM), last))
        self.log.changed(stream)
        self.changed()
        while count is None or stream.seen < count:
            await self.next_picture()
            try:
                last = await self._more(stream, query, last, count)
            except NoBus as error:
                # Pictures come again when the bus does, and nothing before ``last`` is needed twice.
                stream.skip(f"… {error.message}: this goes on when the bus is back")
            self.log.changed(stream)
            self.changed()

    async def _newest_id(self) -> int:
        page = await self.ask(QueryEvents(limit=1))
        return page.events[0].id if page.events else 0

    async def _recorded(self, query: QueryEvents, limit: int, last: int) -> list[Any]:
        steps = newest_events(msgspec.structs.replace(query, before_id=last + 1), limit)
        try:
            step = next(steps)
            while True:
                step = steps.send(await self.ask(step.message))
        except StopIteration as end:
            found: list[Any] = end.value
            return found

    async def _more(self, stream: Stream, query: QueryEvents, last: int, count: int | None) -> int:
        """Take what was recorded after ``last``; answers up to where the stream has come."""
        newest = await self._newest_id()
        for _ in range(_MOST_PAGES):
            if newest <= last:
                return last
            page = await self.ask(
                msgspec.structs.replace(query, newest_first=False, after_id=last, limit=_PAGE)
            )
            events = [event for event in page.events if event.id <= newest]
            stream.add(events if count is None else events[: count - stream.seen])
            if page.cursor is None or (count is not None and stream.seen >= count):
                return newest
            last = page.cursor
        stream.skip("… some events were skipped: they came faster than they are shown")
        return newest

    async def stats(self) -> None:
        """Figures, anew with each picture."""
        shown: Result | None = None
        while True:
            new = Result(Show(await self.ask(GetStats())), self.mask, self.fixed)
            if shown is None:
                self.log.add(new)
            else:
                self.log.change(shown, new)
            shown = new
            self.changed()
            await self.next_picture()

    async def replay(self, message: StartReplay, *, detach: bool) -> None:
        """Begin a replay and watch it until it has ended; stopped here, it is paused."""
        current: ReplayReport = await self.ask(message)
        if not current.id:
            self.log.add(Text("nothing was recorded in this span that could be replayed", "warn"))
        elif not detach:
            try:
                current = await self._watch(current)
            except asyncio.CancelledError:
                await self._pause(current.id)
                raise
        self.log.add(Result(Show(current), self.mask, self.fixed))
        if current.state == "paused" and current.note:
            self.log.add(Text(f"replay {current.id} is paused: {current.note}", "warn"))

    async def _watch(self, current: ReplayReport) -> ReplayReport:
        shown = Text(progress_line(current, _PROGRESS_WIDTH), "busy")
        self.log.add(shown)
        while current.state == "running" or (current.state == "paused" and not current.note):
            self.changed()
            await self.next_picture()
            (current,) = (await self.ask(QueryReplays(replay_id=current.id))).replays
            new = Text(progress_line(current, _PROGRESS_WIDTH), "busy")
            self.log.change(shown, new)
            shown = new
        return current

    async def _pause(self, number: int) -> None:
        paused: ReplayReport = await self.ask(ControlReplay(replay_id=number, action="pause"))
        self.log.add(
            Text(
                f"replay {number} is paused after {paused.replayed:,} of {paused.events:,} events: "
                f"replay resume {number} goes on, replay stop {number} ends it",
                "warn",
            )
        )
