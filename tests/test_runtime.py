"""The real runtime in this process: its start and end, every message, spool, rules, states."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from event_monitor import messages as m
from event_monitor import runtime as runtime_module
from event_monitor import spooling
from event_monitor.bus.streams import EventStream
from event_monitor.config import ServiceSettings, Settings
from event_monitor.control.client import SocketClient
from event_monitor.errors import (
    AlreadyRunning,
    EventMonitorError,
    InvalidConfig,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
)
from event_monitor.messages.catalogue import REPLY_OF
from event_monitor.messages.explorer import HistoryFilter
from event_monitor.model import SystemState
from event_monitor.paths import HomePaths
from event_monitor.replies import general as r
from event_monitor.runtime import Runtime
from tests.bus.helpers import rows, settings


@pytest.fixture
def paths() -> Iterator[HomePaths]:
    with tempfile.TemporaryDirectory(prefix="em") as directory:
        yield HomePaths(os.path.join(directory, "home"))


@pytest.fixture(autouse=True)
def quick_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "TICK", 0.02)


@contextlib.asynccontextmanager
async def running(paths: HomePaths, chosen: Settings | None = None) -> AsyncIterator[Runtime]:
    runtime = await Runtime.start(paths, chosen or settings())
    try:
        yield runtime
    finally:
        await runtime.stop()


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for what happens on a timer or in another process."""
    async with asyncio.timeout(20):
        while not (found := condition()):  # noqa: ASYNC110 - it is another process, or a timer, that changes it
            await asyncio.sleep(0.005)
    return found


async def publish(runtime: Runtime, event_type: str = "a.b", **options: Any) -> r.Published:
    published: r.Published = await runtime.handle(m.Publish(event_type=event_type, **options))
    return published


def titles(runtime: Runtime) -> list[str]:
    return [alert.title for alert in runtime.alerts.newest(100)]


# --- start and end --------------------------------------------------------------------------


async def test_it_starts_healthy_and_leaves_nothing_behind(paths: HomePaths) -> None:
    before = asyncio.all_tasks()
    async with running(paths) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        assert os.path.exists(paths.socket)
        await publish(runtime)
        await runtime.bus.settled()
    await runtime.stop()
    assert asyncio.all_tasks() == before
    assert not os.path.lexists(paths.socket)
    assert rows(Path(paths.database), "PRAGMA integrity_check") == [("ok",)]
    assert {status for (status,) in rows(Path(paths.database), "SELECT status FROM events")} == {"delivered"}
    assert oct(os.stat(paths.bus_dir).st_mode & 0o777) == "0o700"


async def test_a_second_start_is_refused_and_harms_nothing(paths: HomePaths) -> None:
    async with running(paths) as first:
        with pytest.raises(AlreadyRunning, match=str(os.getpid())):
            await Runtime.start(paths, settings())
        client = SocketClient(paths.socket)
        assert (await client.request(m.Ping())).pid == os.getpid()
        assert (await publish(first)).status == "accepted"
        await client.close()
    async with running(paths) as again:
        assert (await again.handle(m.GetStats())).published >= 1


@pytest.mark.parametrize("file", ["settings", "rules"])
async def test_a_broken_file_is_told_before_anything_is_touched(paths: HomePaths, file: str) -> None:
    os.makedirs(paths.bus_dir)
    Path(getattr(paths, file)).write_text("\n{ broken", encoding="utf-8")
    with pytest.raises(InvalidConfig, match=f"{getattr(paths, file)}:"):
        await Runtime.start(paths)
    assert os.listdir(paths.bus_dir) == [os.path.basename(getattr(paths, file))]


async def test_a_start_that_fails_half_way_gives_everything_back(paths: HomePaths) -> None:
    os.makedirs(paths.bus_dir)
    Path(paths.socket).write_text("not a socket")
    before = asyncio.all_tasks()
    with pytest.raises(AlreadyRunning, match="is not a socket"):
        await Runtime.start(paths, settings())
    assert asyncio.all_tasks() == before
    assert Path(paths.socket).read_text() == "not a socket"
    os.unlink(paths.socket)
    async with running(paths) as runtime:
        assert (await publish(runtime)).status == "accepted"


