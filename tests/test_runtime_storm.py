"""What a person and a program are told of a storm, in the real runtime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_monitor import messages as m
from event_monitor import runtime as runtime_module
from event_monitor import spooling
from event_monitor.bus import event_bus, storms
from event_monitor.config import StormRule
from event_monitor.control.client import SocketClient
from event_monitor.errors import RateLimited
from event_monitor.model import Status
from event_monitor.paths import HomePaths
from tests.bus.helpers import rows, settings
from tests.test_runtime import running, until


@pytest.fixture
def paths() -> Iterator[HomePaths]:
    with tempfile.TemporaryDirectory(prefix="em") as directory:
        yield HomePaths(os.path.join(directory, "home"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "TICK", 0.02)
    monkeypatch.setattr(event_bus, "EXPIRY_INTERVAL", 0.05)
    monkeypatch.setattr(storms, "QUIET", 0.5)


def types(paths: HomePaths) -> list[str]:
    return [
        found
        for (found,) in rows(
            Path(paths.database), "SELECT event_type FROM events WHERE event_type LIKE 'storm.%' ORDER BY id"
        )
    ]


async def test_a_storm_raises_one_alert_with_rate_and_source_and_an_event_at_each_end(
    paths: HomePaths,
) -> None:
    rule = StormRule(rate=5, burst=5, keep=0)
    async with running(paths, settings(storm={"a.#": rule})) as runtime:
        for round_ in range(3):
            for _ in range(50):
                await runtime.handle(m.Publish(event_type="a.b", source="loud"))
            await until(lambda r=round_: types(paths).count("storm.ended") == r + 1)
        (alert,) = [alert for alert in runtime.alerts.newest(50) if alert.title.startswith("Event storm")]
        assert alert.title == "Event storm: a.#"
        assert alert.detail.startswith("loud publishes ")
        assert "events a second, the limit is 5: most of the rest is only stored" in alert.detail
        assert alert.count == 3
        assert types(paths) == ["storm.began", "storm.ended"] * 3


async def test_the_figures_of_a_storm_are_in_stats_and_its_events_in_history(paths: HomePaths) -> None:
    chosen = settings(
        storm={"a.b": StormRule(rate=1, burst=2, keep=4), "a.c": StormRule(rate=1, burst=1, action="refuse")}
    )
    async with running(paths, chosen) as runtime:
        published = [await runtime.handle(m.Publish(event_type="a.b", source="loud")) for _ in range(10)]
        await runtime.handle(m.Publish(event_type="a.c"))
        client = SocketClient(paths.socket)
        with pytest.raises(RateLimited) as refused:
            await client.request(m.Publish(event_type="a.c"))
        await client.close()
        assert 0 < (refused.value.retry_after or 0) <= 1
        sampled = [reply for reply in published if reply.sampled]
        assert (len(sampled), {tuple(reply.targets) for reply in sampled}) == (6, {()})
        stats = await runtime.handle(m.GetStats())
        assert (stats.sampled, stats.refused, stats.delayed, stats.shed) == (6, 1, 0, {})
        assert [(c.pattern, c.source, c.over, c.kept, c.sampled, c.refused) for c in stats.storms] == [
            ("a.b", "loud", 8, 2, 6, 0),
            ("a.c", None, 1, 0, 0, 1),
        ]
        page = await runtime.handle(m.QueryEvents(status=Status.SAMPLED))
        assert [event.id for event in page.events] == [reply.id for reply in reversed(sampled)]
        detail = await runtime.handle(m.GetEvent(event_id=sampled[0].id))
        assert (detail.event.status, detail.targets, detail.deliveries) == ("sampled", ["log"], [])
        lines = {item.id: item for item in (await runtime.handle(m.GetSnapshot())).feed}
        assert (lines[sampled[0].id].status, lines[sampled[0].id].outcomes) == ("sampled", ())
    async with running(paths, chosen) as runtime:
        lines = {item.id: item for item in (await runtime.handle(m.GetSnapshot())).feed}
        assert (lines[sampled[0].id].status, lines[sampled[0].id].outcomes) == ("sampled", ())


@pytest.mark.parametrize("action", ["refuse", "delay"])
async def test_what_was_spooled_is_held_back_by_no_rule(paths: HomePaths, action: str) -> None:
    """It was promised to be published, and a file is taken whole or not at all."""
    content = b"".join(b'{"event_type":"a.b","key":"k%d"}\n' % number for number in range(300))
    spooling.write_entry(paths.spool, spooling.entry_name("lines"), [content])
    rule = StormRule(rate=1, burst=1, action=action)  # type: ignore[arg-type]
    async with running(paths, settings(storm={"a.b": rule})) as runtime:
        await until(lambda: not os.listdir(os.path.join(paths.spool, "new")))
        assert (await runtime.handle(m.GetStats())).refused == 0
    assert rows(Path(paths.database), "SELECT COUNT(*) FROM events WHERE event_type = 'a.b'") == [(300,)]


async def test_clients_that_name_no_source_take_turns_by_connection(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        names: set[str | None] = set()
        wait = runtime.bus.admission.turns.wait

        async def heard(source: str | None, critical: bool) -> None:
            from event_monitor.bus.turns import publisher

            names.add(source or publisher.get())
            await wait(source, critical)

        runtime.bus.admission.turns.wait = heard  # type: ignore[method-assign]
        clients = [SocketClient(paths.socket) for _ in range(3)]
        for number, client in enumerate(clients):
            await client.request(m.Publish(event_type=f"new.type{number}"))
        for client in clients:
            await client.close()
        assert len(names) == 3
        assert None not in names
