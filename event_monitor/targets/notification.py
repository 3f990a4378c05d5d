"""The ``notification`` target: a short message to the person, on the desktop or in tmux."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence

from event_monitor.bus.inflight import Pending
from event_monitor.model import Severity
from event_monitor.redaction import redact
from event_monitor.summary import summarise
from event_monitor.system.alerts import AlertBook

TITLE = "event-monitor"


class NotificationTarget:
    """Shows ``type: summary``. Where no notifier works it becomes a toast in the dashboard."""

    def __init__(
        self,
        via: str,
        alerts: AlertBook,
        *,
        mask: Sequence[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._via = via
        self._alerts = alerts
        self._mask = tuple(mask)
        self._environ = environ

    async def handle(self, batch: Sequence[Pending]) -> None:
        """Notify of each event of a batch."""
        for delivery in batch:
            event = delivery.record.event
            body = printable(summarise(event.event_type, redact(event.payload, self._mask)))
            for command in commands(self._via, event.event_type, body, self._environ):
                if await _run(command):
                    break
            else:
                self._alerts.raise_alert(Severity.INFO, event.event_type, body, event.id)


def commands(via: str, title: str, body: str, environ: Mapping[str, str]) -> list[list[str]]:
    """The commands to try, in order. Text is only ever an argument, never part of a script."""
    found: list[list[str]] = []
    if via in ("auto", "tmux") and environ.get("TMUX") and shutil.which("tmux"):
        found.append(["tmux", "display-message", "-d", "4000", "--", _tmux_literal(f"{title}: {body}")])
    if via in ("auto", "desktop"):
        if sys.platform == "darwin" and shutil.which("osascript"):
            script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"
            found.append(["osascript", "-e", script, f"{TITLE}: {title}", body])
        elif shutil.which("notify-send") and (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
            found.append(
                [
                    "notify-send",
                    "--app-name",
                    TITLE,
                    "--",
                    title,
                    body.replace("&", "&amp;").replace("<", "&lt;"),
                ]
            )
    return found


def printable(text: str) -> str:
    """Text without control characters, for programs that show it on a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _tmux_literal(text: str) -> str:
    """tmux expands ``#{}``, ``#()`` (a shell command!) and ``%`` in messages: none of it is meant here."""
    return text.replace("#", "##").replace("%", "%%")


async def _run(command: list[str]) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        return await process.wait() == 0
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
