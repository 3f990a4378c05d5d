"""Every entry of the palette that works everywhere or on the Overview, carried out on a real bus: what
counts is what the bus says afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from event_monitor.dashboard.actions import ACTIONS
from event_monitor.dashboard.memory import Memory
from event_monitor.dashboard.overrides import LABELS
from event_monitor.dashboard.palette import ActionProvider
from event_monitor.dashboard.tabs import TABS
from event_monitor.messages import (
    GetState,
    Publish,
    QueryAlerts,
    QueryBreakers,
    QueryDeadLetters,
    QueryEvents,
)
from event_monitor.model import ServiceView
from event_monitor.widgets.service_table import COLUMN_KEYS, ORDERS
from tests.dashboard import scene
from tests.dashboard.driving import said, settle, text
from tests.dashboard.overview_scene import Live, dead_letter, live

Check = Callable[[Live], Awaitable[None]]
# Entries that only show something: a word that is on the screen then.
SHOWN = {
    "Alerts": "wait to be seen",
    "State history": "planned downtime",
    "Help": "Each tab has keys of its own",
    "Declared servers": "MCP servers your assistant declares",
}
# The other tabs, as far as they are there.
OTHERS = [f"tab_{info.name}" for info in TABS[1:] if find_spec(info.module) is not None]
NOT_THERE = {f"tab_{info.name}" for info in TABS[1:]} - set(OTHERS)


def screen(bus: Live) -> str:
    return type(bus.app.screen).__name__


async def close(bus: Live) -> None:
    await bus.press("escape")
    await bus.until(lambda: len(bus.app.screen_stack) == 1)


async def shows(bus: Live, name: str, word: str) -> None:
    await bus.choose(name)
    await bus.until(lambda: word in text(bus.app))
    await close(bus)


async def breaker(bus: Live, name: str) -> tuple[str, str | None, str]:
    (report,) = (await bus.ask(QueryBreakers(name=name))).breakers
    return report.state, report.forced, report.forced_reason


async def state(bus: Live) -> str:
    return str((await bus.ask(GetState())).state)


async def events(bus: Live, kind: str) -> list[dict[str, object]]:
    return [event.payload for event in (await bus.ask(QueryEvents(type=kind))).events]


async def test_breaker_overrides_of_each_service_by_name(home: Path) -> None:
    async with live(home) as bus:
        await bus.until(lambda: bus.app.snapshot is not None and len(bus.app.snapshot.services) > 1)
        for name in ("db", "gone", "target:log"):
            offered = await bus.entries()
            assert "breaker" in offered[f"Open {name}"].told
            await bus.choose(f"Open {name}")
            await bus.answer("upgrade")
            await bus.until_bus(QueryBreakers(name=name), lambda reply: reply.breakers[0].forced == "open")
            assert (await breaker(bus, name))[1:] == ("open", "upgrade")
            await bus.choose(f"Close {name}")
            await bus.answer("go on")
            await bus.until_bus(QueryBreakers(name=name), lambda reply: reply.breakers[0].forced == "closed")
            await bus.until(lambda: True)
            await bus.choose(f"Reset {name}")
            await bus.answer("done")
            await bus.until_bus(QueryBreakers(name=name), lambda reply: reply.breakers[0].forced is None)
            await bus.choose(f"Details {name}")
            await bus.until(lambda: screen(bus) == "ServiceDialog")
            await close(bus)
        for _ in range(6):
            await bus.ask(Publish(event_type="bad.thing"))
        failing = QueryBreakers(name="target:failing")
        await bus.until_bus(failing, lambda reply: reply.breakers[0].state == "OPEN")
        await bus.choose("Half-open target:failing")
        await bus.until_bus(QueryEvents(type="breaker.half_open"), lambda reply: reply.events)
        await bus.choose("Restart db")
        await bus.answer("again")
        await bus.until(lambda: any("db" in one for one in said(bus.app)))
        assert {f"{label} db" for label in LABELS.values()} <= set(await bus.entries())


async def test_every_entry_does_what_it_says(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    memory = Memory(str(tmp_path / "dashboard.json"))
    async with live(home, memory=memory) as bus:
        await bus.until(lambda: bus.app.snapshot is not None and len(bus.app.snapshot.services) > 1)
        await dead_letter(bus)
        done: set[str] = set()
        for step in (maintenance, resumed, acknowledged, rules_and_dead_letters, views, services, layouts):
            done |= await step(bus)
        wanted = {one.title for one in ACTIONS if one.palette and one.tab in ("", "overview")}
        wanted -= {one.title for one in ACTIONS if one.id in NOT_THERE}
        for theme in sorted(bus.app.available_themes):
            await bus.choose(f"Theme {theme}")
            assert bus.app.theme == theme
        assert "now MAINTENANCE" not in (await bus.entries())["Maintenance on"].told
        await bus.choose("Quit")
        await bus.until(lambda: bus.app._exit)
        assert wanted - done == {"Quit"}
    memory.save()
    assert Memory(str(tmp_path / "dashboard.json")).get("theme", [])[1] == theme


async def maintenance(bus: Live) -> set[str]:
    await bus.choose("Maintenance on")
    await bus.answer("upgrade")
    await bus.until_bus(GetState(), lambda reply: reply.state == "MAINTENANCE")
    assert "upgrade" in (await bus.ask(GetState())).reason
    await bus.until(lambda: bus.app.snapshot is not None and bus.app.snapshot.state == "MAINTENANCE")
    assert "now MAINTENANCE" in (await bus.entries())["Maintenance off"].told
    await bus.choose("Maintenance off")
    await bus.answer("done")
    await bus.until_bus(GetState(), lambda reply: reply.state != "MAINTENANCE")
    return {"Maintenance on", "Maintenance off"}


async def resumed(bus: Live) -> set[str]:
    await bus.ask(Publish(event_type="error.critical", payload={"reason": "test"}))
    await bus.until(lambda: bus.app.snapshot is not None and bus.app.snapshot.kill_switch)
    assert "engaged" in (await bus.entries())["Resume"].told
    await bus.choose("Resume")
    await bus.answer("mended")
    await bus.until(lambda: bus.app.snapshot is not None and not bus.app.snapshot.kill_switch)
    return {"Resume"}


async def acknowledged(bus: Live) -> set[str]:
    for number in (1, 2, 3):
        await bus.ask(Publish(event_type="mcp.server.down", payload={"service": f"server{number}"}))
    names = [f"mcp.server.down: server{number}" for number in (1, 2, 3)]
    await bus.until(
        lambda: (
            bus.app.snapshot is not None and set(names) <= {alert.title for alert in bus.app.snapshot.alerts}
        )
    )
    await bus.choose(f"Alert {names[0]}")
    await bus.until(lambda: "What to do" in text(bus.app))
    await close(bus)
    await bus.choose(f"Acknowledge {names[0]}")

    def seen(reply: object) -> set[str]:
        return {alert.title for alert in reply.alerts if alert.acknowledged}  # type: ignore[attr-defined]

    await bus.until_bus(QueryAlerts(), lambda reply: names[0] in seen(reply))
    assert names[1] not in seen(await bus.ask(QueryAlerts()))
    before = len(seen(await bus.ask(QueryAlerts())))
    await bus.until(lambda: f"Acknowledged: {names[0]}" in said(bus.app))
    await bus.choose("Acknowledge")
    await bus.until_bus(QueryAlerts(), lambda reply: len(seen(reply)) == before + 1)
    await bus.choose("Acknowledge all")
    await bus.until_bus(QueryAlerts(), lambda reply: len(seen(reply)) == len(reply.alerts))
    return {"Acknowledge", "Acknowledge all"}


async def rules_and_dead_letters(bus: Live) -> set[str]:
    await bus.choose("Reload rules")
    await bus.until(lambda: any("routing rules are in force" in one for one in said(bus.app)))
    (letter,) = (await bus.ask(QueryDeadLetters(target="failing"))).dead_letters
    assert "dead letters" in (await bus.entries())["Retry dead letters"].told
    await bus.choose("Retry dead letters")
    await bus.until(lambda: screen(bus) == "ConfirmDialog")
    await bus.press("y")
    await bus.until_bus(
        QueryDeadLetters(target="failing"),
        lambda reply: any(one.id == letter.id and one.dead_at > letter.dead_at for one in reply.dead_letters),
    )
    return {"Reload rules", "Retry dead letters"}


async def views(bus: Live) -> set[str]:
    for name, word in SHOWN.items():
        await shows(bus, name, word)
    done = set(SHOWN)
    for action in (one for one in ACTIONS if one.id in OTHERS):
        await bus.choose(action.title)
        await bus.until(lambda action=action: f"tab_{bus.app.tabs.active.NAME}" == action.id)  # type: ignore[misc]
        done.add(action.title)
    await bus.choose("Freeze")
    await bus.until(lambda: bus.app.tabs.active.NAME == "overview" and bus.app.feed.frozen)
    assert "frozen" in (await bus.entries())["Freeze"].told
    await bus.choose("Freeze")
    await bus.until(lambda: not bus.app.feed.frozen)
    await bus.choose("Filter")
    await bus.press(*"bad.#", "enter")
    await bus.until(lambda: "filter:" in text(bus.app))
    await bus.press("escape")
    await bus.choose("Details")
    await bus.until(lambda: screen(bus) == "DocumentDialog")
    await close(bus)
    await bus.choose("Copy")
    await bus.until(lambda: any(one.startswith("Event ") for one in said(bus.app)))
    await bus.choose("Save a picture")
    await bus.until(lambda: list(Path.cwd().glob("event-monitor-*.svg")))
    overview = next(one.title for one in ACTIONS if one.id == "tab_overview")
    await bus.choose(overview)
    return done | {"Freeze", "Filter", "Details", "Copy", "Save a picture", overview}


async def services(bus: Live) -> set[str]:
    panel, done = bus.app.services, set()
    for by in ORDERS:
        await bus.choose(f"Sort services by {by}")
        assert f"by {by}" in str(panel.border_title)
        assert "now by" in (await bus.entries())[f"Sort services by {by}"].told
        done.add(f"Sort services by {by}")
    await bus.choose("Sort services")
    assert bus.app.link.memory.get("overview.sort", "?") == ""
    for key in COLUMN_KEYS:
        await bus.choose(f"Column {key}")
        assert key in bus.app.link.memory.get("overview.columns", [])
        assert "hidden" in (await bus.entries())[f"Column {key}"].told
        await bus.choose(f"Column {key}")
        done.add(f"Column {key}")
    assert bus.app.link.memory.get("overview.columns", ["?"]) == []
    chosen = panel.selected
    assert chosen is not None
    for name, forced in (("Open", "open"), ("Close", "closed"), ("Reset", None)):
        assert chosen.name in (await bus.entries())[name].told
        await bus.choose(name)
        await bus.answer("why")
        await bus.until_bus(
            QueryBreakers(name=chosen.name),
            lambda reply, forced=forced: reply.breakers[0].forced == forced,  # type: ignore[misc]
        )
        await bus.until(lambda forced=forced: panel.selected and panel.selected.forced == forced)  # type: ignore[misc]
    return done | {"Sort services", "Open", "Close", "Reset"}


async def layouts(bus: Live) -> set[str]:
    tab, done = bus.app.tabs.active, {"Event types", "Zoom", "Layout: all panels"}
    await bus.choose("Event types")
    await bus.until(lambda: "Event types now" in text(bus.app) and "breaker.opened" in text(bus.app))
    await bus.choose("Event types")
    widgets = ("figures", "services", "side", "feed")

    def shown() -> set[str]:
        return {name for name in widgets if tab.query_one(f"#{name}").display}

    await bus.choose("Zoom")
    assert shown() == {"feed"}
    await bus.choose("Layout: all panels")
    assert shown() == set(widgets)
    for title in [name for name in await bus.entries() if name.startswith("Layout: ")]:
        if title.endswith(" only"):
            await bus.choose(title)
            assert len(shown()) == 1
            assert bus.app.screen.focused is not None and bus.app.screen.focused.display
            await bus.choose("Layout: all panels")
        elif "show or hide" in title:
            await bus.choose(title)
            assert len(shown()) == 3
            await bus.choose(title)
        assert shown() == set(widgets)
        done.add(title)
    return done


@pytest.mark.parametrize(
    ("typed", "first"),
    [("lfeedonly", "Layout: feed only"), ("resdb", "Reset db"), ("mainton", "Maintenance on")],
)
async def test_the_palette_is_fuzzy_and_puts_names_before_descriptions(typed: str, first: str) -> None:
    app = scene.app(
        scene.FakeClient(scene.snapshot(services=(ServiceView(name="db", kind="tcp", breaker="OPEN"),)))
    )
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        provider = ActionProvider(app.screen)
        await provider.startup()
        hits = [hit async for hit in provider.search(typed)]
        assert max(hits, key=lambda hit: hit.score).text == first  # type: ignore[union-attr]
