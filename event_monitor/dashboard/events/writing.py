"""Marking events of the list, and writing them to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from event_monitor.dashboard.events.export import (
    Export,
    check_path,
    everything,
    overwrites,
    parts_of,
    read_parts,
)
from event_monitor.dashboard.events.status import NOTHING_WANTED
from event_monitor.errors import EventMonitorError
from event_monitor.model import Severity
from event_monitor.widgets.text import count

if TYPE_CHECKING:
    from event_monitor.dashboard.events.tab import EventsTab


class Writing:
    """One export at a time; it goes on while other tabs are looked at."""

    def __init__(self, tab: EventsTab) -> None:
        self._tab = tab
        self._export: Export | None = None

    @property
    def running(self) -> str:
        """How the export that is under way stands; empty if none is."""
        export = self._export
        return "" if export is None else f"◐ {count(export.count)} written to {export.path.name}, w stops"

    # --- marks ------------------------------------------------------------------------------

    def mark(self) -> None:
        """Mark the selected event, or take its mark away, and go to the next older one."""
        events = self._tab.list
        if events.selected_id is None:
            self._tab.link.say("There is no event to mark yet")
            return
        events.marks.toggle(events.selected_id)
        events.move(1)
        self._tab.redraw()

    def range(self) -> None:
        """Begin a range at the selected event, or end it there."""
        events = self._tab.list
        if events.selected_id is None:
            self._tab.link.say("There is no event to mark yet")
        elif events.marks.anchor is None:
            events.marks.begin(events.selected_id)
        else:
            events.marks.end(events.selected_id)
        self._tab.redraw()

    # --- the file ---------------------------------------------------------------------------

    def write(self) -> None:
        """Ask for a file's name and write; or stop what is being written."""
        from event_monitor.dashboard.events.prompts import PromptDialog

        tab = self._tab
        if self._export is not None:
            self._export.stop()
            return
        marks = tab.list.marks
        if marks:
            what = "the marked events"
        elif tab.window.where != NOTHING_WANTED:
            what = "all events that pass the filter"
        else:
            what = "all of history"
        name = f"events-{tab.link.now():%Y%m%d-%H%M%S}.jsonl"
        dialog = PromptDialog(
            f"Write {what} to which file?",
            "One JSON object a line, the oldest first; secrets are written as they are.",
            value=name,
            check=check_path,
            warn=overwrites,
        )

        def answered(text: str | None) -> None:
            if text is not None:
                tab.link.work(self._write(check_path(text), replace=bool(overwrites(text))))

        tab.push(dialog, answered)

    async def _write(self, path: Path, *, replace: bool) -> None:
        tab = self._tab
        marks = tab.list.marks
        parts = parts_of(marks, tab.list.selected_id) if marks else everything()
        pages = read_parts(tab.link.request, tab.window.where, parts, frozenset(marks.without))
        export = self._export = Export(path, replace=replace, told=tab.redraw_status)
        try:
            whole = await export.run(pages)
        except (OSError, EventMonitorError) as error:
            tab.link.say(f"Not written: {error}", Severity.WARNING)
        else:
            told = f"{count(export.count)} events written to {path.absolute()}"
            tab.link.say(told if whole else f"Stopped: no file was written to {path.absolute()}")
        finally:
            self._export = None
            tab.redraw_status()
