"""``publish`` with no bus running: events are checked here and wait in the spool."""

from __future__ import annotations

import contextlib

from event_monitor import spooling
from event_monitor.cli.output import Printer, ReaderGone, report, report_error
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.decode import publish_from_text
from event_monitor.messages import Publish, PublishText
from event_monitor.model import Priority
from event_monitor.paths import HomePaths
from event_monitor.replies.general import Published
from event_monitor.validation import check_event_type, check_name, check_payload

# The limits that a bus starts with; the one that takes the event from the spool applies its own.
MAX_PAYLOAD_BYTES = 262_144
MAX_PAYLOAD_DEPTH = 64


def check(event: Publish) -> None:
    """Apply the rules of the bus to an event that it will see later. Raises ``InvalidEvent``."""
    check_event_type(event.event_type)
    for name in ("key", "source", "correlation_id", "traceparent"):
        if (value := getattr(event, name)) is not None:
            check_name(name, value)
    check_payload(event.payload, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH)


def spool_event(paths: HomePaths, name: str, request: bytes, fields: dict[str, str], output: str) -> int:
    """Check one event, store it as the entry ``name`` and print the outcome. Returns the exit status."""
    try:
        event = publish_from_text(PublishText(**fields))
        check(event)
        spooling.write_entry(paths.spool, name, [request])
    except EventMonitorError as error:
        return report_error(error)
    except OSError as error:
        report(
            f"no bus is running and the spool cannot be written: {error} (free space, or start event-monitor)"
        )
        return 1
    priority = event.priority or Priority.NORMAL
    with contextlib.suppress(ReaderGone):
        Printer(output).reply(
            Published(id=None, event_type=event.event_type, priority=priority, status="spooled", targets=[])
        )
    return 0
