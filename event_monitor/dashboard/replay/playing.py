"""Begins replays and controls those that run: what the keys of the Replay tab send to the bus."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.replay.lines import counted, play_lines, results_lines, stop_lines
from event_monitor.dashboard.replay.planner import PATIENCE
from event_monitor.dashboard.replay.question import Question, next_speed, speed_text
from event_monitor.errors import EventMonitorError
from event_monitor.messages import ControlReplay, Message, QueryReplayed, QueryReplayTargets
from event_monitor.model import ReplayState, Severity
from event_monitor.replies.replays import ReplayPlan, ReplayReport, ReplayTargetInfo

if TYPE_CHECKING:
    from event_monitor.dashboard.replay.tab import ReplayTab

# What a command to a live replay may take: it waits until nothing is half done.
_PATIENCE = 30.0
_RESULTS = 100


class Player:
    """Asks before it begins or ends anything. Commands go to the bus one after the other, in the order of
    the keys, and no picture waits behind them."""

    def __init__(self, tab: ReplayTab, link: BusLink) -> None:
        self._tab = tab
        self._link = link
        self._turn = asyncio.Lock()

    # --- beginning --------------------------------------------------------------------------

    def play(self, *, paused: bool = False) -> None:
        """Ask whether the plan is to be carried out; ``paused`` carries out its first event only."""
        question, planner = self._tab.question(), self._tab.planner
        plan = planner.plan
        if question is None:
            self._link.say("There is no history to replay yet")
        elif plan is None or planner.question != question:
            self._link.say(planner.problem or "The plan is not there yet: wait for it, or choose less")
        elif not plan.events:
            self._link.say("Nothing in this span can be replayed: choose another, or other types")
        else:
            self._link.work(self._ask(question, plan, paused))

    async def _ask(self, question: Question, plan: ReplayPlan, paused: bool) -> None:
        from event_monitor.dashboard.replay.dialogs import SureDialog

        known = await self._link.ask(QueryReplayTargets())
        if known is None:
            return
        effects: list[ReplayTargetInfo] = [
            info for info in known.targets if info.effect and plan.by_target.get(info.name)
        ]

        def answered(yes: bool | None) -> None:
            if yes:
                self._link.work(self._begin(question, paused))

        text = f"Replay {counted(plan.events, 'event')} at {speed_text(question.speed)}"
        if paused:
            text += ", one at a time"
        self._tab.app.push_screen(
            SureDialog(
                text + "?",
                lambda width: play_lines(plan, question, effects, width),
                "play the first" if paused else "play",
            ),
            answered,
        )

    async def _begin(self, question: Question, paused: bool) -> None:
        report = await self._tell(question.start(paused=paused), PATIENCE)
        if report is None:
            return
        if not report.id:
            self._link.say(report.note or "There was nothing to replay")
            return
        self._link.say(f"Replay {report.id} has begun: {counted(report.events, 'event')}")
        self._tab.runs.choose(report.id)
        if paused:
            await self._tell(ControlReplay(replay_id=report.id, action="step"))

    # --- controlling ------------------------------------------------------------------------

    def pause(self) -> None:
        """Pause the chosen replay, or let it go on."""
        report = self._live("pause")
        if report is not None:
            running = report.state is ReplayState.RUNNING
            self._send(ControlReplay(replay_id=report.id, action="pause" if running else "resume"))
            self._tab.runs.expect(
                replace(report, state=ReplayState.PAUSED if running else ReplayState.RUNNING)
            )

    def step(self) -> None:
        """Replay the next event of the chosen replay; without one, begin with the plan's first."""
        report = self._tab.runs.live
        if report is None:
            self.play(paused=True)
        else:
            self._send(ControlReplay(replay_id=report.id, action="step"))

    def stop(self) -> None:
        """Ask whether the chosen replay is to end."""
        report = self._live("stop")
        if report is None:
            return
        from event_monitor.dashboard.replay.dialogs import SureDialog

        number = report.id

        def answered(yes: bool | None) -> None:
            if yes:
                self._send(ControlReplay(replay_id=number, action="stop"))

        self._tab.app.push_screen(
            SureDialog(f"Stop replay {number}?", lambda width: stop_lines(report, width), "stop"), answered
        )

    def change_speed(self, steps: int) -> bool:
        """Change the speed of the chosen replay. False if none is live: then the plan's is meant."""
        report = self._tab.runs.live
        if report is None:
            return False
        if self._link.read_only:
            self._link.say("This view is read-only", Severity.WARNING)
            return True
        speed = next_speed(report.speed, steps)
        if speed != report.speed:
            self._send(ControlReplay(replay_id=report.id, action="speed", speed=speed))
            self._tab.runs.expect(replace(report, speed=speed))
        return True

    def _live(self, what: str) -> ReplayReport | None:
        report = self._tab.runs.live
        if report is None:
            chosen = self._tab.runs.chosen
            told = f"Replay {chosen.id} is {chosen.state}" if chosen else "No replay is chosen"
            self._link.say(f"{told}: there is nothing to {what}")
        return report

    def _send(self, command: Message) -> None:
        async def send() -> None:
            await self._tell(command)

        self._link.work(send())

    async def _tell(self, command: Message, patience: float = _PATIENCE) -> ReplayReport | None:
        """The report after a command, or ``None`` after having said what was refused."""
        async with self._turn:
            client = self._link.apart(patience)
            try:
                report: ReplayReport = await client.request(command)
            except EventMonitorError as error:
                self._link.say(str(error), Severity.WARNING)
                self._tab.runs.expect_nothing()
                return None
            finally:
                await client.close()
                self._tab.runs.look()
        return report

    # --- looking ----------------------------------------------------------------------------

    def results(self) -> None:
        """Show what the chosen replay published last."""
        chosen = self._tab.runs.chosen
        if chosen is None:
            self._link.say("Choose a replay first: ↓ and ↑ do")
            return

        async def show() -> None:
            from event_monitor.dashboard.dialogs import DocumentDialog

            found = await self._link.ask(QueryReplayed(replay_id=chosen.id, limit=_RESULTS))
            if found is not None:
                title = f"Replay {chosen.id}: what failed, then the newest"
                events = sorted(found.events, key=lambda event: not event.error)
                self._tab.app.push_screen(DocumentDialog(title, lambda width: results_lines(events, width)))

        self._link.work(show())

    def failures(self) -> None:
        """Go to where what has failed can be tried again."""
        chosen = self._tab.runs.chosen
        if chosen is None or not chosen.failed:
            told = "No replay is chosen" if chosen is None else f"Replay {chosen.id} has no failures"
            self._link.say(told)
        else:
            self._link.act("tab_dead_letters")
