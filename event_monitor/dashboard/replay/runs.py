"""The replays of this home: looked at once a picture, one of them chosen by its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError
from event_monitor.messages import QueryReplayed, QueryReplays
from event_monitor.model import ReplayState
from event_monitor.replies.replays import ReplayedEvent, ReplayReport

LIVE = frozenset({ReplayState.RUNNING, ReplayState.PAUSED})
RESULTS = 30


class Runs:
    """``reports`` are all that the bus keeps, the newest first; ``results`` the last events of the chosen
    one. ``changed`` is called when there is something new to show."""

    def __init__(self, link: BusLink, changed: Callable[[], None]) -> None:
        self.reports: Sequence[ReplayReport] = ()
        self.results: Sequence[ReplayedEvent] = ()
        self._told: Sequence[ReplayReport] = ()
        self._link = link
        self._changed = changed
        self._chosen: int | None = None
        self._followed = 0
        self._shown: ReplayReport | None = None
        self._looking = False
        self._again = False

    # --- choosing ---------------------------------------------------------------------------

    @property
    def chosen(self) -> ReplayReport | None:
        """The replay that the keys act on."""
        return next((report for report in self.reports if report.id == self._chosen), None)

    @property
    def live(self) -> ReplayReport | None:
        """The chosen replay, if it has not ended."""
        report = self.chosen
        return report if report is not None and report.state in LIVE else None

    def choose(self, number: int | None) -> None:
        """Have the keys act on a replay, or on none."""
        if number != self._chosen:
            self._chosen, self.results, self._shown = number, (), None
            self._changed()
            self.look()

    def move(self, rows: int) -> None:
        """Choose the next older one, or the next newer if negative."""
        if not self.reports:
            return
        places = [place for place, report in enumerate(self.reports) if report.id == self._chosen]
        place = min(max(places[0] + rows, 0), len(self.reports) - 1) if places else 0
        self.choose(self.reports[place].id)

    def expect(self, report: ReplayReport) -> None:
        """Show what a command will bring about; the next look tells what it did."""
        self.reports = [report if one.id == report.id else one for one in self.reports]
        self._changed()

    def expect_nothing(self) -> None:
        """A command was refused: show what the last look told."""
        self.reports = self._told
        self._changed()

    # --- looking ----------------------------------------------------------------------------

    def look(self) -> None:
        """Ask how they stand; if that is being asked, once more after it."""
        self._again = self._looking
        if not self._looking:
            self._looking = True
            self._link.work(self._look())

    async def _look(self) -> None:
        try:
            while True:
                await self._ask()
                if not self._again:
                    return
                self._again = False
        except EventMonitorError:
            # The next picture asks again, and the connection's own line says what is wrong.
            return
        finally:
            self._looking = False

    async def _ask(self) -> None:
        reports = (await self._link.request(QueryReplays())).replays
        changed = reports != self.reports
        self.reports = self._told = reports
        newest = next((report.id for report in reports if report.state in LIVE), 0)
        if newest > self._followed:
            self._followed = newest
            self._chosen, self.results, self._shown = newest, (), None
        report = self.chosen
        if report is not None and (report != self._shown or report.under_way):
            found = (await self._link.request(QueryReplayed(replay_id=report.id, limit=RESULTS))).events
            if report.id != self._chosen:
                self._again = True
                return
            changed = changed or found != self.results
            self.results, self._shown = found, report
        if changed:
            self._changed()
