"""Whether there is a terminal that a full-screen program can use."""

from __future__ import annotations

import os
import sys


def check_terminal() -> str | None:
    """What is wrong with the terminal, ``None`` if nothing is."""
    # textual-serve sets this: the browser is the terminal, input and output are pipes to it.
    if os.environ.get("TEXTUAL_DRIVER"):
        return None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "the dashboard needs a terminal, and input or output is not one"
    if os.environ.get("TERM", "") in ("", "dumb"):
        return f"the terminal (TERM={os.environ.get('TERM', '')}) cannot show a full-screen program"
    return None


def trust_the_terminal() -> None:
    """Ask the terminal for its size, whatever a shell has exported: those figures stay as they were when
    the pane is resized, and they would be believed. For a browser they are the size."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


def silence_terminal() -> None:
    """Let what is still written to the terminal go nowhere: it is gone, and a write would fail or block."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        for stream in (0, 1, 2):
            os.dup2(null, stream)
    finally:
        os.close(null)
