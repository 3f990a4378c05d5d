"""The kill switch target: what it stops, and that a mistake stops nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.resilience.retry import PermanentError
from event_monitor.targets.kill_switch import KillSwitchTarget, named_services
from tests.targets.helpers import batch, event

Engaged = tuple[Sequence[str] | None, str, int]


class Switch:
    def __init__(self) -> None:
        self.engaged: list[Engaged] = []

    async def engage(self, services: Sequence[str] | None, reason: str, event_id: int) -> None:
        self.engaged.append((services, reason, event_id))


@pytest.mark.parametrize(
    ("payload", "services"),
    [
        ({"service": "github"}, ("github",)),
        ({"services": ["github", "memory", "github"]}, ("github", "memory")),
        ({"services": "github"}, ("github",)),
        ({"service": "memory", "services": ["github"]}, ("memory", "github")),
        ({"service": "all"}, None),
        ({"services": ["github", "all"]}, None),
        ({"service": None, "message": "disk on fire"}, None),
        ({}, None),
    ],
)
async def test_what_the_payload_says_is_stopped(
    payload: dict[str, Any], services: tuple[str, ...] | None
) -> None:
    switch = Switch()
    await KillSwitchTarget(switch).handle(batch(event(3, "error.critical", payload)))
    ((engaged, _, event_id),) = switch.engaged
    assert (engaged, event_id) == (services, 3)


@pytest.mark.parametrize(
    "payload",
    [
        {"services": []},
        {"services": ["github", 3]},
        {"services": {"github": True}},
        {"service": ["github"]},
        {"service": ""},
        {"service": False},
        {"service": "github", "services": [""]},
    ],
)
async def test_a_mistake_in_the_names_stops_nothing(payload: dict[str, Any]) -> None:
    switch = Switch()
    with pytest.raises(PermanentError, match="names nothing to stop: write a service's name"):
        await KillSwitchTarget(switch).handle(batch(event(3, "error.critical", payload)))
    assert switch.engaged == []


async def test_the_reason_says_which_event_and_shows_no_secret() -> None:
    switch = Switch()
    payload = {"service": "github", "message": "\x1b]0;x\x07run away", "token": "s3cret"}
    await KillSwitchTarget(switch, mask=["token"]).handle(batch(event(9, "error.critical", payload)))
    assert switch.engaged == [(("github",), "event 9 error.critical: github:  ]0;x run away", 9)]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional={"service": _json, "services": _json}))
def test_all_is_stopped_only_if_it_is_said_or_nothing_is(payload: dict[str, Any]) -> None:
    try:
        services = named_services(payload)
    except PermanentError:
        return
    said = [value for value in payload.values() if value is not None]
    if services is None:
        assert not said or "all" in said or any(isinstance(one, list) and "all" in one for one in said)
    else:
        assert services and all(isinstance(name, str) and name for name in services)
        assert len(set(services)) == len(services)
