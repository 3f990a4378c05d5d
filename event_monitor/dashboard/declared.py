"""The MCP servers that the assistant declares, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from event_monitor.replies.general import DiscoveredServerInfo, DiscoveredServers
from event_monitor.widgets.text import Line, clip, fit, line, plain, time_of_day

_ADVICE = (
    "Nothing is started because it is declared. To have one started and watched:",
    "event-cli services adopt NAME",
)
_WATCHED = {"pass": ("✔", "good"), "fail": ("✖", "bad")}


def declared_lines(found: DiscoveredServers, width: int) -> list[Line]:
    """Each server with who watches it, its command, scope and the calls that were seen; then notes."""
    lines: list[Line] = []
    for server in found.servers:
        lines += [*_server(server), Line()]
    if not found.servers:
        lines += [line((" Your assistant declares no MCP server.", "strong")), Line()]
    lines += [line(" ", (plain(note), "warn")) for note in found.notes]
    lines += [Line()] * bool(found.notes)
    lines += [line((f" {_ADVICE[0]}", "dim")), line(" ", (_ADVICE[1], "accent"))]
    return [clip(one, width) for one in lines]


def _server(server: DiscoveredServerInfo) -> Iterator[Line]:
    glyph, tone = _WATCHED.get(server.health or "", ("·", "dim"))
    watched = f"watched as {plain(server.service)} ({server.health})" if server.service else "not watched"
    yield line(" ", (glyph, tone), " ", (fit(plain(server.name), 20), "strong"), f" {watched}")
    yield line("   ", (plain(server.shown), "accent"))
    project = f" for {plain(server.project)}" if server.project and server.scope == "local" else ""
    where = f"{server.scope} scope, {server.transport}, {plain(server.origin)}{project}"
    yield line("   ", (where, "dim"))
    calls = server.calls_ok + server.calls_failed
    if server.last_call_at is not None:
        at = time_of_day(server.last_call_at)
        yield line("   ", f"{calls:,} calls seen, {server.calls_failed:,} failed, the last at {at}")
    if server.last_error:
        yield line("   ", (plain(server.last_error), "bad"))
    for note in server.notes:
        yield line("   ", (plain(note), "warn"))