async def test_a_damaged_store_is_set_aside_and_said(paths: HomePaths) -> None:
    os.makedirs(paths.bus_dir)
    Path(paths.database).write_bytes(b"no database" * 1_000)
    async with running(paths) as runtime:
        (alert,) = runtime.alerts.newest(10)
        assert alert.title == "Started with a repair"
        assert "events.db.damaged-" in alert.detail
        assert (await publish(runtime)).status == "accepted"
    assert [name for name in os.listdir(paths.bus_dir) if name.startswith("events.db.damaged-")]


async def test_state_and_history_outlive_a_restart(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        await publish(runtime, key="k", payload={"n": 1})
    async with running(paths) as again:
        await until(lambda: again.machine.state is SystemState.HEALTHY)
        report = await again.handle(m.GetState(history=True))
        assert [one.to_state for one in report.history] == ["HEALTHY", "HEALTHY"]
        assert (await publish(again, key="k")).status == "duplicate"
        page = await again.handle(m.QueryEvents(type="system.state.changed"))
        assert len(page.events) == 2


async def test_maintenance_stays_and_holds_all_but_critical(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        await runtime.machine.change(SystemState.MAINTENANCE, "a person says so")
    async with running(paths) as again:
        assert again.machine.state is SystemState.MAINTENANCE
        held = await publish(again, "a.held")
        urgent = await publish(again, "mcp.server.down")
        detail = await until_delivered(again, urgent.id)
        assert detail.event.status == "delivered"
        assert (await again.handle(m.GetEvent(event_id=held.id))).event.status == "pending"
        await again.handle(m.SetMaintenance(on=False))
        assert (await until_delivered(again, held.id)).event.status == "delivered"


async def until_delivered(runtime: Runtime, event_id: int | None) -> r.EventDetail:
    assert event_id is not None
    async with asyncio.timeout(20):
        while True:
            detail: r.EventDetail = await runtime.handle(m.GetEvent(event_id=event_id))
            if detail.event.status != "pending":
                return detail
            await asyncio.sleep(0.005)


# --- every message --------------------------------------------------------------------------

ASKED: dict[type[m.Message], Any] = {
    m.SetBreaker: m.SetBreaker(name="target:log", action="reset", reason="a try"),
    m.SetMaintenance: m.SetMaintenance(on=False),
    m.QueryBreakers: m.QueryBreakers(),
    m.Resume: m.Resume(reason="a try"),
    m.RestartService: m.RestartService(service="web"),
    m.QueryHealth: m.QueryHealth(),
    m.GetService: m.GetService(name="web"),
    m.Publish: m.Publish(event_type="a.b", payload={"x": 1}),
    m.PublishText: m.PublishText(event_type="a.b", payload='{"x": 1}', priority="high", ttl="60"),
    m.PublishLines: m.PublishLines(lines=['{"event_type": "a.b"}', "broken", '{"event_type": "A"}']),
    m.PublishHook: m.PublishHook(text='{"hook_event_name": "Stop", "session_id": "s"}'),
    m.Subscribe: m.Subscribe(pattern="a.#", handler="exec:true", name="mine"),
    m.Unsubscribe: m.Unsubscribe(name="kept"),
    m.RetryDeadLetters: m.RetryDeadLetters(all=True),
    m.DropDeadLetters: m.DropDeadLetters(all=True),
    m.AcknowledgeAlerts: m.AcknowledgeAlerts(),
    m.ReloadRules: m.ReloadRules(),
    m.Reload: m.Reload(),
    m.QueryServices: m.QueryServices(),
    m.QueryDiscovered: m.QueryDiscovered(),
    m.Ping: m.Ping(),
    m.GetSnapshot: m.GetSnapshot(),
    m.GetStats: m.GetStats(),
    m.GetTasks: m.GetTasks(),
    m.GetState: m.GetState(history=True),
    m.QueryEvents: m.QueryEvents(type="#", filter="x", since="-1h", until="now"),
    m.GetEvent: m.GetEvent(event_id=1),
    m.QueryDeadLetters: m.QueryDeadLetters(),
    m.QueryDeadGroups: m.QueryDeadGroups(event_type="#", words=("x",)),
    m.StartRetryRun: m.StartRetryRun(all=True, rate=5.0),
    m.QueryRetryRuns: m.QueryRetryRuns(),
    m.ResolveRoute: m.ResolveRoute(event_type="error.critical"),
    m.QuerySubscriptions: m.QuerySubscriptions(),
    m.QueryAlerts: m.QueryAlerts(),
    m.GetAnalytics: m.GetAnalytics(since="-1h"),
    m.PlanReplay: m.PlanReplay(since="-1h"),
    m.StartReplay: m.StartReplay(since="-1h", until="-59m"),
    m.QueryReplays: m.QueryReplays(),
    m.QueryReplayTargets: m.QueryReplayTargets(),
    m.GetHistogram: m.GetHistogram(),
    m.QueryHistory: m.QueryHistory(where=HistoryFilter(types=("a.#",), since="-1h")),
    m.FindMoment: m.FindMoment(at="-1m"),
    m.GetStoreStats: m.GetStoreStats(),
    m.StartStoreWork: m.StartStoreWork(kind="check"),
    m.ImportLines: m.ImportLines(lines=["broken"]),
}


# These need a server that the assistant declares, a replay, a retry or work on the store that is live, or
# a dead letter: see test_adoption.py, test_replays.py, test_dead_letter_runs.py and store/.
ELSEWHERE = {
    m.PlanAdoption,
    m.AdoptService,
    m.ForgetService,
    m.ControlReplay,
    m.QueryReplayed,
    m.ControlRetryRun,
    m.CorrectDeadLetter,
    m.QueryStoreWork,
    m.CancelStoreWork,
}


@pytest.mark.parametrize(
    "kind", [kind for kind in REPLY_OF if kind not in ELSEWHERE], ids=lambda kind: kind.__name__
)
async def test_every_message_gets_its_reply_here_and_over_the_socket(
    paths: HomePaths, kind: type[m.Message]
) -> None:
    watched = settings(services=(ServiceSettings(name="web", kind="tcp", port=9),))
    async with running(paths, watched) as runtime:
        await publish(runtime)
        await runtime.handle(m.Subscribe(pattern="z.#", handler="exec:true", name="kept"))
        assert type(await runtime.handle(ASKED[kind])) is REPLY_OF[kind]
    async with running(paths, watched) as runtime:
        if kind is m.Unsubscribe:
            await runtime.handle(m.Subscribe(pattern="z.#", handler="exec:true", name="kept"))
        if kind is m.Subscribe:
            await runtime.handle(m.Unsubscribe(name="mine"))
        client = SocketClient(paths.socket)
        assert type(await client.request(ASKED[kind])) is REPLY_OF[kind]
        await client.close()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (m.GetEvent(event_id=10**6), NotFound),
        (m.GetEvent(event_id=-1), NotFound),
        (m.Unsubscribe(name="nobody"), NotFound),
        (m.AcknowledgeAlerts(alert_id=77), NotFound),
        (m.RetryDeadLetters(), InvalidRequest),
        (m.DropDeadLetters(), InvalidRequest),
        (m.DropDeadLetters(groups=(7,)), NotFound),
        (m.StartRetryRun(rate=1.0), InvalidRequest),
        (m.StartRetryRun(event_type="A"), InvalidRequest),
        (m.ControlRetryRun(run_id=7, action="stop"), NotFound),
        (m.CorrectDeadLetter(event_id=10**6, payload={}), NotFound),
        (m.QueryRetryRuns(run_id=7), NotFound),
        (m.QueryEvents(limit=0), InvalidRequest),
        (m.QueryEvents(type="A"), InvalidRequest),
        (m.QueryEvents(filter="("), InvalidRequest),
        (m.QueryEvents(since="yesterday"), InvalidRequest),
        (m.QueryAlerts(limit=-1), InvalidRequest),
        (m.ResolveRoute(event_type="A"), EventMonitorError),
        (m.GetAnalytics(since="nan"), InvalidRequest),
        (m.Subscribe(pattern="A"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="shell:rm"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="exec:"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="exec:'"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="exec:/no/such/program"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="py:no.such:function"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="py:os"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="exec:true", name="../x"), InvalidRequest),
        (m.Subscribe(pattern="a", handler="exec:true", name="log"), EventMonitorError),
        (m.Subscribe(pattern="a", handler="exec:true", filter="("), InvalidRequest),
        (m.Publish(event_type="a", schema_version=1 << 63), EventMonitorError),
        (m.PublishText(event_type="a", payload="[]"), EventMonitorError),
        (m.PublishText(event_type="a", priority="urgent"), EventMonitorError),
        (m.PublishText(event_type="a", ttl="soon"), EventMonitorError),
    ],
    ids=lambda value: repr(value) if isinstance(value, m.Message) else None,
)
async def test_what_cannot_be_done_is_refused_with_a_reason(
    paths: HomePaths, message: m.Message, kind: type[EventMonitorError]
) -> None:
    async with running(paths) as runtime:
        with pytest.raises(kind) as caught:
            await runtime.handle(message)
        assert caught.value.message
        assert (await publish(runtime)).status == "accepted"


