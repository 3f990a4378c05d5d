"""Draws the pictures of the README: the real dashboard on fixed scenes.

python screenshots/make.py            write them
python screenshots/make.py --check    exit 1 if one differs from what would be written
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["TZ"] = "UTC"
time.tzset()

from event_monitor.dashboard.replay import history, planner  # noqa: E402  (environment first)
from event_monitor.model import SystemState, Transition  # noqa: E402
from tests.dashboard import dead_letters_scene, events_scene, replay_scene, scene, service_scene  # noqa: E402
from tests.dashboard.console_scene import Scripted  # noqa: E402
from tests.dashboard.driving import settle  # noqa: E402

WIDE, COMPACT, SLIVER = (120, 36), (80, 24), (40, 12)
_CONSOLE = (
    'publish mcp.server.down {"service": "github", "token": "sesame"}',
    "breaker",
    "events --limit 3",
)


@dataclass(frozen=True)
class Shot:
    """A screen to draw: whose data, and which keys lead there."""

    name: str
    client: Callable[[], scene.FakeClient]
    keys: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    size: tuple[int, int] = WIDE

    def path(self, theme: str) -> Path:
        """The file of this picture."""
        return HERE / f"{self.name}-{theme}-{self.size[0]}x{self.size[1]}.svg"


def _watched() -> scene.FakeClient:
    """A system of which a service has failed."""
    why = "github: breaker opened after 5 failures (connection closed)"
    at = "2026-03-14T15:41:43.000000Z"
    before = scene.snapshot().transitions
    failed = Transition(from_state=SystemState.HEALTHY, to_state=SystemState.DEGRADED, at=at, reason=why)
    picture = scene.snapshot(
        services=service_scene.table(),
        state=SystemState.DEGRADED,
        state_since=at,
        state_reason=why,
        transitions=(*before, failed),
    )
    return scene.FakeClient(picture)


SHOTS = (
    *(Shot("overview", _watched, size=size) for size in (WIDE, COMPACT, SLIVER)),
    Shot("events", events_scene.HistoryClient, ("2", "j", "j", "x", "j", "j")),
    Shot(
        "replay",
        lambda: replay_scene.ReplayClient(replay_scene.many()),
        ("3", *["left"] * 12, "shift+right"),
    ),
    Shot("dead-letters", dead_letters_scene.DeadClient, ("4", "enter", "j")),
    Shot("console", lambda: Scripted(scene.calm()), ("5",), _CONSOLE),
)


async def _details_shown(pilot: Any) -> None:
    """Wait until the Events tab's pane tells of the selected event."""
    tab = pilot.app.tabs.active
    while getattr(tab, "has_pane", False) and tab.pane_id != tab.shown_id:
        await pilot.pause(0.01)


async def picture(shot: Shot, theme: str) -> str:
    """One picture as SVG."""
    app = scene.app(shot.client(), theme=f"event-monitor-{theme}")
    async with app.run_test(size=shot.size) as pilot:
        await settle(pilot)
        for key in shot.keys:
            await pilot.press(key)
            await settle(pilot)
        for typed in shot.lines:
            app.focused.insert(typed)  # type: ignore[union-attr]
            await pilot.press("enter")
            await settle(pilot)
        await _details_shown(pilot)
        await settle(pilot)
        svg = app.export_screenshot(simplify=True)
    return re.sub(r"terminal-\d+", "terminal", svg)


def main() -> int:
    """Write or check all pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the dashboard.")
    parser.add_argument("--check", action="store_true", help="change nothing, say which picture is old")
    check = parser.parse_args().check
    history.DELAY = planner.DELAY = 0.0
    stale = 0
    for shot in SHOTS:
        for theme in ("dark", "light"):
            path = shot.path(theme)
            svg = asyncio.run(picture(shot, theme))
            if path.exists() and path.read_text(encoding="utf-8") == svg:
                continue
            stale += 1
            print(f"{'differs' if check else 'written'}: {path.relative_to(HERE.parent)}")
            if not check:
                path.write_text(svg, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
