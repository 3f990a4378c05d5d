"""Lets a person edit a text in the editor of their choice."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from event_monitor.cli.output import report
from event_monitor.errors import InvalidRequest

_EDITORS = ("VISUAL", "EDITOR")
_USUAL = "vi"


def edit(text: str, mistake: str = "") -> str | None:
    """What a person made of ``text``; ``None`` where nobody sits at a terminal. The file that the editor
    gets is the user's alone and goes away. Raises ``InvalidRequest`` if there is no editor, or it fails."""
    if not (os.isatty(0) and os.isatty(2)):
        return None
    if mistake:
        report(mistake)
    command = next(filter(None, (os.environ.get(name, "").strip() for name in _EDITORS)), _USUAL)
    advice = "set EDITOR, give the payload as JSON, or - to read it from stdin"
    with tempfile.TemporaryDirectory(prefix="event-cli-") as directory:
        file = Path(directory, "payload.json")
        file.touch(mode=0o600)
        file.write_text(text + "\n", encoding="utf-8")
        try:
            status = subprocess.run([*shlex.split(command), str(file)], check=False).returncode
            made = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"the editor {command} cannot be used: {error}", advice) from None
        if status:
            raise InvalidRequest(f"the editor {command} ended with {status}: nothing was published", advice)
    return made.removesuffix("\n")
