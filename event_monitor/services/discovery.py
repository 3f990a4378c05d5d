"""Which MCP servers the assistant's own configuration declares. Files are read; nothing is started.

A file inside a project may be a stranger's: its servers are told only if the person approved them, and
its own settings may approve something only if the person has trusted that project.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from event_monitor.services.providers.confined import read_regular
from event_monitor.services.shown import VARIABLE, address_shown, words_shown

MAX_CONFIG_BYTES = 16_000_000
MAX_PROJECT_BYTES = 1_000_000
MAX_SERVERS = 1_000
MAX_PROJECTS = 1_000
MAX_NOTES = 200
MAX_NAME = 200

Scope = Literal["user", "local", "project"]
Transport = Literal["stdio", "http", "sse", "ws", "unknown"]

_TRANSPORTS: Mapping[str, Transport] = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "sse": "sse",
    "ws": "ws",
}
_EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """One declared server.

    ``shown`` is its command line or address as it was declared, without what looks like a secret;
    ``command``, ``url``, ``env`` and ``headers`` are expanded, may hold secrets, and are for starting it
    only. ``timeout`` is the declared limit of one call in seconds. ``project`` is the directory that it
    belongs to. ``fingerprint`` changes with anything that is declared.
    """

    name: str
    scope: Scope
    transport: Transport
    origin: str
    project: str | None = None
    shown: str = ""
    timeout: float | None = None
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    command: tuple[str, ...] = field(default=(), repr=False)
    url: str | None = field(default=None, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def env_names(self) -> tuple[str, ...]:
        """The variables that are set for it."""
        return tuple(self.env)

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers that are sent to it."""
        return tuple(self.headers)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, and what a person should know about the files."""

    servers: tuple[DiscoveredServer, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Approvals:
    """What the person said about one project's ``.mcp.json``. A refusal outweighs an approval."""

    every: bool
    enabled: frozenset[str]
    disabled: frozenset[str]

    def cover(self, name: str) -> bool:
        return name not in self.disabled and (self.every or name in self.enabled)


