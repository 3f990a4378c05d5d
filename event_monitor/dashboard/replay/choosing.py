"""What is typed and marked before a replay: times, types, targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.replay.question import type_mistake
from event_monitor.dashboard.replay.span import Span
from event_monitor.dashboard.replay.times import FORMS, read_time, written
from event_monitor.errors import EventMonitorError, InvalidRequest
from event_monitor.messages import QueryReplayTargets
from event_monitor.replies.replays import ReplayTargetInfo

if TYPE_CHECKING:
    from event_monitor.dashboard.replay.tab import ReplayTab


class Choices:
    """Opens the dialogs and gives the tab what was chosen in them."""

    def __init__(self, tab: ReplayTab, link: BusLink) -> None:
        self._tab = tab
        self._link = link

    # --- times ------------------------------------------------------------------------------

    def times(self) -> None:
        """Type from when to when."""
        from event_monitor.dashboard.replay.dialogs import Field, FieldsDialog

        span = self._tab.history.span
        begin, end = (written(span.since), written(span.until)) if span is not None else ("-15m", "now")
        fields = (Field("From", begin, "-15m"), Field("To", end, "now"))

        def taken(values: tuple[str, ...] | None) -> None:
            if values is not None:
                self._tab.history.choose(self._span(values))

        self._tab.app.push_screen(
            FieldsDialog("Replay from when to when?", fields, self._mistake_of_times, FORMS), taken
        )

    def _span(self, values: Sequence[str]) -> Span:
        """What was typed. Raises ``InvalidRequest``."""
        now = self._link.now().timestamp()
        since, until = read_time(values[0], now), read_time(values[1] or "now", now)
        if since >= until:
            raise InvalidRequest("the end is not after the beginning")
        return Span(since, until)

    def _mistake_of_times(self, values: tuple[str, ...]) -> str:
        try:
            self._span(values)
        except InvalidRequest as error:
            return str(error)
        return ""

    # --- types ------------------------------------------------------------------------------

    def filter(self) -> None:
        """Type a topic pattern and a regular expression."""
        from event_monitor.dashboard.replay.dialogs import Field, FieldsDialog

        fields = (
            Field("Types: * is one word, # any number", self._tab.type, "all types, or a pattern: command.#"),
            Field("Regex over type and payload", self._tab.filter, "all, or for example exit_code.:[1-9]"),
        )

        def taken(values: tuple[str, ...] | None) -> None:
            if values is not None:
                self._tab.type, self._tab.filter = values
                self._tab.asked_for()

        self._tab.app.push_screen(
            FieldsDialog("Which events?", fields, _mistake_of_filter, "empty takes all"), taken
        )

    # --- targets ----------------------------------------------------------------------------

    def targets(self) -> None:
        """Mark targets; those with side effects are asked about before they count."""

        async def show() -> None:
            from event_monitor.dashboard.replay.dialogs import TargetsDialog

            known = await self._link.ask(QueryReplayTargets())
            if known is None:
                return

            def taken(names: tuple[str, ...] | None) -> None:
                if names is not None:
                    self._warn(known.targets, names)

            self._tab.app.push_screen(TargetsDialog(known.targets, self._tab.targets), taken)

        self._link.work(show())

    def _warn(self, known: Sequence[ReplayTargetInfo], names: tuple[str, ...]) -> None:
        effects = [info for info in known if info.name in names and info.effect]
        if not any(info.name not in self._tab.targets for info in effects):
            self._take(names)
            return
        from event_monitor.dashboard.replay.dialogs import SureDialog
        from event_monitor.dashboard.replay.lines import warning_lines

        events = self._tab.history.recorded_in_span

        def answered(yes: bool | None) -> None:
            if yes:
                self._take(names)

        self._tab.app.push_screen(
            SureDialog(
                "Name targets with side effects?",
                lambda width: warning_lines(effects, events, width),
                "name them",
            ),
            answered,
        )

    def _take(self, names: tuple[str, ...]) -> None:
        self._tab.targets = names
        self._tab.asked_for()


def _mistake_of_filter(values: tuple[str, ...]) -> str:
    event_type, text = values
    mistake = type_mistake(event_type)
    if mistake or not text:
        return mistake
    from event_monitor.bus.rules import compile_regex

    try:
        compile_regex(text)
    except EventMonitorError as error:
        return str(error)
    return ""
