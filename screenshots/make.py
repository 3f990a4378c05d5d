"""Draws the pictures of the README: the real dashboard on a fixed scene.

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
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["TZ"] = "UTC"
time.tzset()

from tests.dashboard import scene  # noqa: E402  (the environment above is read at import)

SIZES = ((120, 36), (80, 24), (40, 12))


async def picture(theme: str, width: int, height: int) -> str:
    """One picture as SVG."""
    app = scene.app(theme=f"event-monitor-{theme}")
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        svg = app.export_screenshot(simplify=True)
    return re.sub(r"terminal-\d+", "terminal", svg)


def main() -> int:
    """Write or check all pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the dashboard.")
    parser.add_argument("--check", action="store_true", help="change nothing, say which picture is old")
    check = parser.parse_args().check
    stale = 0
    for theme in ("dark", "light"):
        for width, height in SIZES:
            path = HERE / f"overview-{theme}-{width}x{height}.svg"
            svg = asyncio.run(picture(theme, width, height))
            if path.exists() and path.read_text(encoding="utf-8") == svg:
                continue
            stale += 1
            print(f"{'differs' if check else 'written'}: {path.relative_to(HERE.parent)}")
            if not check:
                path.write_text(svg, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
