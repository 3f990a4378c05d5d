"""Where tasks and threads stand, in short lines that hold no values: safe to log and to show."""

from __future__ import annotations

import asyncio
import sys
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

MAX_FRAMES = 12
_PARTS = 3
_INNER = ("cr_await", "gi_yieldfrom", "ag_await")
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")


def stack_of_task(task: asyncio.Task[Any], limit: int = MAX_FRAMES) -> tuple[str, ...]:
    """Where a task that does not run now stands, the innermost call first."""
    lines: list[str] = []
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        frame = _attribute(coroutine, _FRAMES)
        if frame is not None:
            lines.append(_line(frame.f_code, frame.f_lineno))
        coroutine = _attribute(coroutine, _INNER)
    return tuple(lines[: -limit - 1 : -1])


def stack_of_thread(thread_id: int, limit: int = MAX_FRAMES) -> tuple[str, ...]:
    """Where a thread runs now, the innermost call first; empty if it has ended."""
    frame: FrameType | None = sys._current_frames().get(thread_id)
    lines: list[str] = []
    while frame is not None and len(lines) < limit:
        lines.append(_line(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(lines)


def on_one_line(stack: tuple[str, ...]) -> str:
    """A stack as one line, the innermost call first."""
    return " < ".join(stack) or "no stack"


def awaited_by(task: asyncio.Task[Any]) -> asyncio.Future[Any] | None:
    """The future or task that a task waits for; ``None`` if it can run."""
    # Python tells it in public from 3.14 on only.
    return getattr(task, "_fut_waiter", None)


def awaited_tasks(task: asyncio.Task[Any]) -> list[asyncio.Task[Any]]:
    """The tasks that a task waits for, directly or by ``asyncio.gather``."""
    found: list[asyncio.Task[Any]] = []
    todo: list[Any] = [awaited_by(task)]
    while todo:
        future = todo.pop()
        if isinstance(future, asyncio.Task):
            found.append(future)
        else:
            todo += getattr(future, "_children", ())
    return found


def short_path(path: str) -> str:
    """The end of a file's path: enough to find it."""
    return "/".join(PurePath(path).parts[-_PARTS:])


def _line(code: CodeType, number: int | None) -> str:
    return f"{short_path(code.co_filename)}:{number} in {code.co_qualname}"


def _attribute(coroutine: Any, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := getattr(coroutine, name, None)) is not None), None)
