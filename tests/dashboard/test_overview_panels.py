"""The Overview's panels: what they say, what is selected, and what is kept over a restart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.dashboard.alert_lines import alert_lines, keys, leads
from event_monitor.dashboard.memory import Memory
from event_monitor.dashboard.overview.layout import PANELS, known, only, toggled
from event_monitor.messages import AcknowledgeAlerts
from event_monitor.model import Alert, ServiceView, Severity, SystemState, Transition, TypeRate
from event_monitor.widgets.service_table import COLUMN_KEYS, ORDERS, ordered, services, trend
from event_monitor.widgets.state_path import WIDTH, diagram, way
from event_monitor.widgets.type_rates import per_second, type_rates
from tests.dashboard import scene, service_scene
from tests.dashboard.driving import refresh, rows, said, settle, text
from tests.dashboard.overview_scene import dead_letter, live
from tests.dashboard.test_life import HOSTILE

SIZES = [(120, 36), (80, 24), (40, 12)]
Compare = Callable[..., bool]


def watched() -> scene.FakeClient:
    return scene.FakeClient(scene.snapshot(services=service_scene.table()))


# --- services -------------------------------------------------------------------------------


@given(st.integers(1, 200), st.sets(st.sampled_from(COLUMN_KEYS)))
def test_the_table_fits_any_width_and_columns_stand_under_their_headings(
    width: int, hidden: set[str]
) -> None:
    views = service_scene.table()
    heading, *lines = services(views, width, 20, "github", hidden=hidden)
    assert all(line.width <= width for line in (heading, *lines))
    shown = heading.text
    if width >= 64 and "health" in shown:
        place = shown.index("health")
        for view, line in zip(views, lines, strict=True):
            assert line.text[place] in "✔✖· " and (view.kind == "target") == (line.text[place] == " ")
    for key in hidden & {"busy", "health", "p95"}:
        assert key not in shown


def test_the_trend_marks_failures_and_fills_from_the_right() -> None:
    def shown(slowest: list[float | None], failures: list[int], width: int = 5) -> str:
        return "".join(part if isinstance(part, str) else part[0] for part in trend(slowest, failures, width))

    assert shown([1.0, 8.0, None], [0, 0, 0]) == "  ▁█·"
    assert shown([1.0, 8.0, None], [0, 2, 0]) == "  ▁✖·"
    assert shown([], []) == "     "
    assert shown([5.0] * 10, [0] * 9 + [1]) == "████✖"


def test_orders_put_the_worst_first() -> None:
    def names(by: str) -> list[str]:
        return [view.name for view in ordered(service_scene.table(), by)]

    assert names("name") == sorted(names(""))
    assert names("state")[-1] == "filesystem" and set(names("state")[:2]) == {"github", "target:log"}
    assert names("failures")[0] == "github"
    assert names("p95")[:2] == ["memory", "filesystem"]


async def test_sorting_keeps_the_selection_on_its_name_and_comes_back() -> None:
    app = scene.app(watched())
    async with app.run_test(size=SIZES[0]) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j")
        for _ in range(len(ORDERS) + 1):
            assert app.services.selected is not None and app.services.selected.name == "github"
            assert any("▸ github" in row for row in rows(app))
            await pilot.press("S")
            await settle(pilot)
        configured = [view.name for view in service_scene.table()]
        assert [view.name for view in app.services._views] == configured


async def test_who_holds_the_selection_by_default_keeps_it_when_another_turns_worse() -> None:
    def table(broken: str) -> tuple[ServiceView, ...]:
        return tuple(
            ServiceView(name=name, kind="tcp", breaker="OPEN" if name == broken else "CLOSED")
            for name in ("a", "b", "c")
        )

    client = scene.FakeClient(scene.snapshot(services=table("b")))
    app = scene.app(client)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settle(pilot)
        app.action_act("overview_sort_state")
        await pilot.press("tab")
        assert app.services.selected is not None and app.services.selected.name == "b"
        client.picture = scene.snapshot(services=table("c"))
        await refresh(pilot)
        assert [view.name for view in app.services._views][0] == "c"  # noqa: RUF015
        assert app.services.selected.name == "b"


async def test_order_columns_and_panels_are_remembered(tmp_path: Path) -> None:
    for first in (True, False):
        remembered = Memory(str(tmp_path / "dashboard.json"))
        app = scene.app(watched())
        app = type(app)(app.client, app.settings, memory=remembered, now=app.now)
        async with app.run_test(size=SIZES[0]) as pilot:
            await settle(pilot)
            if first:
                for action in ("overview_sort_name", "overview_column_p95", "overview_panel_figures"):
                    app.action_act(action)
                    await settle(pilot)
            assert [view.name for view in app.services._views] == sorted(
                view.name for view in service_scene.table()
            )
            assert "p95" not in next(row for row in rows(app) if "breaker  " in row)
            assert "Queue depth" not in text(app)
        remembered.save()


@given(st.lists(st.sampled_from([*PANELS, "unknown"])))
def test_one_panel_at_least_is_always_shown(panels: list[str]) -> None:
    hidden = known(panels)
    for panel in [*panels, *PANELS]:
        if panel in PANELS:
            hidden = toggled(hidden, panel)
        assert hidden <= PANELS.keys() and len(hidden) < len(PANELS)
    assert all(PANELS.keys() - only(panel) == {panel} for panel in PANELS)


# --- state ----------------------------------------------------------------------------------


def moved(*states: str) -> tuple[Transition, ...]:
    return tuple(
        Transition(from_state=SystemState(a), to_state=SystemState(b), at="2026-03-14T15:40:02Z", reason="")
        for a, b in pairwise(states)
    )


def test_the_diagram_marks_where_it_is_and_the_way_it_came() -> None:
    story = moved("INITIALIZING", "HEALTHY", "DEGRADED", "RECOVERING")
    for state in SystemState:
        lines = diagram(state, story)
        assert max(line.width for line in lines) == WIDTH
        marked = [span.text for line in lines for span in line.spans if span.tone.endswith("-strong")]
        assert sum(any(glyph in text for glyph in "●▲◐✖■") for text in marked) == 1
    taken = [
        span.text.strip()
        for line in diagram(SystemState.RECOVERING, story)
        for span in line.spans
        if span.tone == "accent-strong"
    ]
    assert taken == ["─", "─", "─╯"]
    assert way(SystemState.RECOVERING, story, 60).text == " INIT → HEALTHY → DEGRADED → RECOVERING"
    assert way(SystemState.RECOVERING, story, 30).text == " … DEGRADED → RECOVERING"
    assert all(way(SystemState.RECOVERING, story, width).width <= width for width in range(12, 60))


# --- types ----------------------------------------------------------------------------------


def test_types_that_have_no_row_are_summed_up() -> None:
    rates = tuple(
        TypeRate(event_type=name, per_second=one, share=one / 10, series=(1, 2))
        for name, one in (("a", 5.0), ("b", 3.0), ("c", 1.5), ("", 0.5))
    )
    lines = [line.text for line in type_rates(rates, 60, 2)]
    assert lines[0].split()[:3] == ["a", "5.0/s", "50%"]
    assert lines[1].split()[:4] == ["all", "others", "5.0/s", "50%"]
    assert [per_second(rate) for rate in (142.4, 3.21, 0.05, 0)] == ["142/s", "3.2/s", "3/min", "0/min"]
    assert all(line.width <= width for width in range(1, 90) for line in type_rates(rates, width, 3))


async def test_hostile_names_of_types_and_alerts_reach_no_terminal() -> None:
    rates = tuple(TypeRate(event_type=bad, per_second=1.0, share=0.1, series=(1,)) for bad in HOSTILE[:5])
    alerts = tuple(
        Alert(id=number, at="", severity=Severity.WARNING, title=bad, detail=bad, about=bad)
        for number, bad in enumerate(HOSTILE)
    )
    app = scene.app(scene.FakeClient(scene.snapshot(types=rates, alerts=alerts)))
    async with app.run_test(size=SIZES[0]) as pilot:
        await settle(pilot)
        await pilot.press("t", "exclamation_mark")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert not [sign for sign in text(app) if sign != "\n" and not sign.isprintable()]


# --- alerts ---------------------------------------------------------------------------------


async def test_alerts_are_selected_and_acknowledged_one_by_one() -> None:
    alerts = tuple(
        Alert(id=number, at="", severity=Severity.WARNING, title=f"no {number}") for number in (3, 2, 1)
    )
    client = scene.FakeClient(scene.snapshot(alerts=alerts, unacknowledged=3))
    app = scene.app(client)
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("tab", "tab", "j")
        assert app.chosen_alert is not None and app.chosen_alert.id == 2
        newer = Alert(id=4, at="", severity=Severity.CRITICAL, title="no 4")
        client.picture = scene.snapshot(alerts=(newer, *alerts))
        await refresh(pilot)
        assert app.chosen_alert is not None and app.chosen_alert.id == 2
        await pilot.press("a")
        await settle(pilot)
        assert client.sent == [AcknowledgeAlerts(alert_id=2)] and "Acknowledged: no 2" in said(app)
        await pilot.press("shift+tab", "a")
        await settle(pilot)
        assert client.sent[1:] == [AcknowledgeAlerts(alert_id=4)]


def test_where_an_alert_leads() -> None:
    def to(title: str = "t", detail: str = "", about: str = "", event_id: int | None = None) -> str:
        alert = Alert(
            id=1, at="", severity=Severity.WARNING, title=title, detail=detail, about=about, event_id=event_id
        )
        where = leads(alert, {"github"})
        lines = "\n".join(line.text for line in alert_lines(alert, where, 80))
        assert all(text in lines for _, text in keys(alert, where))
        return "".join(key for key, _ in keys(alert, where))

    assert to() == "a"
    assert to(about="github") == "as"
    assert to(about="unknown") == "a"
    assert to(detail="github: breaker open") == "as"
    assert to(about="target:log", event_id=7) == "ase"
    assert to("Dead letter from log", about="target:log", event_id=7) == "ased"


async def test_from_an_alert_to_what_it_is_about(home: Path) -> None:
    async with live(home) as bus:
        await dead_letter(bus)
        await bus.until(lambda: bus.app.snapshot is not None and bus.app.snapshot.alerts)

        async def opened() -> None:
            await bus.press("exclamation_mark")
            await bus.until(lambda: type(bus.app.screen).__name__ == "AlertsDialog")
            panel: Any = bus.app.screen
            titles = [alert.title for alert in panel.panel._alerts]
            await bus.press(*"j" * titles.index("Dead letter from failing"), "enter")
            await bus.until(
                lambda: "Dead letter from failing" in text(bus.app) and "What to do" in text(bus.app)
            )

        for key, screen in (("s", "ServiceDialog"), ("e", "DocumentDialog")):
            await opened()
            await bus.press(key)
            await bus.until(lambda screen=screen: type(bus.app.screen).__name__ == screen)  # type: ignore[misc]
            await bus.press("escape", "escape")
            await bus.until(lambda: len(bus.app.screen_stack) == 1)
        await opened()
        await bus.press("d")
        await bus.until(lambda: bus.app.tabs.active.NAME == "dead_letters" and len(bus.app.screen_stack) == 1)
        await bus.press("1")
        await bus.until(lambda: bus.app.tabs.active.NAME == "overview")
        await opened()
        await bus.press("a")
        await bus.until(lambda: "Acknowledged: Dead letter from failing" in said(bus.app))


async def test_nothing_is_acknowledged_in_a_read_only_view() -> None:
    client = scene.FakeClient()
    app = scene.app(client, read_only=True)
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("a", "A", "exclamation_mark")
        await settle(pilot)
        await pilot.press("a", "A", "enter")
        await settle(pilot)
        await pilot.press("a")
        await settle(pilot)
        assert client.sent == []


# --- pictures -------------------------------------------------------------------------------


def pressed(*keys: str) -> Callable[[Any], Any]:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return before


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_services_types_and_alerts(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    app = scene.app(watched(), theme=f"event-monitor-{theme}")
    assert snap_compare(app, terminal_size=size, run_before=pressed("t", "tab", "j"))


def test_services_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(scene.app(watched()), terminal_size=SIZES[0], run_before=pressed("tab", "tab"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_alert(snap_compare: Compare, size: tuple[int, int]) -> None:
    before = pressed("exclamation_mark", "enter")
    assert snap_compare(scene.app(watched()), terminal_size=size, run_before=before)


def test_alerts_only(snap_compare: Compare) -> None:
    picture = msgspec.structs.replace(watched().picture)
    app = scene.app(scene.FakeClient(picture))

    async def before(pilot: Any) -> None:
        await settle(pilot)
        app.action_act("overview_only_side")
        await settle(pilot)

    assert snap_compare(app, terminal_size=SIZES[1], run_before=before)
