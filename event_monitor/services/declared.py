"""Services that a person took over from the assistant's configuration."""

from __future__ import annotations

from msgspec.structs import replace

from event_monitor.config import DeclaredSettings, ServiceSettings
from event_monitor.errors import InvalidService
from event_monitor.services.discovery import DiscoveredServer, Discovery

STARTABLE = ("stdio", "http")


def resolve(one: ServiceSettings, found: Discovery) -> ServiceSettings:
    """The service with the command or address, environment and headers that are declared for it now.

    Raises ``InvalidService`` if they are not those that the person approved, or are gone.
    """
    declared = one.declared
    if declared is None:
        return one
    if one.kind != "mcp" or one.command or one.url is not None:
        raise InvalidService(
            "declared",
            f"service {one.name}: what is declared is an mcp service with a command or url of its own",
            "give it kind: mcp and neither command nor url",
        )
    server = find(declared, found)
    again = f"look with event-cli services discover, then event-cli services forget {one.name} and adopt it"
    if server is None:
        raise InvalidService(
            "declared",
            f"service {one.name}: the {declared.scope} scope declares no server {declared.name!r}"
            + (f" for {declared.project}" if declared.project else ""),
            f"{again}, if it was moved",
        )
    if server.transport not in STARTABLE:
        raise InvalidService(
            "declared",
            f"service {one.name}: {server.origin} declares {server.name} with a transport that is not spoken"
            f" here: {server.transport}",
            f"those are {' and '.join(STARTABLE)}",
        )
    if server.fingerprint != declared.approved:
        raise InvalidService(
            "declared.approved",
            f"service {one.name}: {server.origin} declares {server.name} otherwise than it was approved,"
            " so it is not started",
            again,
        )
    return replace(
        one,
        command=server.command,
        url=server.url,
        env={**server.env, **one.env},
        headers={**server.headers, **one.headers},
        cwd=one.cwd or server.project,
    )


def find(declared: DeclaredSettings, found: Discovery) -> DiscoveredServer | None:
    """The server that a service's settings refer to."""
    return next((server for server in found.servers if refers(declared, server)), None)


def refers(declared: DeclaredSettings, server: DiscoveredServer) -> bool:
    """Whether settings mean this server."""
    wanted = declared.scope, declared.name, declared.project
    return wanted == (server.scope, server.name, server.project)
