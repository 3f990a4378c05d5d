"""``python -m event_monitor.chaos WANTED``: what ``event-cli chaos`` becomes. ``WANTED`` is JSON."""

from __future__ import annotations

import sys

import msgspec

from event_monitor.chaos.command import Wanted, list_all, run_command


def main() -> int:
    """Answers the exit status."""
    what, text = sys.argv[1:]
    wanted = msgspec.json.decode(text, type=Wanted)
    return list_all(wanted.output) if what == "list" else run_command(wanted)


if __name__ == "__main__":
    sys.exit(main())
