"""The Mermaid command line with the system's Chromium, as ``.ci/run`` installs them.

What is missing is skipped, but with ``CI=true`` it fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.docs.pages import CHECKOUT, Block

RENDERER = CHECKOUT / ".ci" / "node_modules" / ".bin" / "mmdc"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LIMIT = 180


def render(diagrams: Sequence[Block], directory: Path) -> list[Path]:
    """Draw all diagrams with one browser; answers their pictures. Fails with Mermaid's own message."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None or not RENDERER.exists():
        _give_up(f"{'Chromium' if browser is None else RENDERER} is not installed: run .ci/run")
    settings = directory / "browser.json"
    # In a container there is no user namespace to build a sandbox from, and little shared memory; what is
    # drawn is our own.
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    settings.write_text(json.dumps({"executablePath": browser, "args": flags}))
    page = directory / "all.md"
    page.write_text("\n".join(f"```mermaid\n{diagram.text}```\n" for diagram in diagrams))
    kind = os.environ.get("EVENT_MONITOR_DIAGRAMS_AS", "svg")
    command = [str(RENDERER), "-q", "-p", str(settings), "-i", str(page), "-e", kind]
    drawn = subprocess.run(
        [*command, "-o", str(directory / "drawn.md")], capture_output=True, text=True, timeout=LIMIT
    )
    assert drawn.returncode == 0, drawn.stderr
    return [directory / f"drawn-{number}.{kind}" for number in range(1, len(diagrams) + 1)]


def _give_up(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
