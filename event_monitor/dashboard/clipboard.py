"""Copying: tmux's own buffer where tmux runs, else the terminal's clipboard by OSC 52."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from collections.abc import Callable, Mapping

MAX_ENCODED = 74_994
"""What terminals accept in one OSC 52 sequence."""


async def copy(
    text: str, copy_to_terminal: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> str:
    """Copy ``text`` and say where it went. Raises ``ValueError`` if it is too large."""
    if environ.get("TMUX") and shutil.which("tmux"):
        process = await asyncio.create_subprocess_exec(
            "tmux",
            "load-buffer",
            "-w",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.communicate(text.encode())
        if process.returncode == 0:
            return "copied to the tmux buffer and the clipboard"
    if len(base64.b64encode(text.encode())) > MAX_ENCODED:
        raise ValueError("it is too large for the terminal's clipboard: use event-cli events")
    copy_to_terminal(text)
    return "sent to the terminal's clipboard"
