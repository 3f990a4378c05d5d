"""A handler inside the measured program: notes when each event was due, sent and handled.

Subscribed as ``py:tests.bench.workers.probe:handle``. Times are of the system's monotonic clock,
which all processes share.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from event_monitor.model import Event

_seen: list[tuple[int, int, int]] = []


async def handle(event: Event) -> None:
    """Note an event; on the last one write all notes to the file that it names and forget them."""
    now = time.monotonic_ns()
    if event.event_type == "probe.end":
        path = Path(event.payload["path"])
        aside = path.with_suffix(".part")
        aside.write_text(json.dumps(_seen))
        aside.rename(path)
        _seen.clear()
    elif event.event_type == "probe.event":
        _seen.append((event.payload["due"], event.payload["sent"], now))
