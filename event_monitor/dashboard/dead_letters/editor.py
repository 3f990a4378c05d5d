"""Corrects the payload of a dead letter. Loaded when it is first opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from event_monitor.dashboard.dead_letters.questions import Question
from event_monitor.dashboard.dialogs import take_layout
from event_monitor.dashboard.json_area import JsonArea
from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.payload_text import Mistake, PayloadText
from event_monitor.messages import CorrectDeadLetter, ResolveRoute
from event_monitor.replies.dead_letters import Corrected
from event_monitor.replies.general import DeadLetter
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

KEYS = (("^s", "publish"), ("^t", "targets"), ("esc", "cancel"))


class EditorState(Panel):
    """Whether the text is right, where it is wrong, and where the corrected event would go."""

    def __init__(self) -> None:
        super().__init__(id="editor-state")
        self._verdict = Line()
        self._route = Line()

    def show(self, mistake: str, size: int, targets: Sequence[str] | None, rerouted: bool) -> None:
        """Say what holds now; ``targets`` is ``None`` while they are not known."""
        if mistake:
            self._verdict = line(("✖ ", "bad-strong"), (plain(mistake), "bad"))
        else:
            self._verdict = line(("✔ ", "good"), f"a JSON object, {size:,} characters")
        names = "…" if targets is None else ", ".join(map(plain, targets)) or "no target"
        why = "by the rules of today" if rerouted else "where it was given up; the others had the old one"
        self._route = line(("→ ", "accent"), (names, "strong"), (f"  {why}", "dim"))
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        keys = line(*(part for key, word in KEYS for part in ((key, "key"), f" {word}   ")))
        return [clip(one, width) for one in (self._verdict, self._route, keys)][:height]


class LetterEditor(ModalScreen[Corrected | None]):
    """Answers what was published, or ``None``. A refusal is shown, and the text stays."""

    BINDINGS = [
        Binding("ctrl+s", "publish", show=False, priority=True),
        Binding("ctrl+t", "reroute", show=False, priority=True),
        Binding("escape", "leave", show=False, priority=True),
    ]
    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    #editor { height: 90%; }
    #editor-text { height: 1fr; border: none; padding: 0; background: $surface; }
    #editor-text:focus { border: none; }
    #editor-state { height: 2; background: $surface; }
    .-sliver #editor-state { height: 3; }
    """

    def __init__(self, letter: DeadLetter, link: BusLink) -> None:
        super().__init__()
        self._letter = letter
        self._link = link
        self._payload = PayloadText(letter.payload, link.mask)
        self._area = JsonArea(self._payload.text, id="editor-text", tab_behavior="indent")
        self._area.cursor_blink = False
        self._read: dict[str, Any] | Mistake = letter.payload
        self._targets: Sequence[str] | None = [letter.target]
        self._rerouted = False
        self._asked = 0
        self._busy = False

    def compose(self) -> ComposeResult:
        with Vertical(id="editor", classes="dialog") as dialog:
            dialog.border_title = f"Correct #{self._letter.id} {plain(self._letter.event_type)}"
            dialog.border_subtitle = "   ".join(f"{key} {word}" for key, word in KEYS)
            yield self._area
            yield EditorState()

    def on_mount(self) -> None:
        """Take the layout of the screen beneath and begin."""
        take_layout(self)
        self._area.focus()
        self._show()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Read what stands there now."""
        event.stop()
        self._read = self._payload.read(self._area.text)
        self._show()
        self._find_route()

    def _show(self) -> None:
        mistake = str(self._read) if isinstance(self._read, Mistake) else ""
        self.query_one(EditorState).show(mistake, len(self._area.text), self._targets, self._rerouted)

    # --- the route --------------------------------------------------------------------------

    def action_reroute(self) -> None:
        """To the target that gave it up, or wherever such an event would go today."""
        self._rerouted = not self._rerouted
        self._find_route()

    def _find_route(self) -> None:
        """Learn where it would go. The answer to an older question never replaces a newer one's."""
        self._asked += 1
        payload = self._read
        if not self._rerouted:
            self._targets = [self._letter.target]
        elif isinstance(payload, Mistake):
            self._targets = None
        else:
            self._link.work(self._resolve(self._asked, payload))
        self._show()

    async def _resolve(self, number: int, payload: dict[str, Any]) -> None:
        route = await self._link.ask(ResolveRoute(event_type=self._letter.event_type, payload=payload))
        if route is not None and number == self._asked and self.is_attached:
            self._targets = route.targets
            self._show()

    # --- the end ----------------------------------------------------------------------------

    def action_publish(self) -> None:
        """Ask once more, naming where it goes, then publish."""
        payload = self._read
        if isinstance(payload, Mistake):
            self._link.say(f"Not published: {payload}")
            if payload.line:
                self._area.move_cursor((payload.line - 1, payload.column - 1))
            return
        if self._targets is None or self._busy:
            return
        to = ", ".join(self._targets) or "no target"
        letter = self._letter
        self._ask(
            f"Publish the corrected {letter.event_type} to {to}?",
            f"Dead letter #{letter.id} → {letter.target} is dropped with it.",
            lambda: self._link.work(self._publish(payload)),
        )

    async def _publish(self, payload: dict[str, Any]) -> None:
        letter = self._letter
        self._busy = True
        try:
            done = await self._link.request(
                CorrectDeadLetter(
                    event_id=letter.id, payload=payload, target=letter.target, rerouted=self._rerouted
                )
            )
        except EventMonitorError as error:
            self._link.say(f"Not published: {error}")
        else:
            self.dismiss(done)
        finally:
            self._busy = False

    def action_leave(self) -> None:
        """Close; changes are given up only on a person's word."""
        if self._area.text == self._payload.text:
            self.dismiss(None)
        else:
            self._ask("Give your changes up?", "Nothing was published.", lambda: self.dismiss(None))

    def _ask(self, question: str, follows: str, then: Callable[[], object]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self.app.push_screen(Question(question, follows), answered)
