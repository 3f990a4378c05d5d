"""``event-cli publish TYPE [PAYLOAD]``: one event, to the bus or to the spool.

Every request carries an idempotency key, made here if the user gave none. When the reply does not
come (a bus killed between accepting and answering), the same event with the same key goes to the
spool: if the bus did accept it, the spooled copy is recognised, so the event is neither lost nor
doubled. A key made here is new, so ``duplicate`` is only ever said about a key of the user's.
"""

from __future__ import annotations

import os

from event_monitor.cli import stdio, wire
from event_monitor.paths import HomePaths

# Longer than a checkpoint on a slow disk; after it the event is safe in the spool.
DEADLINE = 10.0
# The bus is there but cannot take the event now: nothing was accepted.
_PASSING = (b'"code":"bus_closed"', b'"code":"busy"')
_TOO_LARGE = b'{"code":"invalid_event","message":"the event is larger than 1 MiB","advice":"send less of it"}'


def publish(paths: HomePaths, fields: dict[str, str], output: str) -> int:
    """Publish the event that ``fields`` (those of ``PublishText``) describe; ``-`` as the payload
    reads stdin. Prints the reply as ``output`` (``json`` or ``table``) and returns the exit status.

    Raises ``UnicodeError`` if a text is not UTF-8.
    """
    if fields.get("payload") == "-":
        fields = fields | {"payload": b"".join(stdio.chunks(0)).decode()}
    from event_monitor import spooling

    name = spooling.entry_name("event")
    keyed = {"key": spooling.entry_key(name)} | fields
    cause = causing_event()
    if cause:
        keyed["causation_id"] = cause
    request = wire.frame("publish_text", keyed)
    if len(request) > wire.MAX_FRAME_BYTES:
        return _report_refusal(_TOO_LARGE)
    try:
        reply = wire.exchange(paths.socket, request, DEADLINE)
    except OSError:
        return _spool(paths, name, request, keyed, output)
    if reply.startswith(wire.SUCCESS):
        return _show(reply[len(wire.SUCCESS) : -1], output)
    if any(code in reply[:64] for code in _PASSING):
        return _spool(paths, name, request, keyed, output)
    return _report_refusal(reply[len(wire.REFUSAL) : -1])


def causing_event() -> str:
    """The id of the event whose handler runs this process, or an empty text: it marks what the
    handler publishes, so that a loop is found."""
    text = os.environ.get("EVENT_MONITOR_EVENT_ID", "")
    return text if text.isascii() and text.isdigit() and len(text) <= 18 else ""


def _show(result: bytes, output: str) -> int:
    if output == "json" and not os.isatty(1):
        stdio.write(1, result + b"\n")
        return 0
    from event_monitor.cli.output import show_published

    return show_published(result, output)


def _report_refusal(error: bytes) -> int:
    from event_monitor.cli.output import report_refusal

    return report_refusal(error)


def _spool(paths: HomePaths, name: str, request: bytes, fields: dict[str, str], output: str) -> int:
    from event_monitor.cli.spooled import spool_event

    return spool_event(paths, name, request, fields, output)
