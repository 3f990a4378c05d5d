"""Where a payload is edited."""

from __future__ import annotations

from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from event_monitor.grammar.payload_text import escaped


class JsonArea(TextArea):
    """Text of several rows. A clipboard may hold anything: what a terminal would obey is escaped."""

    def edit(self, edit: Edit) -> EditResult:
        edit.text = escaped(edit.text)
        return super().edit(edit)
