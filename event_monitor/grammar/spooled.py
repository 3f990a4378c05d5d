"""An event that no bus took: it is checked here and waits in the spool."""

from __future__ import annotations

from event_monitor import spooling
from event_monitor.grammar.decode import publish_from_text
from event_monitor.messages import Publish, PublishText
from event_monitor.model import Priority
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


def spool(directory: str, name: str, message: PublishText, request: bytes) -> Published:
    """Check an event and keep ``request``, which asks a bus for it, as the entry ``name``. Raises
    ``EventMonitorError`` for one that no bus would take, ``OSError`` if it cannot be written."""
    event = publish_from_text(message)
    check(event)
    spooling.write_entry(directory, name, [request])
    priority = event.priority or Priority.NORMAL
    return Published(id=None, event_type=event.event_type, priority=priority, status="spooled", targets=[])