def discover(
    claude_home: str | os.PathLike[str],
    cwd: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[DiscoveredServer]:
    """The servers of ``survey``."""
    return list(survey(claude_home, cwd, environ).servers)


def survey(
    claude_home: str | os.PathLike[str],
    cwd: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Discovery:
    """The servers of the user, local and project scope and notes about files that are broken.

    ``CLAUDE_CONFIG_DIR`` in ``environ`` outweighs ``claude_home``. With ``cwd`` only its project and the
    directories above are looked at, else every project that the configuration knows. Reads files and
    may block; raises nothing for what they hold."""
    home = os.path.abspath(os.path.expanduser(environ.get("CLAUDE_CONFIG_DIR") or os.fspath(claude_home)))
    return _Survey(home, environ).run(None if cwd is None else os.path.abspath(os.fspath(cwd)))


class _Survey:
    """One run: collects servers and notes."""

    def __init__(self, home: str, environ: Mapping[str, str]) -> None:
        self._home = home
        self._environ = environ
        self._servers: list[DiscoveredServer] = []
        self._notes: list[str] = []

    def run(self, cwd: str | None) -> Discovery:
        origin = self._config_file()
        config = self._read(origin, MAX_CONFIG_BYTES)
        self._add(config.get("mcpServers"), "user", origin, None)
        projects = _mapping(config.get("projects"))
        settings = self._read(os.path.join(self._home, "settings.json"), MAX_PROJECT_BYTES)
        known = [name for name in projects if os.path.isabs(name) and "\0" not in name]
        if cwd is None and len(known) > MAX_PROJECTS:
            self._note(f"{origin}: only {MAX_PROJECTS:,} of {len(known):,} projects were looked at")
        for project in known[:MAX_PROJECTS] if cwd is None else _upwards(cwd):
            entry = _mapping(projects.get(project))
            self._add(entry.get("mcpServers"), "local", origin, project)
            self._add_project(project, entry, settings)
        return Discovery(tuple(self._servers), tuple(self._notes))

    def _config_file(self) -> str:
        inside = os.path.join(self._home, ".claude.json")
        moved = bool(self._environ.get("CLAUDE_CONFIG_DIR")) or os.path.basename(self._home) != ".claude"
        if moved or os.path.exists(inside):
            return inside
        return os.path.join(os.path.dirname(self._home), ".claude.json")

    def _add_project(self, project: str, entry: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        origin = os.path.join(project, ".mcp.json")
        declared = _mapping(self._read(origin, MAX_PROJECT_BYTES).get("mcpServers"))
        if not declared:
            return
        approvals = self._approvals(project, entry, settings)
        approved = {name: server for name, server in declared.items() if approvals.cover(name)}
        self._add(approved, "project", origin, project)
        waiting = sorted(name for name in declared if name not in approved and name not in approvals.disabled)
        if waiting:
            told = ", ".join(name[:MAX_NAME] for name in waiting[:10])
            self._note(f"{origin}: not approved and left out ({len(waiting):,}): {told!r}")

    def _approvals(self, project: str, entry: Mapping[str, Any], settings: Mapping[str, Any]) -> _Approvals:
        own = [
            self._read(os.path.join(project, ".claude", name), MAX_PROJECT_BYTES)
            for name in ("settings.json", "settings.local.json")
        ]
        trusted = entry.get("hasTrustDialogAccepted") is True
        believed = [entry, settings, *(own if trusted else [])]
        return _Approvals(
            any(source.get("enableAllProjectMcpServers") is True for source in believed),
            frozenset(name for source in believed for name in _names(source.get("enabledMcpjsonServers"))),
            frozenset(
                name
                for source in (entry, settings, *own)
                for name in _names(source.get("disabledMcpjsonServers"))
            ),
        )

    def _add(self, declared: Any, scope: Scope, origin: str, project: str | None) -> None:
        if declared is not None and not isinstance(declared, dict):
            self._note(f"{origin}: mcpServers must be an object")
        for name, value in _mapping(declared).items():
            if len(self._servers) == MAX_SERVERS:
                self._note(f"{origin}: more than {MAX_SERVERS:,} servers are declared; the rest is left out")
                return
            if not name or len(name) > MAX_NAME or not isinstance(value, dict):
                self._note(f"{origin}: the server {name[:MAX_NAME]!r} must be an object with a short name")
                continue
            self._servers.append(_server(name, value, scope, origin, project, self._environ))

    def _read(self, path: str, limit: int) -> Mapping[str, Any]:
        """A file's JSON object; empty, with a note, for one that is none."""
        try:
            content = read_regular(path, limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return _EMPTY
        except (OSError, ValueError) as error:
            self._note(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
            return _EMPTY
        if len(content) > limit:
            self._note(f"{path}: is larger than {limit:,} bytes and was not read")
            return _EMPTY
        try:
            value = msgspec.json.decode(content)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self._note(f"{path}: is not valid JSON: {error}")
            return _EMPTY
        if not isinstance(value, dict):
            self._note(f"{path}: must hold a JSON object")
            return _EMPTY
        return value

    def _note(self, text: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append(text)


def _server(
    name: str,
    declared: Mapping[str, Any],
    scope: Scope,
    origin: str,
    project: str | None,
    environ: Mapping[str, str],
) -> DiscoveredServer:
    notes: list[str] = []
    unset: dict[str, None] = {}
    transport = _transport(declared, notes)
    program, url = declared.get("command"), declared.get("url")
    arguments = declared.get("args")
    words = [program] if isinstance(program, str) and program else []
    if words and isinstance(arguments, list):
        words += [word for word in arguments if isinstance(word, str)]
        if len(words) <= len(arguments):
            notes.append("args that are not text were left out")
    elif arguments is not None and not isinstance(arguments, list):
        notes.append("args must be a list")
    env, headers = (
        {key: _expanded(str(value), environ, unset) for key, value in _mapping(declared.get(name)).items()}
        for name in ("env", "headers")
    )
    is_stdio = transport == "stdio"
    address = url if isinstance(url, str) and not is_stdio else None
    command = tuple(_expanded(word, environ, unset) for word in words) if is_stdio else ()
    expanded = None if address is None else _expanded(address, environ, unset)
    notes += [f"the variable {variable} is not set" for variable in unset]
    return DiscoveredServer(
        name=name,
        scope=scope,
        transport=transport,
        origin=origin,
        project=project,
        shown=words_shown(words) if is_stdio else address_shown(address or ""),
        timeout=_timeout(declared.get("timeout"), notes),
        notes=tuple(notes),
        fingerprint=_fingerprint(declared),
        command=command,
        url=expanded,
        env=env,
        headers=headers,
    )


def _fingerprint(declared: Mapping[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(declared, order='sorted')).hexdigest()}"


def _transport(declared: Mapping[str, Any], notes: list[str]) -> Transport:
    kind = declared.get("type", "stdio" if "command" in declared else None)
    transport = _TRANSPORTS.get(kind, "unknown") if isinstance(kind, str) else "unknown"
    if transport == "unknown":
        notes.append("has no type that is known: stdio, http, sse or ws")
    needed = "command" if transport == "stdio" else "url"
    value = declared.get(needed)
    if transport != "unknown" and not (isinstance(value, str) and value):
        notes.append(f"has no {needed}")
    return transport


def _timeout(value: Any, notes: list[str]) -> float | None:
    """The limit of a call in seconds. The assistant ignores one below a second."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 1_000 <= value < 1e12:
        return value / 1_000
    if value is None:
        notes.append("has no timeout: a call may hang without limit")
    else:
        notes.append("its timeout is ignored: it must be 1000 milliseconds or more")
    return None


def _expanded(text: str, environ: Mapping[str, str], unset: dict[str, None]) -> str:
    """``${NAME}`` and ``${NAME:-default}`` replaced; what is not set stays as it is and is noted."""

    def value(found: re.Match[str]) -> str:
        if found[1] in environ:
            return environ[found[1]]
        if found[2] is None:
            unset[found[1]] = None
            return found[0]
        return found[2]

    return VARIABLE.sub(value, text)


def _upwards(path: str) -> Iterator[str]:
    """A directory and all above it, the nearest first."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
