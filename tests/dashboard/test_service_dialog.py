"""The drill-down into a service: live, complete, safe, and every action on it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from event_monitor.dashboard.dialogs import DocumentDialog
from event_monitor.dashboard.service_dialog import ServiceDialog
from event_monitor.dashboard.service_lines import service_lines, strip
from event_monitor.dashboard.state_lines import state_lines
from event_monitor.errors import NoBus
from event_monitor.messages import GetState, RestartService, SetBreaker
from event_monitor.replies.general import ErrorLine
from event_monitor.widgets.document import Document
from event_monitor.widgets.text import Span
from tests.dashboard import scene, service_scene
from tests.dashboard.driving import refresh, settle, text
from tests.dashboard.test_life import HOSTILE

SIZE = (120, 36)
ADA = "ada (dashboard)"


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")


def watched() -> scene.FakeClient:
    return scene.FakeClient(scene.snapshot(services=service_scene.table()))


async def test_enter_opens_the_selected_service_and_follows_it() -> None:
    client = watched()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j", "enter")
        await settle(pilot)
        assert isinstance(app.screen, ServiceDialog)
        assert "github · http" in text(app) and "tries again in 21 s" in text(app)
        assert "calls 2 min" in text(app) and "p95 1 min    ▁" in text(app)
        circuit = msgspec.structs.replace(client.service.circuit, retry_after=20.0)
        client.service = msgspec.structs.replace(client.service, circuit=circuit)
        await refresh(pilot)
        assert "tries again in 20 s" in text(app)
        await pilot.press("escape")
        await settle(pilot)
        assert not isinstance(app.screen, ServiceDialog) and app.followers == []


async def test_only_rows_that_changed_are_painted_and_the_place_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = watched()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "enter", "j", "j", "j")
        await settle(pilot)
        painted: list[int] = []
        monkeypatch.setattr(Document, "refresh_line", lambda self, y: painted.append(y))
        await refresh(pilot)
        assert painted == []
        client.service = msgspec.structs.replace(client.service, next_probe_in=3.0)
        await refresh(pilot)
        assert len(painted) == 1
        assert app.screen.query_one(Document).scroll_offset.y == 3


async def test_without_an_answer_the_last_one_stays_and_is_called_old() -> None:
    client = watched()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "enter")
        await settle(pilot)
        client.error = NoBus("no answer on bus.sock")
        await refresh(pilot)
        assert "this is old: no answer on bus.sock" in text(app) and "git_cli" in text(app)
        client.error = None
        await refresh(pilot)
        assert "this is old" not in text(app)


@pytest.mark.parametrize(
    ("key", "reason", "message"),
    [
        ("r", None, SetBreaker(name="github", action="reset", by=ADA)),
        ("h", None, SetBreaker(name="github", action="half_open", by=ADA)),
        ("o", "x", SetBreaker(name="github", action="open", reason="x", by=ADA)),
        ("c", "x", SetBreaker(name="github", action="close", reason="x", by=ADA)),
        ("R", "x", RestartService(service="github", reason="x", by=ADA)),
    ],
)
async def test_every_key_of_the_dialog_acts_on_what_is_shown(
    key: str, reason: str | None, message: Any
) -> None:
    client = watched()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j", "enter")
        await settle(pilot)
        client.picture = scene.snapshot(services=service_scene.table()[::-1])
        await refresh(pilot)
        await pilot.press(key)
        await settle(pilot)
        if reason is not None:
            await pilot.press(*reason, "enter")
            await settle(pilot)
        assert client.sent == [message]
        assert isinstance(app.screen, ServiceDialog)


async def test_remapped_keys_work_in_the_dialog_too() -> None:
    client = watched()
    app = scene.app(client, keys={"reset": "x"})
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("tab", "j", "enter")
        await settle(pilot)
        await pilot.press("r", "x")
        await settle(pilot)
        assert len(client.sent) == 1


@pytest.mark.parametrize("width", [38, 68, 104])
def test_everything_that_is_known_is_shown_and_fits(width: int) -> None:
    lines = service_lines(service_scene.failing(), width)
    assert max(line.width for line in lines) <= width
    shown = "\n".join(line.text for line in lines)
    for expected in (
        "OPEN",
        "tries again in 21 s",
        "1,204",
        "p95 4.2 ms",
        "1 of 10 busy",
        "0 of 50",
        "2 of 12 in 10 s",
        "▸ git_cli",
        "ada (dashboard)",
        "31 ×",
        "2.0 s",
        "next in 4.0 s",
        "127.0.0.1:8080",
    ):
        assert expected in shown, expected
    assert shown.count("readiness") == 9
    assert "hunter2" not in shown


def test_a_target_shows_who_holds_it_and_what_waits() -> None:
    shown = "\n".join(line.text for line in service_lines(service_scene.parked(), 104))
    for expected in ("FORCED OPEN", "ada (event-cli): disk is being replaced", "parked 208", "No space left"):
        assert expected in shown
    assert "0 of 1 busy" in shown and "of them on disk 200" in shown
    assert "Probes" not in shown and "startup" not in shown


def test_the_strip_shows_the_worst_of_each_stretch() -> None:
    assert strip(["UNKNOWN", "CLOSED", "CLOSED", "OPEN"], 10) == [
        Span("·", "dim"),
        Span("▁▁", "good"),
        Span("█", "bad"),
    ]
    assert "".join(span.text for span in strip(["CLOSED"] * 58 + ["OPEN", "CLOSED"], 30)) == "▁" * 29 + "█"
    assert strip([], 10) == [] and strip(["OPEN"], 0) == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_answers_are_only_text(hostile: str) -> None:
    detail = msgspec.structs.replace(
        service_scene.failing(),
        service=hostile,
        errors=[ErrorLine(error=hostile, count=1, last_at=hostile)],
        details={"address": hostile, "stderr": hostile, "transport": hostile},
    )
    for width in (38, 104):
        shown = "".join(line.text for line in service_lines(detail, width))
        assert shown.isprintable()


async def test_the_state_history_marks_what_was_refused() -> None:
    client = watched()
    app = scene.app(client)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press("s")
        await settle(pilot)
        assert client.sent == [GetState(history=True)]
        assert isinstance(app.screen, DocumentDialog)
        shown = text(app)
        assert "refused: the store accepts events again" in shown
        assert "planned downtime by ada: upgrade" in shown
        assert shown.index("2026-03-14") < shown.index("2026-03-13")
    for width in (38, 68, 104):
        assert max(line.width for line in state_lines(service_scene.state_report(), width)) <= width


async def test_a_second_click_opens_the_service_under_the_pointer() -> None:
    app = scene.app(watched())
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.click("#services", offset=(6, 3))
        await settle(pilot)
        assert app.services.selected is not None and app.services.selected.name == "github"
        await pilot.click("#services", offset=(6, 3))
        await settle(pilot)
        assert isinstance(app.screen, ServiceDialog) and "github · http" in text(app)
