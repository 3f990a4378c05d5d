"""Kept subscriptions: a command or a Python function that a person registered for a pattern."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from event_monitor.bus.upcasters import Upcasters
from event_monitor.errors import InvalidRequest
from event_monitor.model import Event
from event_monitor.process_group import signal_group, start_group

_ERROR_BYTES = 2_000
_KILL_AFTER = 2.0


class CommandFailed(Exception):
    """The command could not be started or did not exit with 0."""


class CommandHandler:
    """Runs a command for each event, with the event as JSON on its stdin. No shell is involved.

    The command runs in a process group of its own, which is ended with it. Its environment has
    ``EVENT_MONITOR_EVENT_ID``, by which ``event-cli publish`` marks what the command publishes as
    caused by the event.
    """

    def __init__(self, command: str, home: str) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise InvalidRequest(f"the command cannot be read: {error}", "check its quotes") from None
        if not self._arguments:
            raise InvalidRequest("exec: names no command", "write exec:/path/to/program argument")
        if shutil.which(self._arguments[0]) is None:
            raise InvalidRequest(
                f"{self._arguments[0]} is not a program that can be run",
                "give its full path, and make it executable",
            )
        self._home = home

    async def __call__(self, event: Event) -> None:
        """Raises ``CommandFailed`` unless the command exits with 0."""
        environ = {**os.environ, "EVENT_MONITOR_EVENT_ID": str(event.id), "EVENT_MONITOR_HOME": self._home}
        try:
            process = await start_group(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=environ,
            )
        except OSError as error:
            raise CommandFailed(f"{self._arguments[0]} could not be started: {error}") from error
        try:
            errors = await _feed(process, msgspec.json.encode(event) + b"\n")
            code = await process.wait()
        except BaseException:
            await _end_group(process)
            raise
        if code != 0:
            cause = f"signal {-code}" if code < 0 else f"exit status {code}"
            text = errors.decode("utf-8", "replace").strip()
            raise CommandFailed(f"{self._arguments[0]}: {cause}{': ' + text if text else ''}")


async def _feed(process: asyncio.subprocess.Process, event: bytes) -> bytes:
    """Write the event, close stdin, and read the last of stderr until it ends."""
    assert process.stdin is not None and process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(event)
        await process.stdin.drain()
    process.stdin.close()
    tail = b""
    while chunk := await process.stderr.read(65_536):
        tail = (tail + chunk)[-_ERROR_BYTES:]
    return tail


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left of it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        signal_group(process, number)
        if process.returncode is None:
            waiting = asyncio.ensure_future(process.wait())
            await asyncio.wait([waiting], timeout=_KILL_AFTER)


def python_handler(reference: str) -> Callable[[Event], Any]:
    """The function that ``module:function`` names. Raises ``InvalidRequest`` with the reason."""
    function: Callable[[Event], Any] = _load_function(f"py:{reference}", reference)
    with contextlib.suppress(ValueError, TypeError):
        inspect.signature(function).bind(None)
        return function
    raise InvalidRequest(f"py:{reference} does not take one argument", "name a function that takes an event")


def _load_function(what: str, reference: str) -> Callable[..., Any]:
    module_name, _, function_name = reference.partition(":")
    if not module_name or not function_name:
        raise InvalidRequest(f"{what} is not module:function", "write package.module:function")
    try:
        module = importlib.import_module(module_name)
        function: Callable[..., Any] = getattr(module, function_name)
    except Exception as error:
        raise InvalidRequest(
            f"{what} cannot be loaded: {type(error).__name__}: {error}",
            "it must be importable where event-monitor runs",
        ) from error
    if not callable(function):
        raise InvalidRequest(f"{what} is not a function", "name a function that takes one argument")
    return function


def load_upcasters(upcasters: Upcasters, configured: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Register what the settings name. Answers what cannot be loaded: events that need it become dead
    letters with that reason."""
    problems: list[str] = []
    for pattern, steps in configured.items():
        for version, reference in steps.items():
            try:
                function = _load_function(f"the upcaster {reference}", reference)
            except InvalidRequest as error:
                problems.append(f"{pattern} from schema version {version}: {error}")
                function = _failing(str(error))
            upcasters.register(pattern, int(version), function)
    return problems


def _failing(reason: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def upcast(payload: dict[str, Any]) -> dict[str, Any]:
        raise InvalidRequest(reason)

    return upcast
