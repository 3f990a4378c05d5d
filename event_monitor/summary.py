"""One line that says what an event is about, from the keys that people look for first."""

from __future__ import annotations

from itertools import islice
from typing import Any

LIMIT = 200

_SUBJECTS = ("service", "server", "name", "title")
_DETAILS = (
    *("error", "message", "reason", "prompt", "command", "path", "status"),
    *("last_assistant_message", "delta", "source"),
)


def summarise(event_type: str, payload: dict[str, Any]) -> str:
    """A summary of at most ``LIMIT`` characters, without line breaks. It may hold any other
    character: it is data."""
    return _line(_compose(event_type, payload))[:LIMIT]


def subject(payload: dict[str, Any]) -> str:
    """What an event is about: the service, server or thing that it names; an empty text if none."""
    return _first(payload, _SUBJECTS)[:LIMIT]


def _compose(event_type: str, payload: dict[str, Any]) -> str:
    tool = payload.get("tool_input")
    if isinstance(tool, dict):
        return _of_tool(payload, tool)
    about = _first(payload, _SUBJECTS)
    detail = _first(payload, _DETAILS)
    if about and detail and about != detail:
        return f"{about}: {detail}"
    if about or detail:
        return about or detail
    telling = (
        f"{key}={_line(value)}"
        for key, value in payload.items()
        if _is_plain(value) and not key.endswith(("_id", "_path"))
    )
    return " ".join(islice(telling, 4))


def _of_tool(payload: dict[str, Any], tool: dict[str, Any]) -> str:
    name = str(payload.get("tool_name", ""))
    what = _first(tool, ("command", "file_path", "path", "pattern", "query", "url", "description"))
    if not what:
        what = " ".join(f"{key}={_line(value)}" for key, value in list(tool.items())[:3] if _is_plain(value))
    text = what if name == "Bash" else f"{name} {what}".strip()
    error = payload.get("error")
    return f"{text} ✖ {_line(error)}" if isinstance(error, str) and error else text


def _first(payload: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = payload.get(key)
        if _is_plain(value) and value != "":
            return _line(value)
    return ""


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _line(value: object) -> str:
    return " ".join(str(value)[: 4 * LIMIT].split())
