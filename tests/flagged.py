"""A handler for a bus in another process: ``py:tests.flagged:deliver`` fails for good while the home holds
the file ``broken``, and else writes the event's id to the file ``seen``."""

from __future__ import annotations

import os
from pathlib import Path

from event_monitor.model import Event
from event_monitor.resilience.retry import PermanentError

HANDLER = "py:tests.flagged:deliver"


def deliver(event: Event) -> None:
    """Append to ``seen``, or raise what no retry can mend."""
    home = Path(os.environ["EVENT_MONITOR_HOME"])
    if (home / "broken").exists():
        raise PermanentError(f"cannot write /tmp/{event.id}")
    with (home / "seen").open("a") as seen:
        seen.write(f"{event.id}\n")
