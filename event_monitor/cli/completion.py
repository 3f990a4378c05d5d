"""The values that completion scripts ask the running bus for."""

from __future__ import annotations

import re
from collections.abc import Callable

from event_monitor.cli.connection import Connection
from event_monitor.errors import EventMonitorError
from event_monitor.messages import GetAnalytics, GetStats, QuerySubscriptions
from event_monitor.paths import HomePaths

# A shell waits for them between two keys.
_SECONDS = 0.5
# bash expands the words that it is offered: a name with more in it could run a command.
_HARMLESS = re.compile(r"[A-Za-z0-9_.:-]+")


def offered_values(paths: HomePaths, kind: str) -> list[str]:
    """The known ``types``, ``targets`` or ``subscriptions``, sorted. None where the bus cannot say:
    a completion must not fill the prompt with errors."""
    try:
        with Connection(paths, _SECONDS) as connection:
            return sorted(filter(_HARMLESS.fullmatch, _QUERIES[kind](connection)))
    except EventMonitorError:
        return []


def _types(connection: Connection) -> list[str]:
    return [row.name for row in connection.request(GetAnalytics()).by_type]


def _targets(connection: Connection) -> list[str]:
    return list(connection.request(GetStats()).targets)


def _subscriptions(connection: Connection) -> list[str]:
    return [item.name for item in connection.request(QuerySubscriptions()).subscriptions]


_QUERIES: dict[str, Callable[[Connection], list[str]]] = {
    "types": _types,
    "targets": _targets,
    "subscriptions": _subscriptions,
}
