"""Which class serves which kind, and what each kind cannot do without."""

from __future__ import annotations

from event_monitor.config import ServiceSettings
from event_monitor.errors import InvalidService
from event_monitor.services.base import Service
from event_monitor.services.command import CommandService
from event_monitor.services.guardian import Guardian
from event_monitor.services.http import HttpService
from event_monitor.services.mcp import McpService
from event_monitor.services.mcp_http import McpHttpService
from event_monitor.services.process import ProcessService
from event_monitor.services.tcp import TcpService


def make_service(settings: ServiceSettings, guardian: Guardian) -> Service:
    """The service that the settings describe, not started. Raises ``InvalidService`` that names the
    key which its kind lacks or cannot use."""
    match settings.kind:
        case "http":
            return _http(settings)
        case "tcp":
            if settings.port is None:
                raise _lacks(settings, "port", "the port that it listens on")
            return TcpService(settings.name, settings.host, settings.port)
        case "command":
            return CommandService(
                settings.name,
                _command(settings),
                guardian,
                env=settings.env,
                cwd=settings.cwd,
                restart=settings.restart,
            )
        case "mcp":
            return _mcp(settings, guardian)
        case "process":
            return _process(settings)


def _http(settings: ServiceSettings) -> HttpService:
    if settings.url is None:
        raise _lacks(settings, "url", "the address to ask, for example http://127.0.0.1:8080/health")
    try:
        return HttpService(settings.name, settings.url, settings.headers, settings.bulkhead.max_concurrent)
    except ValueError as error:
        raise _wrong(settings, "url", error) from error


def _mcp(settings: ServiceSettings, guardian: Guardian) -> McpService | McpHttpService:
    if settings.url is not None and settings.command:
        raise InvalidService(
            "url",
            f"service {settings.name}: an mcp service has command or url, not both",
            "keep command for a server that we start, url for one that is reached over HTTP",
        )
    if settings.url is not None:
        try:
            return McpHttpService(
                settings.name, settings.url, settings.headers, settings.bulkhead.max_concurrent
            )
        except ValueError as error:
            raise _wrong(settings, "url", error) from error
    if not settings.command:
        raise _lacks(settings, "command", "the server's program and arguments as a list, or give its url")
    return McpService(
        settings.name,
        _command(settings),
        guardian,
        env=settings.env,
        cwd=settings.cwd,
        restart=settings.restart,
        start_limit=settings.probes.startup.limit,
    )


def _process(settings: ServiceSettings) -> ProcessService:
    if settings.pid_file is None and settings.match is None:
        raise _lacks(settings, "pid_file", "its pid file, or a match for its command line")
    try:
        return ProcessService(settings.name, pid_file=settings.pid_file, match=settings.match)
    except ValueError as error:
        raise _wrong(settings, "match", error) from error


def _command(settings: ServiceSettings) -> tuple[str, ...]:
    if not settings.command or not settings.command[0]:
        raise _lacks(settings, "command", "the program and its arguments as a list")
    if any("\0" in word for word in settings.command):
        raise _wrong(settings, "command", ValueError("a word holds a zero byte"))
    return settings.command


def _lacks(settings: ServiceSettings, key: str, what: str) -> InvalidService:
    message = f"service {settings.name}: kind {settings.kind} needs {key}"
    return InvalidService(key, message, f"set {key} to {what}")


def _wrong(settings: ServiceSettings, key: str, error: ValueError) -> InvalidService:
    return InvalidService(key, f"service {settings.name}: {key}: {error}", f"correct {key}")
