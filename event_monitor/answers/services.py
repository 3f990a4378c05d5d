"""Answers about services: those that are configured, those that the assistant declares, and how one of
these becomes one of those."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from event_monitor import messages as m
from event_monitor.bus.store import EventStore
from event_monitor.calls_seen import CallsSeen, read_calls
from event_monitor.configured import survey_assistant
from event_monitor.errors import InvalidRequest, NotFound
from event_monitor.reloading import Reloader
from event_monitor.replies import general as r
from event_monitor.resilience.health import Health
from event_monitor.services.checking import name_mistake
from event_monitor.services.declared import STARTABLE, refers
from event_monitor.services.discovery import DiscoveredServer
from event_monitor.services.guard import ServiceGuard
from event_monitor.services.registry import ServiceRegistry
from event_monitor.settings_edit import Entry, add_service, entry_text, remove_service

logger = logging.getLogger(__name__)


class ServiceDesk:
    """Knows the services and the assistant's declarations. ``unwatched`` is how many declared servers
    nobody watched when they were last looked at. Nothing that is declared is started without
    ``AdoptService``, which is a person's word for what its fingerprint stands for."""

    def __init__(self, services: ServiceRegistry, store: EventStore, reloader: Reloader) -> None:
        self._services = services
        self._store = store
        self._reloader = reloader
        self.unwatched = 0
        self.handlers: Mapping[type[m.Message], Callable[[Any], Awaitable[Any]]] = {
            m.Reload: self._reload,
            m.QueryServices: self._list,
            m.QueryDiscovered: self._discovered,
            m.PlanAdoption: self._plan,
            m.AdoptService: self._adopt,
            m.ForgetService: self._forget,
        }

    async def look(self) -> None:
        """Look at what is declared, for the hint on the screen."""
        found = await asyncio.to_thread(survey_assistant)
        self._count(found.servers)

    def _count(self, servers: Sequence[DiscoveredServer]) -> None:
        self.unwatched = sum(self._watching(server) is None for server in servers)

    async def _reload(self, message: m.Reload) -> r.Done:
        return r.Done(count=1, message=await self._reloader.reload())

    async def _list(self, message: m.QueryServices) -> r.Services:
        return r.Services(services=[_row(guard) for guard in self._services.values()])

    async def _discovered(self, message: m.QueryDiscovered) -> r.DiscoveredServers:
        found = await asyncio.to_thread(survey_assistant)
        self._count(found.servers)
        await self._store.catch_up()
        calls = await self._store.read(read_calls)
        declared = {server.name for server in found.servers}
        others = sorted(name for name in calls if name not in declared)
        notes = list(found.notes)
        if others:
            notes.append(f"called, but declared in no file that is read here: {', '.join(others)}")
        return r.DiscoveredServers(servers=[self._info(one, calls) for one in found.servers], notes=notes)

    # --- adoption ---------------------------------------------------------------------------

    async def _plan(self, message: m.PlanAdoption) -> r.AdoptionPlan:
        server = await self._chosen(message)
        service = self._free_name(server, message.service)
        return r.AdoptionPlan(
            service=service,
            server=self._info(server, {}),
            fingerprint=server.fingerprint,
            file=self._reloader.path,
            entry=entry_text(_entry(service, server)),
            cwd=server.project,
        )

    async def _adopt(self, message: m.AdoptService) -> r.Done:
        server = await self._chosen(message)
        service = self._free_name(server, message.service)
        if server.fingerprint != message.fingerprint:
            raise InvalidRequest(
                f"{server.origin} declares {server.name} otherwise than it was shown", "look at it again"
            )
        entry = _entry(service, server)
        told = await self._reloader.edit(lambda path: add_service(path, entry))
        logger.info("%s (%s scope) was adopted as %s by %s", server.name, server.scope, service, message.by)
        self.unwatched = max(0, self.unwatched - 1)
        return r.Done(count=1, message=f"{service} is watched from now on; {told}")

    async def _forget(self, message: m.ForgetService) -> r.Done:
        guard = self._services.get(message.service)
        if guard is not None and guard.settings.declared is None:
            raise InvalidRequest(
                f"{message.service} was not adopted but written by hand",
                f"take it out of {self._reloader.path}: that is put in force at once",
            )
        told = await self._reloader.edit(lambda path: remove_service(path, message.service))
        logger.info("%s was forgotten by %s", message.service, message.by)
        return r.Done(count=1, message=f"{message.service} is no longer watched; {told}")

    async def _chosen(self, message: m.PlanAdoption | m.AdoptService) -> DiscoveredServer:
        """The one server that a message means. Raises ``NotFound`` or ``InvalidRequest``."""
        found = await asyncio.to_thread(survey_assistant)
        named = [server for server in found.servers if server.name == message.name]
        fitting = [
            server
            for server in named
            if message.scope in (None, server.scope) and message.project in (None, server.project)
        ]
        look = "see event-cli services discover"
        if not fitting:
            raise NotFound(f"the assistant declares no such server {message.name[:80]!r}", look)
        if len(fitting) > 1:
            places = "; ".join(_place(server) for server in fitting[:10])
            raise InvalidRequest(
                f"{message.name} is declared more than once: {places}", "name one by --scope and --project"
            )
        (server,) = fitting
        if server.transport not in STARTABLE or not (server.command or server.url):
            raise InvalidRequest(
                f"{server.name} cannot be watched: its transport is {server.transport}", look
            )
        watching = self._watching(server)
        if watching is not None:
            raise InvalidRequest(f"{server.name} is watched already, as {watching}", look)
        return server

    def _free_name(self, server: DiscoveredServer, wanted: str | None) -> str:
        name = wanted or server.name
        if name in self._services:
            raise InvalidRequest(f"a service is named {name} already", "choose another name with --as")
        mistake = name_mistake(name)
        if mistake is not None:
            raise InvalidRequest(mistake.message, mistake.advice)
        return name

    def _watching(self, server: DiscoveredServer) -> str | None:
        """The configured service that is this server: by reference, or by its command or address."""
        for name, guard in self._services.items():
            one = guard.settings
            if one.declared is not None:
                if refers(one.declared, server):
                    return name
            elif one.kind == "mcp" and (one.command, one.url) == (server.command, server.url):
                return name
        return None

    def _info(self, server: DiscoveredServer, seen: Mapping[str, CallsSeen]) -> r.DiscoveredServerInfo:
        service = self._watching(server)
        calls = seen.get(server.name, CallsSeen())
        return r.DiscoveredServerInfo(
            name=server.name,
            scope=server.scope,
            transport=server.transport,
            origin=server.origin,
            project=server.project,
            shown=server.shown,
            env=list(server.env_names),
            headers=list(server.header_names),
            timeout=server.timeout,
            service=service,
            health=None if service is None else _health(self._services[service]),
            calls_ok=calls.ok,
            calls_failed=calls.failed,
            last_call_at=calls.last_at,
            last_error=calls.last_error,
            notes=list(server.notes),
        )


