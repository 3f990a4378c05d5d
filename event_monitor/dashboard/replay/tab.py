"""The Replay tab: a span of history, the plan of what would be delivered again, and the replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from event_monitor.clock import from_iso
from event_monitor.dashboard.action import bindings_of
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.replay.actions import ACTIONS
from event_monitor.dashboard.replay.choosing import Choices
from event_monitor.dashboard.replay.history import HistoryView
from event_monitor.dashboard.replay.lines import (
    dimmed,
    empty_lines,
    listed,
    plan_lines,
    runs_lines,
    waiting_lines,
)
from event_monitor.dashboard.replay.panels import LinesPanel
from event_monitor.dashboard.replay.planner import Planner
from event_monitor.dashboard.replay.playing import Player
from event_monitor.dashboard.replay.question import Question, next_speed, remembered_speed, speed_text
from event_monitor.dashboard.replay.runs import Runs
from event_monitor.dashboard.replay.span import Span
from event_monitor.dashboard.tab import Tab
from event_monitor.messages import Speed
from event_monitor.model import Snapshot
from event_monitor.widgets.hints import hint
from event_monitor.widgets.histogram import HistogramPanel
from event_monitor.widgets.text import Line, clip, count, duration, line, plain

# A plan that comes within this time takes the place of the last one without a word in between.
_SOON = 1.0
# A plan that took no longer is made again while events are recorded in its span.
_QUICK = 0.5


class ReplayTab(Tab):
    """Delivers a part of history again, to where it would go today."""

    NAME = "replay"
    SCOPED_CSS = False
    BINDINGS: ClassVar[list[Any]] = bindings_of(ACTIONS)
    # The layout's class is the screen's: the rules must see it.
    DEFAULT_CSS = """
    ReplayTab #replay-history { height: 36%; min-height: 7; max-height: 16; }
    ReplayTab #replay-below { height: 1fr; }
    ReplayTab #replay-history, ReplayTab #replay-plan, ReplayTab #replay-runs {
        border: round $border;
        border-title-color: $text-muted;
        border-title-style: bold;
        border-subtitle-color: $text-muted;
    }
    ReplayTab #replay-plan { width: 5fr; height: 1fr; }
    ReplayTab #replay-runs { width: 6fr; height: 1fr; }
    .-compact ReplayTab #replay-history { height: 7; }
    .-sliver ReplayTab #replay-history { height: 3; min-height: 3; border: none; }
    .-sliver ReplayTab #replay-below { layout: vertical; }
    .-sliver ReplayTab #replay-plan { width: 1fr; height: 3; border: none; }
    .-sliver ReplayTab #replay-runs { width: 1fr; height: 1fr; border: none; }
    """

    def __init__(self, link: BusLink) -> None:
        super().__init__(link)
        kept = link.memory.get("replay", {})
        self.type = str(kept.get("type", ""))
        self.filter = str(kept.get("filter", ""))
        self.speed: Speed = remembered_speed(kept.get("speed"))
        self.targets: tuple[str, ...] = ()
        self.replays = False
        self._recorded: int | None = None
        self.history = HistoryView(link, self._history_changed)
        self.history.type = self.type
        self.planner = Planner(link, self._plan_changed)
        self.runs = Runs(link, self._runs_changed)
        self.player = Player(self, link)
        self.choices = Choices(self, link)
        self._picture = HistogramPanel(id="replay-history")
        self._plan = LinesPanel(self._plan_lines, id="replay-plan")
        self._runs = LinesPanel(self._runs_lines, id="replay-runs")
        self._table: dict[str, Callable[[], object]] = self._actions()

    def compose(self) -> ComposeResult:
        yield self._picture
        with Horizontal(id="replay-below"):
            yield self._plan
            yield self._runs

    def on_mount(self) -> None:
        """Name the panels, with the keys as they are here."""
        self._plan.border_title = "Plan: nothing is delivered yet"
        self._plan.border_subtitle = self._hint("play", "filter", "targets")
        self._runs.border_title = "Replays"
        self._runs.border_subtitle = self._hint("pause", "step", "stop", "older")
        self._picture.border_subtitle = self._hint(
            "left", "right", "shrink", "stretch", "zoom_in", "zoom_out"
        )

    def _hint(self, *names: str) -> str:
        labels = {action.id: action.label.lower() for action in ACTIONS}
        return hint(self.link.key, *((f"replay_{name}", labels[f"replay_{name}"]) for name in names))

    # --- life -------------------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        self.history.refresh(from_iso(snapshot.at), snapshot.totals.published)
        self.runs.look()
        if self.planner.lost:
            self._ask(again=True)
        if self.planner.waited is not None:
            self._plan.redraw()

    def opened(self) -> None:
        if self.history.window is None:
            self.history.load()
        self._history_changed()
        self._plan.redraw()
        self._runs.redraw()

    def closed(self) -> None:
        self.planner.close()
        self.history.close()

    def choose(self, since: float, until: float, event_type: str = "") -> None:
        """Choose a span (epoch seconds) and a type, and plan it: what another screen wants replayed."""
        self.type, self.filter = event_type, ""
        self.history.choose(Span(since, max(until, since + 1e-6)))
        self.runs.choose(None)
        self.asked_for()

    # --- what has changed -------------------------------------------------------------------

    def _history_changed(self) -> None:
        window = self.history.window
        if self.history.empty:
            self._picture.show(None, empty_lines(self._picture.size.width))
        elif self.history.problem:
            self._picture.show(self.history.picture(), [line((f" {plain(self.history.problem)}", "warn"))])
        else:
            self._picture.show(self.history.picture(), [line((" Counting what is recorded …", "dim"))])
        title = "History"
        if window is not None and not self.history.empty:
            bucket = duration(window.bucket).replace(".0 ", " ")
            facts = (duration(window.span.seconds), f"{bucket} a column", f"peak {count(self.history.peak)}")
            title = " · ".join(filter(None, (title, *facts, self.type)))
        if self._picture.border_title != title:
            self._picture.border_title = title
        self._ask()

    def on_histogram_panel_resized(self, message: HistogramPanel.Resized) -> None:
        """There is room for more columns, or for fewer."""
        self.history.resize(message.columns)

    def on_histogram_panel_dragged(self, message: HistogramPanel.Dragged) -> None:
        """A span was chosen with the mouse."""
        self.history.take_columns(message.first, message.last)

    def on_histogram_panel_zoomed(self, message: HistogramPanel.Zoomed) -> None:
        """The wheel was turned over the history."""
        self.history.zoom(message.steps, message.column)

    def on_lines_panel_clicked(self, message: LinesPanel.Clicked) -> None:
        """A replay was clicked."""
        shown = listed(self.runs.reports, self.runs.chosen, self._runs.size.height)
        if message.panel is self._runs and message.row < len(shown):
            self.runs.choose(shown[message.row].id)

    def _plan_changed(self) -> None:
        self._plan.redraw()

    def _runs_changed(self) -> None:
        self._runs.redraw()

    def question(self) -> Question | None:
        """What is chosen; ``None`` while no span is."""
        span = self.history.span
        if span is None or self.history.empty:
            return None
        return Question(span, self.type, self.filter, self.targets, self.speed, self.replays)

    def _ask(self, *, again: bool = False) -> None:
        question, recorded = self.question(), self.history.recorded_in_span
        if question is None or not self.is_attached or not self.display:
            return
        # What was recorded in the span meanwhile belongs to the plan, as long as it is cheap to have.
        quick = self.planner.waited is None and self.planner.took < _QUICK
        if question != self.planner.question:
            self._recorded = None
        grown = None not in (self._recorded, recorded) and recorded != self._recorded
        self._recorded = self._recorded if recorded is None else recorded
        self.planner.ask(question, again=again or (quick and grown))

    def asked_for(self) -> None:
        """Type, filter, targets or speed are others now: plan anew, and remember what is harmless."""
        self.link.memory.set("replay", {"type": self.type, "filter": self.filter, "speed": self.speed})
        self.history.take(self.type)
        self._history_changed()
        self._plan.redraw()

    # --- what the panels say ----------------------------------------------------------------

    def _plan_lines(self, width: int, height: int) -> Sequence[Line]:
        question, planner = self.question(), self.planner
        if question is None:
            return [line((" Choose a span of history first.", "dim"))] if height > 3 else []
        if planner.problem:
            lines = [
                line(" ", ("▲ ", "warn"), plain(planner.problem)),
            ]
            if again := self.link.key("replay_plan"):
                lines.append(line(" ", (again, "key"), " plans again"))
            return [clip(one, width) for one in lines]
        waited = planner.waited
        if planner.plan is not None and planner.question is not None:
            return plan_lines(planner.plan, planner.question, width, height)
        if planner.last is not None and (waited is None or waited < _SOON):
            return dimmed(plan_lines(*planner.last, width, height))
        return waiting_lines(waited or 0.0, self.history.recorded_in_span, width, height)

    def _runs_lines(self, width: int, height: int) -> Sequence[Line]:
        return runs_lines(
            self.runs.reports, self.runs.chosen, self.runs.results, width, height, self.link.key
        )

    # --- actions ----------------------------------------------------------------------------

    def run(self, action_id: str) -> None:
        self._table[action_id.removeprefix("replay_")]()

    def _actions(self) -> dict[str, Callable[[], object]]:
        history, runs, player, choices = self.history, self.runs, self.player, self.choices
        return {
            "play": player.play,
            "pause": player.pause,
            "step": player.step,
            "stop": player.stop,
            "slower": lambda: self._change_speed(-1),
            "faster": lambda: self._change_speed(1),
            "times": choices.times,
            "from": choices.times,
            "filter": choices.filter,
            "targets": choices.targets,
            "left": lambda: history.move(-1),
            "right": lambda: history.move(1),
            "shrink": lambda: history.stretch(-1),
            "stretch": lambda: history.stretch(1),
            "grow": lambda: history.stretch(-1, begin=True),
            "cut": lambda: history.stretch(1, begin=True),
            "first": lambda: history.to_end(False),
            "last": lambda: history.to_end(True),
            "pan_left": lambda: history.pan(-1),
            "pan_right": lambda: history.pan(1),
            "zoom_in": lambda: history.zoom(1),
            "zoom_out": lambda: history.zoom(-1),
            "zoom_span": history.zoom_to_span,
            "all": history.show_all,
            "whole": history.take_window,
            "again": self._toggle_replays,
            "plan": lambda: self._ask(again=True),
            "older": lambda: runs.move(1),
            "newer": lambda: runs.move(-1),
            "results": player.results,
            "failures": player.failures,
            "cancel": self._cancel,
        }

    def _change_speed(self, steps: int) -> None:
        if not self.player.change_speed(steps):
            self.speed = next_speed(self.speed, steps)
            self.asked_for()

    def _toggle_replays(self) -> None:
        self.replays = not self.replays
        self.asked_for()

    def _cancel(self) -> None:
        if not self.planner.cancel():
            self.runs.choose(None)

    def describe(self, action_id: str) -> str:
        chosen = self.runs.chosen
        named = f"replay {chosen.id} is {chosen.state}" if chosen is not None else "no replay is chosen"
        plan = self.planner.plan
        live = self.runs.live
        return {
            "play": f"{count(plan.events)} events planned" if plan is not None else "no plan yet",
            "pause": named,
            "step": named,
            "stop": named,
            "slower": f"now {speed_text(live.speed if live is not None else self.speed)}",
            "faster": f"now {speed_text(live.speed if live is not None else self.speed)}",
            "filter": " ".join(filter(None, (self.type, self.filter))) or "all events",
            "targets": ", ".join(self.targets) or "as the rules say, without side effects",
            "again": "taken" if self.replays else "left out",
            "results": named,
            "failures": f"{count(chosen.failed)} failed" if chosen is not None else named,
        }.get(action_id.removeprefix("replay_"), "")
