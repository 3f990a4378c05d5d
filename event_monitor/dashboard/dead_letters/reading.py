"""Reads groups, letters and retries for the Dead letters tab, no oftener than something has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from event_monitor.dashboard.dead_letters.tree import DeadTree
from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError, InvalidRequest
from event_monitor.messages import QueryDeadGroups, QueryDeadLetters, QueryRetryRuns
from event_monitor.model import Snapshot
from event_monitor.replies.dead_letters import RetryRun, RetryState
from event_monitor.topics import TopicPattern

PAGE = 50
# Letters of one group that are read anew when it has changed.
AGAIN = 500
GROUPS = 500
# Without a sign of change it is looked all the same, so often, in seconds.
SELDOM = 10.0
# A look that takes long is not repeated at once: at most this part of the time is spent looking.
SHARE = 0.1


class Reader:
    """Keeps ``tree`` and ``runs`` up to date; ``changed`` is called when there is something new to show."""

    def __init__(self, link: BusLink, tree: DeadTree, changed: Callable[[], None]) -> None:
        self.runs: list[RetryRun] = []
        self.error = ""
        self._link = link
        self._tree = tree
        self._changed = changed
        self._filter: tuple[str | None, tuple[str, ...]] = (None, ())
        self._looking = False
        self._again = False
        self._seen: tuple[object, ...] = ()
        self._not_before = 0.0
        self._at_the_latest = 0.0

    @property
    def live(self) -> list[RetryRun]:
        """The retries that are under way, the newest first."""
        return [run for run in self.runs if run.state is RetryState.RUNNING]

    @property
    def shown_runs(self) -> list[RetryRun]:
        """What the tab shows of retries: those that are under way, or the last one while its letters are."""
        return self.live[:3] or [run for run in self.runs[:1] if run.under_way]

    def filter(self, text: str) -> None:
        """Look for these words from now on; one with ``*`` or ``#`` is a topic pattern for the type."""
        pattern, words = None, []
        for word in text.split():
            if pattern is None and ("*" in word or "#" in word) and _is_pattern(word):
                pattern = word
            else:
                words.append(word)
        self._filter = (pattern, tuple(words))
        self.look()

    def notice(self, snapshot: Snapshot) -> None:
        """A picture came: look, if it tells of a change, if a retry is under way, or now and then."""
        queue, totals = snapshot.queue, snapshot.totals
        seen = (queue.dead, queue.retrying, queue.parked, totals.dead, totals.delivered)
        now = asyncio.get_running_loop().time()
        due = seen != self._seen or bool(self.shown_runs) or now >= self._at_the_latest
        if due and now >= self._not_before and not self._looking:
            self._seen = seen
            self.look()

    def look(self) -> None:
        """Read all again, as soon as the look before has ended."""
        if self._looking:
            self._again = True
            return
        self._looking = True
        self._link.work(self._look())

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._again = False
                begun = loop.time()
                asked = pattern, words = self._filter
                try:
                    found = await self._link.request(
                        QueryDeadGroups(event_type=pattern, words=words, limit=GROUPS)
                    )
                    self.runs = (await self._link.request(QueryRetryRuns())).runs
                    self.error = ""
                except EventMonitorError as error:
                    self.error = str(error)
                    self._changed()
                    return
                now = loop.time()
                self._not_before = now + (now - begun) / SHARE
                self._at_the_latest = now + SELDOM
                # What was asked for another filter is not shown: it is read again at once.
                if asked == self._filter:
                    self._tree.take(found)
                    self._changed()
                    self._read_stale()
                if not self._again:
                    return
        finally:
            self._looking = False

    def _read_stale(self) -> None:
        """Read the letters of unfolded groups again that have others now."""
        for group in self._tree.found.groups if self._tree.found is not None else ():
            members = self._tree.members.get(group.id)
            if members is not None and members.read_for != (group.letters, group.last_at):
                self.read(group.id)

    def read(self, number: int) -> None:
        """Read a group's letters from the newest on: as many as are shown, or a page."""
        self._link.work(self._read(number, begin=True))

    def read_more(self, number: int) -> None:
        """Read the next page of a group's letters."""
        self._link.work(self._read(number, begin=False))

    async def _read(self, number: int, *, begin: bool) -> None:
        members = self._tree.members.get(number)
        if members is None or (members.waiting and not begin):
            return
        members.asked += 1
        asked, members.waiting = members.asked, True
        if begin:
            found = self._tree.found.groups if self._tree.found is not None else ()
            group = next((group for group in found if group.id == number), None)
            members.read_for = (group.letters, group.last_at) if group is not None else None
        known = members.letters
        last = known[-1] if known and not begin else None
        limit = min(AGAIN, max(PAGE, len(known))) if begin else PAGE
        try:
            page = await self._link.ask(
                QueryDeadLetters(
                    group=number,
                    after=(last.id, last.target) if last is not None else None,
                    newest_first=True,
                    limit=limit,
                )
            )
        finally:
            members.waiting = False
        if page is None:
            members.read_for = None
            return
        if self._tree.members.get(number) is not members or asked != members.asked:
            return
        self._tree.take_letters(number, page.dead_letters, page.more, begin=begin)
        self._changed()


def _is_pattern(word: str) -> bool:
    try:
        TopicPattern(word)
    except InvalidRequest:
        return False
    return True
