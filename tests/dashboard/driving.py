"""Reads what a running dashboard shows, and waits for it by signal, never by time."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.pilot import Pilot

from event_monitor.dashboard.app import EventMonitorApp

_PATIENCE = 200


def rows(app: EventMonitorApp) -> list[str]:
    """The screen's rows exactly as they are painted."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def text(app: EventMonitorApp) -> str:
    """All that can be read on the screen."""
    return "\n".join(rows(app))


def said(app: EventMonitorApp) -> list[str]:
    """The toasts."""
    return [notification.message for notification in app._notifications]


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until what keys and messages began has ended; the watch itself never ends, but has begun: a
    busy machine may let a test go on before the first picture was asked for."""
    app = pilot.app
    await pilot.pause()
    for _ in range(_PATIENCE):
        asked = getattr(app.client, "open", 0) if isinstance(app, EventMonitorApp) else 1
        if asked or app.snapshot is not None or app._lost is not None:  # type: ignore[attr-defined]
            break
        await pilot.pause()
    still = 0
    for _ in range(_PATIENCE):
        await pilot.pause()
        still = still + 1 if at_rest(app) else 0
        if still == 2:
            break


def at_rest(app: App[Any]) -> bool:
    """Whether nothing is under way. Textual's own pause asks how busy the process is: on a machine where
    others take the processor that says too early that it is idle."""
    if any(worker.name != "watch" and not worker.is_finished for worker in app.workers):
        return False
    screen = app.screen
    nodes = [app, *app.screen_stack, *screen.walk_children()]
    if not all(node._message_queue.empty() and node._mounted_event.is_set() for node in nodes):
        return False
    return not (screen._layout_required or screen._repaint_required or screen._dirty_widgets)


async def refresh(pilot: Pilot[Any]) -> None:
    """Have the next picture taken and shown now."""
    app = pilot.app
    assert isinstance(app, EventMonitorApp)
    before = app.client.asked  # type: ignore[attr-defined]
    app.refresh_soon()
    for _ in range(_PATIENCE):
        await pilot.pause()
        if app.client.asked > before and not app.client.open:  # type: ignore[attr-defined]
            break
    await settle(pilot)
