"""What the Replay tab asks: two lines to type in, targets to choose from, and a last question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from event_monitor.dashboard.dialogs import take_layout
from event_monitor.replies.replays import ReplayTargetInfo
from event_monitor.widgets.line_input import LineInput
from event_monitor.widgets.panel import Panel
from event_monitor.widgets.text import Line, clip, line, plain

LONGEST = 500


class Told(Panel):
    """Lines that a dialog says, as high as they are."""

    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    Told { height: auto; }
    .-sliver #consequences { max-height: 7; }
    """

    def __init__(self, compose_lines: Callable[[int], Sequence[Line]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._compose_lines = compose_lines

    def say(self, compose_lines: Callable[[int], Sequence[Line]]) -> None:
        """Say something else; the height follows."""
        self._compose_lines = compose_lines
        self.refresh(layout=True)
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [clip(one, width) for one in self._compose_lines(width)]


# --- typing ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A line to type in: what it is for, what stands there, and what it may look like."""

    label: str
    value: str
    example: str


class FieldsDialog(ModalScreen[tuple[str, ...] | None]):
    """Answers what was typed, or ``None``. ``check`` says why it cannot be meant; while it does the
    dialog stays."""

    BINDINGS = [
        Binding("escape", "cancel", show=False),
        Binding("down,tab", "go(1)", show=False, priority=True),
        Binding("up,shift+tab", "go(-1)", show=False, priority=True),
    ]

    def __init__(
        self, title: str, fields: Sequence[Field], check: Callable[[tuple[str, ...]], str], hint: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._fields = fields
        self._check = check
        self._hint = hint

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Told(lambda width: [line((self._title, "strong"))])
            for number, field in enumerate(self._fields):
                yield Told(lambda width, field=field: [line((field.label, "dim"))])  # type: ignore[misc]
                entry = LineInput(placeholder=field.example, max_length=LONGEST, id=f"field-{number}")
                entry.value = field.value
                yield entry
            yield Told(self._below, id="below")

    def on_mount(self) -> None:
        """Take the layout of the screen beneath, and begin with the first line, all of it marked."""
        take_layout(self)
        for first in self.query("#field-0").results(LineInput):
            self.set_focus(first)
            first.select_all()

    @property
    def _values(self) -> tuple[str, ...]:
        return tuple(self.query_one(f"#field-{n}", LineInput).value.strip() for n in range(len(self._fields)))

    def _below(self, width: int) -> Sequence[Line]:
        mistake = self._check(self._values) if self.is_mounted else ""
        keys = line(("enter", "key"), " take  ", ("esc", "key"), " cancel  ", ("↑ ↓", "key"), " other line")
        told = line(("✖ ", "bad"), plain(mistake)) if mistake else line((self._hint, "dim"))
        return [told, keys]

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say at once what is wrong with it."""
        event.stop()
        self.query_one("#below", Told).redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes all lines, if they can be meant."""
        event.stop()
        values = self._values
        if not self._check(values):
            self.dismiss(values)

    def action_go(self, step: int) -> None:
        """Go to another line."""
        entries = list(self.query(LineInput))
        at = next((place for place, entry in enumerate(entries) if entry.has_focus), 0)
        entry = entries[(at + step) % len(entries)]
        # At once, not when the loop comes to it: what is typed next belongs there.
        self.set_focus(entry)
        entry.select_all()

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self.dismiss(None)


# --- choosing -------------------------------------------------------------------------------


class _TargetList(Panel):
    """Targets with a mark each; those with side effects say which."""

    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    _TargetList { height: auto; max-height: 16; }
    .-sliver _TargetList { max-height: 7; }
    """

    def __init__(self, targets: Sequence[ReplayTargetInfo], marked: set[str]) -> None:
        super().__init__(id="targets")
        self.targets = targets
        self.marked = marked
        self.at = 0

    def lines(self, width: int, height: int) -> Sequence[Line]:
        top = min(max(0, self.at - height // 2), max(0, len(self.targets) - height))
        shown = list(enumerate(self.targets))[top : top + height]
        return [clip(self._row(info, selected=place == self.at), width) for place, info in shown]

    def _row(self, info: ReplayTargetInfo, *, selected: bool) -> Line:
        mark = ("[✔] ", "good") if info.name in self.marked else ("[ ] ", "dim")
        about = ("▲ " + plain(info.effect), "warn") if info.effect else ("", "")
        if info.pattern is not None and not info.effect:
            about = (f"gets {plain(info.pattern)} only", "dim")
        name = f"{plain(info.name):<14}"
        row = "select" if selected else ""
        return line("▸ " if selected else "  ", mark, (name, "strong"), " ", about, row=row)

    def on_click(self, event: events.Click) -> None:
        """Mark what is under the pointer."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        top = min(max(0, self.at - self.size.height // 2), max(0, len(self.targets) - self.size.height))
        if top + offset.y < len(self.targets):
            self.at = top + offset.y
            self.toggle()

    def toggle(self) -> None:
        """Mark the one at the cursor, or take its mark away."""
        self.marked ^= {self.targets[self.at].name}
        self.redraw()


class TargetsDialog(ModalScreen[tuple[str, ...] | None]):
    """Answers the names that were marked, none for where the events would go today; ``None`` if the person
    thought better."""

    BINDINGS = [
        Binding("escape,q", "cancel", show=False),
        Binding("j,down", "go(1)", show=False),
        Binding("k,up", "go(-1)", show=False),
        Binding("space", "mark", show=False),
        Binding("c", "clear", show=False),
        Binding("enter", "take", show=False),
    ]

    def __init__(self, targets: Sequence[ReplayTargetInfo], marked: Sequence[str]) -> None:
        super().__init__()
        # Those that change nothing in the world stand first.
        ordered = sorted(targets, key=lambda info: (bool(info.effect), info.name))
        self._list = _TargetList(ordered, set(marked) & {info.name for info in targets})

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Told(self._above)
            yield self._list
            yield Told(self._below)

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)

    def _above(self, width: int) -> Sequence[Line]:
        narrow = self.has_class("-sliver")
        told = (
            line(("None marked: as the rules say today, without those with side effects (▲).", "dim")),
            line(("Marked: each chosen event goes to these and to no other.", "dim")),
        )
        return [line(("Where to?", "strong")), *(() if narrow else (*told, Line()))]

    def _below(self, width: int) -> Sequence[Line]:
        keys = (
            *(("space", "key"), " mark  ", ("enter", "key"), " take  "),
            *(("esc", "key"), " cancel  ", ("c", "key"), " none"),
        )
        return [*(() if self.has_class("-sliver") else (Line(),)), line(*keys)]

    def action_go(self, rows: int) -> None:
        """Move the cursor."""
        self._list.at = min(max(self._list.at + rows, 0), len(self._list.targets) - 1)
        self._list.redraw()

    def action_mark(self) -> None:
        """Mark a target."""
        self._list.toggle()

    def action_clear(self) -> None:
        """Mark none."""
        self._list.marked.clear()
        self._list.redraw()

    def action_take(self) -> None:
        """Close with the marked ones."""
        self.dismiss(tuple(info.name for info in self._list.targets if info.name in self._list.marked))

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self.dismiss(None)


# --- a last question ------------------------------------------------------------------------


class SureDialog(ModalScreen[bool]):
    """A question with all that follows from a yes; the answer is no unless ``y`` is pressed."""

    BINDINGS = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]

    def __init__(self, question: str, consequences: Callable[[int], Sequence[Line]], yes: str) -> None:
        super().__init__()
        self._question = question
        self._consequences = consequences
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Told(lambda width: [line((self._question, "strong"))])
            yield Told(self._consequences, id="consequences")
            yield Told(self._keys)

    def on_mount(self) -> None:
        """Take the layout of the screen beneath."""
        take_layout(self)

    def _keys(self, width: int) -> Sequence[Line]:
        keys = line(("y", "key"), f" {self._yes}   ", ("n", "key"), " no   ", ("esc", "key"), " no")
        return [*(() if self.has_class("-sliver") else (Line(),)), keys]

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
