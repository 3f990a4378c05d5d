"""From settings to services: what each kind needs is named when it is missing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from event_monitor.config import ServiceSettings
from event_monitor.errors import InvalidConfig
from event_monitor.resilience.health import CheckKind
from event_monitor.services.guardian import Guardian
from event_monitor.services.kinds import make_service


def settings(**keys: Any) -> ServiceSettings:
    return msgspec.convert({"name": "it", **keys}, ServiceSettings)


@pytest.mark.parametrize(
    ("keys", "transport"),
    [
        ({"kind": "http", "url": "http://127.0.0.1:1/"}, "http"),
        ({"kind": "tcp", "port": 1}, "tcp"),
        ({"kind": "command", "command": ["true"], "env": {"A": "hunter22"}}, "process"),
        ({"kind": "mcp", "command": ["true"], "env": {"A": "hunter22"}}, "stdio"),
        ({"kind": "mcp", "url": "http://127.0.0.1:1/mcp", "headers": {"A": "hunter22"}}, "streamable http"),
        ({"kind": "process", "match": "^nothing$"}, "process (watched)"),
    ],
)
async def test_each_kind_is_made_of_its_least_settings(keys: dict[str, Any], transport: str) -> None:
    service = make_service(settings(**keys), Guardian())
    assert service.name == "it"
    said = service.describe()
    assert said["transport"] == transport
    assert "hunter22" not in str(said)
    assert set(service.probes()) == set(CheckKind)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "http"}, "needs url"),
        ({"kind": "http", "url": "file:///etc/passwd"}, "url: .*not an http"),
        ({"kind": "tcp"}, "needs port"),
        ({"kind": "command"}, "needs command"),
        ({"kind": "command", "command": [""]}, "needs command"),
        ({"kind": "command", "command": ["a\0b"]}, "zero byte"),
        ({"kind": "mcp"}, "needs command"),
        ({"kind": "mcp", "url": "ws://x"}, "url: .*not an http"),
        ({"kind": "mcp", "url": "http://x", "command": ["y"]}, "not both"),
        ({"kind": "process"}, "needs pid_file"),
        ({"kind": "process", "match": "("}, "match: .*regular expression"),
    ],
)
async def test_what_a_kind_lacks_is_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig, match=f"service it: .*{message}"):
        make_service(settings(**keys), Guardian())
