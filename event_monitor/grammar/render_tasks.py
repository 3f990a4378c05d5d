"""The table of the bus's tasks."""

from __future__ import annotations

from collections.abc import Sequence

from event_monitor.grammar.table import Column, facts, table
from event_monitor.replies.general import TaskInfo, Tasks

_COLUMNS = (
    Column("TASK", flexible=True),
    Column("STATE"),
    Column("AGE", right=True),
    Column("WAITS FOR", flexible=True),
    Column("AT", flexible=True),
)


def render_tasks(reply: Tasks, width: int, mask: Sequence[str]) -> str:
    """One line a task, then the locks that are held and where the loop's thread is."""
    parts = [table(_COLUMNS, [_row(task) for task in reply.tasks], width)]
    if reply.locks:
        rows = [(lock.name, lock.owner, f"{lock.held:.1f} s") for lock in reply.locks]
        columns = (Column("LOCK"), Column("HELD BY", flexible=True), Column("FOR", right=True))
        parts.append(table(columns, rows, width))
    parts.append(facts([("loop", " < ".join(reply.loop))], width))
    return "\n\n".join(parts)


def _row(task: TaskInfo) -> tuple[str, ...]:
    name = task.name if task.event_id is None else f"{task.name} (event {task.event_id})"
    age = "-" if task.age is None else f"{task.age:,.1f} s"
    return name, task.state, age, task.waits_for or "-", " < ".join(task.stack)
