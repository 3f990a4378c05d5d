"""The call interface of all fallback providers, and what they share."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar

from event_monitor.services.base import CallerError, ServiceError

T = TypeVar("T")

Stopped = Callable[[], bool]
"""Whether the caller has gone: long work asks it between two pieces."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
# fmt: off
_ASKS = frozenset(
    {
        "get", "list", "read", "search", "find", "fetch", "show", "query", "describe",
        "count", "status", "log", "diff", "grep", "head", "lookup",
    }
)
_CHANGES = frozenset(
    {
        "add", "append", "apply", "approve", "assign", "cancel", "close", "commit", "create",
        "delete", "disable", "drop", "edit", "enable", "execute", "fork", "insert", "invoke",
        "kill", "lock", "merge", "move", "mark", "patch", "post", "publish", "push",
        "put", "remove", "rename", "reopen", "replace", "request", "rerun", "restart", "run",
        "save", "send", "set", "start", "stop", "submit", "unlock", "update", "upload",
        "write",
    }
)
# fmt: on


class Provider(Protocol):
    """One fallback provider."""

    async def call(self, operation: str, /, **arguments: Any) -> Any:
        """Do what the service would have done, as far as that is possible here.

        Answers plain JSON values, or an ``Answer`` that says how old it is. Raises ``CallerError`` for
        an operation or argument that this provider does not take, ``ServiceError`` when it failed."""


async def in_thread(work: Callable[[Stopped], T]) -> T:
    """``work``'s result, found on a thread. A cancelled caller leaves at once, and ``work`` hears of it."""
    gone = threading.Event()
    try:
        return await asyncio.to_thread(work, gone.is_set)
    finally:
        gone.set()


def unwrapped(operation: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments, also where they came as MCP's ``tools/call``."""
    if operation != "tools/call":
        return operation, dict(arguments)
    inner = arguments.get("arguments")
    return str(arguments.get("name")), dict(inner) if isinstance(inner, Mapping) else {}


def only_asks(operation: str) -> bool:
    """Whether an operation's name says that it reads and changes nothing. In doubt it does not.

    The first verb decides (``get_commit`` asks, ``commit_log`` may not), unless it has a second one
    (``get_or_create``)."""
    words = [word.lower() for word in _WORDS.findall(operation)]
    verbs = [word for word in words if word in _ASKS or word in _CHANGES]
    joined = not {"or", "and"}.isdisjoint(words) and not _CHANGES.isdisjoint(words)
    return bool(verbs) and verbs[0] in _ASKS and not joined


def text_argument(arguments: Mapping[str, Any], *names: str, default: str | None = None) -> str:
    """The first of ``names`` that was given. Raises ``CallerError`` if none is text."""
    for name in names:
        value = arguments.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            raise CallerError(f"{name} must be text, not {type(value).__name__}")
    if default is None:
        raise CallerError(f"{names[0]} is missing")
    return default


def count_argument(arguments: Mapping[str, Any], *names: str, default: int, most: int) -> int:
    """The first of ``names`` that was given, a whole number from 1 to ``most``. Raises ``CallerError``."""
    for name in names:
        value = arguments.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise CallerError(f"{name} must be a whole number from 1 to {most:,}")
        return value
    return default


def refuse_operation(provider: str, operation: str, known: Collection[str]) -> CallerError:
    """The error for an operation that a provider does not have."""
    return CallerError(f"{provider} cannot do {operation[:60]!r}; it knows {', '.join(sorted(known))}")


def decoded(content: bytes, path: str) -> str:
    """The text of a file. Raises ``ServiceError`` for a binary one."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ServiceError(f"{path!r} is not UTF-8 text") from None
    if "\0" in text:
        raise ServiceError(f"{path!r} is a binary file")
    return text