@pytest.mark.parametrize(
    "message",
    [
        m.GetEvent(event_id=1 << 63),
        m.QueryEvents(after_id=1 << 63),
        m.QueryEvents(limit=1 << 70),
        m.Publish(event_type="a", causation_id=-1 << 64),
        m.QueryDeadLetters(after=(1 << 63, "log")),
    ],
    ids=repr,
)
async def test_a_number_that_the_store_cannot_hold_is_refused_at_the_socket(
    paths: HomePaths, message: m.Message
) -> None:
    async with running(paths):
        client = SocketClient(paths.socket)
        with pytest.raises(InvalidRequest, match="cannot be understood"):
            await client.request(message)
        await client.close()


async def test_a_filter_finds_events_by_type_and_payload(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        for word in ("needle", "hay", "needle"):
            await publish(runtime, payload={"word": word})
        await publish(runtime, "needle.type")
        page = await runtime.handle(m.QueryEvents(filter="nee.le", newest_first=False))
        assert [event.payload.get("word") for event in page.events] == ["needle", "needle", None]


async def test_a_watcher_gets_a_stream(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        stream = await runtime.handle(m.Subscribe(pattern="a.#", filter="yes"))
        assert isinstance(stream, EventStream)
        for word in ("yes", "no", "yes"):
            await publish(runtime, payload={"word": word})
        await publish(runtime, "b.a", payload={"word": "yes"})
        stream.close()
        assert [item.event.payload["word"] async for item in stream] == ["yes", "yes"]


async def test_a_batch_reports_each_bad_line(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        cause = await publish(runtime)
        lines = [
            f'{{"event_type": "a.b", "key": "k", "causation_id": {cause.id}}}',
            "broken",
            '{"event_type": "A"}',
        ]
        reply = await runtime.handle(m.PublishLines(lines=[*lines, lines[0]], source="batch"))
        assert (reply.accepted, reply.duplicates) == (1, 1)
        assert [error.line for error in reply.errors] == [1, 2]
        detail = await runtime.handle(m.GetEvent(event_id=reply.first_id))
        assert (detail.event.source, detail.event.causation_id) == ("batch", cause.id)


# --- spool and rules ------------------------------------------------------------------------


def spool(paths: HomePaths, kind: str, content: bytes) -> None:
    spooling.write_entry(paths.spool, spooling.entry_name(kind), [content])


async def test_the_spool_is_taken_at_the_start_and_while_it_runs(paths: HomePaths) -> None:
    spool(paths, "event", b'{"do":"publish_text","event_type":"a.first","payload":"{}"}')
    async with running(paths) as runtime:
        page = await runtime.handle(m.QueryEvents(type="a.#"))
        assert [event.event_type for event in page.events] == ["a.first"]
        spool(paths, "lines", b'{"event_type":"a.second"}\n{"event_type":"a.third"}\n')
        spool(paths, "hook", b'{"hook_event_name":"Stop"}')
        await until(lambda: not os.listdir(os.path.join(paths.spool, "new")))
        page = await runtime.handle(m.QueryEvents(type="#", newest_first=False))
        found = [event.event_type for event in page.events if not event.event_type.startswith("system")]
        assert sorted(found)[:3] == ["a.first", "a.second", "a.third"]
        assert len(found) == 4


async def test_a_spooled_event_that_breaks_a_rule_is_kept_aside_with_an_alert(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        spool(paths, "event", b'{"do":"publish_text","event_type":"NO","payload":"{}"}')
        spool(paths, "event", b'{"do":"publish_text","event_type":"a.good","payload":"{}"}')
        await until(lambda: "A spooled event was refused" in titles(runtime))
        await until(lambda: not os.listdir(os.path.join(paths.spool, "new")))
        assert len((await runtime.handle(m.QueryEvents(type="a.good"))).events) == 1
        assert os.listdir(os.path.join(paths.spool, "bad"))


async def test_rules_are_reloaded_when_the_file_changes(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        rules = Path(paths.rules)
        assert (await publish(runtime)).targets == ["log"]
        rules.write_text('{"routing": {"a.#": ["analytics"]}}')
        await until(lambda: runtime.bus.resolve("a.b", {}).targets == ["analytics"])
        rules.write_text('{"routing": {\n"a.#": ["alert"],\n"b.#": ["alrt"]}}')
        await until(lambda: "Routing rules were not reloaded" in titles(runtime))
        detail = runtime.alerts.newest(1)[0].detail
        assert f"{rules}:3" in detail and "did you mean alert" in detail
        assert (await publish(runtime)).targets == ["analytics"]
        with pytest.raises(InvalidConfig, match=f"{rules}:3"):
            await runtime.handle(m.ReloadRules())
        rules.unlink()
        await until(lambda: runtime.bus.resolve("a.b", {}).targets == ["log"])


# --- states ---------------------------------------------------------------------------------


async def test_store_trouble_degrades_and_recovers_by_itself(paths: HomePaths) -> None:
    async with running(paths) as runtime:
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        store = runtime.bus.store
        pages = await store.write(lambda ledger: ledger.connection.execute("PRAGMA page_count").fetchone()[0])
        await store._writer.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        with pytest.raises(StoreUnavailable, match="full"):
            for _ in range(100):
                await publish(runtime, payload={"text": "x" * 100_000})
        await until(lambda: SystemState.DEGRADED in [one.to_state for one in runtime.machine.history])
        assert "HEALTHY → DEGRADED" in titles(runtime)
        await store._writer.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
        await until(lambda: runtime.machine.state is SystemState.HEALTHY)
        # What the alert told of is over: it is kept, and no banner contradicts the state.
        (turn,) = [alert for alert in runtime.alerts.newest(100) if alert.title == "HEALTHY → DEGRADED"]
        assert runtime.alerts.unacknowledged == 0
        assert turn.acknowledged and "over: the event store can be written again" in turn.detail
        assert (await publish(runtime, payload={"text": "x" * 100_000})).status == "accepted"
        assert [one.to_state for one in runtime.machine.history] == [
            "HEALTHY",
            "DEGRADED",
            "RECOVERING",
            "HEALTHY",
        ]


async def test_a_state_that_cannot_be_saved_is_an_alert(
    paths: HomePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.makedirs(os.path.dirname(paths.state))
    os.makedirs(os.path.join(paths.state, "in the way"))
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("no")))
    async with running(paths) as runtime:
        await until(lambda: "The system state could not be saved" in titles(runtime))
        assert runtime.machine.state is SystemState.INITIALIZING
        assert (await publish(runtime)).status == "accepted"
