"""``publish`` with no bus running."""

from __future__ import annotations

import contextlib

from event_monitor.cli.output import Printer, ReaderGone, report, report_error
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.spooled import spool
from event_monitor.messages import PublishText
from event_monitor.paths import HomePaths


def spool_event(paths: HomePaths, name: str, request: bytes, fields: dict[str, str], output: str) -> int:
    """Check one event, store it as the entry ``name`` and print the outcome. Returns the exit status."""
    try:
        published = spool(paths.spool, name, PublishText(**fields), request)
    except EventMonitorError as error:
        return report_error(error)
    except OSError as error:
        report(
            f"no bus is running and the spool cannot be written: {error} (free space, or start event-monitor)"
        )
        return 1
    with contextlib.suppress(ReaderGone):
        Printer(output).reply(published)
    return 0
