"""Asking the operating system which processes of a group are alive."""

from __future__ import annotations

import subprocess


def members(group: int) -> list[int]:
    """The living processes of a process group; those that only wait to be reaped do not count."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]
