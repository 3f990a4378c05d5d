"""The recovery target: which service it takes, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from event_monitor.resilience.retry import PermanentError
from event_monitor.targets.recovery import RecoveryTarget, service_name
from tests.bus.helpers import open_bus, rows, rules
from tests.targets.helpers import batch, event


class Services:
    def __init__(self, *names: str) -> None:
        self._names = names
        self.recovered: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def names(self) -> tuple[str, ...]:
        return self._names

    async def recover(self, name: str, reason: str) -> str:
        if self.error is not None:
            raise self.error
        self.recovered.append((name, reason))
        return "restarted"


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"service": "a", "server": "b", "name": "c", "mcp_server": {"name": "d"}}, "a"),
        ({"server": "b", "name": "c", "mcp_server": {"name": "d"}}, "b"),
        ({"name": "c", "mcp_server": {"name": "d"}}, "c"),
        ({"mcp_server": {"name": "d"}}, "d"),
        ({"service": "", "server": 3, "name": None, "mcp_server": {"name": "d"}}, "d"),
        ({"mcp_server": "d"}, None),
        ({"mcp_server": {"name": ["d"]}}, None),
        ({}, None),
    ],
)
def test_which_service_a_payload_names(payload: dict[str, Any], name: str | None) -> None:
    assert service_name(payload) == name


async def test_the_named_service_is_recovered_with_a_reason_that_shows_no_secret() -> None:
    services = Services("github", "memory")
    target = RecoveryTarget(services, mask=["token"])
    payload = {"service": "github", "error": "lost\x1b[31m it", "token": "s3cret"}
    await target.handle(batch(event(7, "mcp.server.down", payload)))
    assert services.recovered == [("github", "event 7 mcp.server.down: github: lost [31m it")]


@pytest.mark.parametrize(
    ("names", "payload", "said"),
    [
        (("github", "memory"), {"service": "gihub"}, "no service is named 'gihub': choose github, memory"),
        ((), {"service": "github"}, "none is configured, add it under services in event-monitor.yaml"),
        (("github",), {"service": "\x1b[2J"}, r"no service is named '\\x1b\[2J'"),
    ],
)
async def test_a_missing_or_unknown_name_is_refused_for_good(
    names: tuple[str, ...], payload: dict[str, Any], said: str
) -> None:
    services = Services(*names)
    with pytest.raises(PermanentError, match=said):
        await RecoveryTarget(services).handle(batch(event(1, "mcp.server.down", payload)))
    assert services.recovered == []


async def test_on_a_bus_an_unknown_name_is_dead_at_once_and_a_failed_recovery_tried_again(
    tmp_path: Any,
) -> None:
    services = Services("github")
    services.error = RuntimeError("it does not start")
    path = tmp_path / "events.db"
    table = rules({"mcp.server.down": ["recovery"]}, "recovery")
    async with open_bus(
        path, lambda bus: bus.add_target("recovery", RecoveryTarget(services).handle), rules=table
    ) as bus:
        await bus.publish("mcp.server.down", {"service": "gone"})
        await bus.publish("mcp.server.down", {"service": "github"})
        await bus.settled()
        found = dict(rows(path, "SELECT event_id, state || ':' || attempts FROM deliveries"))
        assert found[1] == "dead:1"
        assert found[2].split(":")[0] in {"retrying", "queued", "dead"} and services.recovered == []