def _entry(service: str, server: DiscoveredServer) -> Entry:
    """What is written for a server: where it is declared, and what was approved; none of its secrets."""
    declared = {"scope": server.scope, "name": server.name, "approved": server.fingerprint}
    if server.project is not None:
        declared["project"] = server.project
    return {"name": service, "kind": "mcp", "declared": declared}


def _place(server: DiscoveredServer) -> str:
    return f"{server.scope} scope" + (f" of {server.project}" if server.project else "")


def _health(guard: ServiceGuard) -> str:
    verdicts = guard.verdicts()
    return Health.FAIL.value if Health.FAIL in verdicts else verdicts[1].value


def _row(guard: ServiceGuard) -> r.ServiceRow:
    startup, readiness, liveness = (verdict.value for verdict in guard.verdicts())
    details = guard.service.describe()
    starts = details.get("starts")
    settings = guard.settings
    return r.ServiceRow(
        service=guard.name,
        kind=settings.kind,
        state=details.get("state") or {"pass": "up", "fail": "down"}.get(_health(guard), "unknown"),
        breaker=guard.breaker.state.value,
        startup=startup,
        readiness=readiness,
        liveness=liveness,
        pid=details.get("pid"),
        restarts=None if starts is None else max(0, starts - 1),
        critical=settings.critical,
        declared=None if settings.declared is None else settings.declared.scope,
    )
