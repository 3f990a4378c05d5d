"""Fetches pages for a window: ahead of the cursor, one question at a time, and stops when nobody looks.

A filter that matches rarely is searched step by step; each step says how far it came, and an older
question's answer is never taken for a newer one's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from event_monitor.dashboard.events.window import PAGE, HistoryWindow, Way
from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError
from event_monitor.messages import HistoryFilter, QueryHistory
from event_monitor.replies.explorer import HistoryPage

STEPS = 100
"""Pages that a search takes by itself before it asks whether to go on."""


@dataclass(slots=True)
class Progress:
    """How a search in one direction stands."""

    running: bool = False
    steps: int = 0
    paused: bool = False


class Loader:
    """``changed`` is called whenever the window or the progress is not what it was."""

    def __init__(self, link: BusLink, window: HistoryWindow, changed: Callable[[], None]) -> None:
        self.error: str | None = None
        self.missed = 0
        self.missed_capped = False
        self.newer = 0
        self.newer_capped = False
        self.asked = 0
        self._link = link
        self._window = window
        self._changed = changed
        self._generation = 0
        self._active = False
        self._progress = {Way.DOWN: Progress(), Way.UP: Progress()}
        self._wanted = {Way.DOWN: 0, Way.UP: 0}
        self._looking = False
        self._wish: tuple[tuple[int, ...], bool] | None = None

    # --- beginning --------------------------------------------------------------------------

    def begin(self, where: HistoryFilter | None = None) -> None:
        """Show the newest events that pass; without a filter by the present one."""
        self._window.begin_newest(where)
        self._restart()

    def begin_oldest(self) -> None:
        """Show the oldest events."""
        self._window.begin_oldest()
        self._restart()

    def begin_at(self, event_id: int) -> None:
        """Show what lies around an event."""
        self._window.begin_at(event_id)
        self._restart()

    def _restart(self) -> None:
        self._generation += 1
        self._progress = {Way.DOWN: Progress(), Way.UP: Progress()}
        self._wanted = {Way.DOWN: PAGE, Way.UP: PAGE}
        self.error = None
        self.newer, self.newer_capped = 0, False
        self.forget_missed()
        self._changed()
        self._go()

    def activate(self, active: bool) -> None:
        """Whether anybody looks. Nothing is asked while nobody does."""
        self._active = active
        if active:
            self._go()

    # --- paging -----------------------------------------------------------------------------

    def want(self, above: int, below: int) -> None:
        """So many rows should be there beyond the ones on the screen, in either direction."""
        self._wanted = {Way.UP: above, Way.DOWN: below}
        self._go()

    def go_on(self) -> None:
        """Search on where a search paused, and try again what failed."""
        self.error = None
        for progress in self._progress.values():
            progress.steps, progress.paused = 0, False
        self._go()

    def pause(self) -> bool:
        """Stop searching until told to go on. False if no search was running."""
        running = self.searching is not None
        for progress in self._progress.values():
            progress.paused = True
        self._changed()
        return running

    @property
    def searching(self) -> Way | None:
        """The direction in which a search is under way."""
        return next((way for way, progress in self._progress.items() if progress.running), None)

    def paused(self, way: Way) -> bool:
        """Whether a search waits there for being told to go on."""
        return self._progress[way].paused and not self._window.done(way)

    def _go(self) -> None:
        for way in Way:
            if self._lacks(way) and not self._progress[way].running:
                self._progress[way].running = True
                self._link.work(self._read(way, self._generation))

    def _lacks(self, way: Way) -> bool:
        progress = self._progress[way]
        if not self._active or self._window.done(way) or progress.paused or self.error is not None:
            return False
        if way is Way.UP and not self._window.rows and not self._window.done(Way.DOWN):
            # What lies at the cursor comes first.
            return False
        return self._wanted[way] > 0

    async def _read(self, way: Way, generation: int) -> None:
        progress = self._progress[way]
        try:
            while generation == self._generation and self._lacks(way):
                page = await self._ask(self._window.question(way), generation)
                if page is None:
                    return
                self._window.take(way, page)
                self._wanted[way] -= len(page.rows)
                progress.steps = 0 if len(page.rows) >= PAGE else progress.steps + 1
                progress.paused = progress.steps >= STEPS
                self._changed()
        except Exception:
            # Asked again at once, the same would happen again, for ever.
            self.error = "the page could not be shown: see logs/event-monitor.log"
            raise
        finally:
            progress.running = False
            if generation == self._generation:
                self._changed()
                self._go()

    async def _ask(self, message: QueryHistory, generation: int) -> HistoryPage | None:
        """The page, or ``None`` if it failed, which is kept in ``error``, or is not wanted any more."""
        self.asked += 1
        try:
            page: HistoryPage = await self._link.request(message)
        except EventMonitorError as error:
            if generation == self._generation:
                self.error = str(error)
                self._changed()
            return None
        return page if generation == self._generation else None

    # --- following --------------------------------------------------------------------------

    def forget_missed(self) -> None:
        """Count anew what a follower passes over."""
        self.missed, self.missed_capped = 0, False

    def look(self, shown: tuple[int, ...], *, follow: bool) -> None:
        """Ask how the events on the screen stand now and what came since; with ``follow`` show that.
        While an answer is under way the last such wish waits for its end."""
        if self._active and self.error is None:
            self._wish = (shown, follow)
            if not self._looking:
                self._looking = True
                self._link.work(self._look())

    async def _look(self) -> None:
        try:
            while self._wish is not None and self._active:
                (shown, follow), self._wish = self._wish, None
                await self._look_once(shown, follow, self._generation)
        finally:
            self._looking = False

    async def _look_once(self, shown: tuple[int, ...], follow: bool, generation: int) -> None:
        window = self._window
        if follow and window.at_newest:
            page = await self._ask(window.news(), generation)
            if page is None:
                return
            missed, capped = window.take_news(page)
            self.missed += missed
            self.missed_capped |= capped
            self.newer, self.newer_capped = 0, False
            self._changed()
        if not shown:
            return
        page = await self._ask(QueryHistory(ids=shown, after_id=window.head), generation)
        if page is None:
            return
        window.refresh(page)
        if not (follow and window.at_newest):
            self.newer, self.newer_capped = page.between, page.capped
        self._changed()
