"""What hooks told of the calls to an assistant's MCP servers, read from the recorded events."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

NEWEST = 1_000
"""How many calls of each outcome are looked at: a bound on the time that a look takes."""

_OUTCOMES = ("mcp.call.ok", "mcp.call.failed")
_ERROR_LENGTH = 300
_QUERY = (
    "SELECT timestamp, json_extract(payload, '$.mcp_server.name'), json_extract(payload, '$.tool_name'), "
    f"substr(json_extract(payload, '$.error'), 1, {_ERROR_LENGTH}) "
    "FROM events WHERE event_type = ? AND json_valid(payload) ORDER BY id DESC LIMIT ?"
)


@dataclass(slots=True)
class CallsSeen:
    """The newest calls of one server. ``last_error`` is that of the newest failed one."""

    ok: int = 0
    failed: int = 0
    last_at: str | None = None
    last_error: str | None = None


def read_calls(connection: sqlite3.Connection) -> dict[str, CallsSeen]:
    """The calls of each server by its name, of the newest ``NEWEST`` of each outcome."""
    seen: dict[str, CallsSeen] = {}
    for outcome in _OUTCOMES:
        for at, server, tool, error in connection.execute(_QUERY, (outcome, NEWEST)):
            name = _server_of(server, tool)
            if name is None:
                continue
            calls = seen.setdefault(name, CallsSeen())
            if outcome == "mcp.call.ok":
                calls.ok += 1
            else:
                calls.failed += 1
                calls.last_error = calls.last_error or (None if error is None else str(error))
            calls.last_at = max(calls.last_at or "", at)
    return seen


def _server_of(server: object, tool: object) -> str | None:
    """The server's own name; of an older assistant the part of the tool's that stands for it."""
    if isinstance(server, str):
        return server
    words = tool.split("__") if isinstance(tool, str) else []
    return words[1] if len(words) > 2 and words[0] == "mcp" else None
