"""The dialogs that are documents: live, whole on a small screen, and quiet once they are closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from event_monitor.dashboard.detail import detail_lines
from event_monitor.dashboard.dialogs import DocumentDialog
from event_monitor.dashboard.service_lines import service_lines
from event_monitor.dashboard.state_lines import state_lines
from event_monitor.errors import NoBus
from event_monitor.messages import Publish, SetMaintenance
from event_monitor.model import DeliveryError
from event_monitor.widgets.text import Line
from tests.dashboard import scene, service_scene
from tests.dashboard.console_scene import Console, console
from tests.dashboard.driving import refresh, settle, text


async def closed(opened: Console) -> bool:
    await opened.press("escape")
    await opened.until(lambda: not isinstance(opened.app.screen, DocumentDialog))
    return opened.app.followers == []


async def test_an_event_is_followed_while_it_is_looked_at(home: Path) -> None:
    async with console(home) as opened:
        published = await opened.bus(Publish(event_type="dialog.cause", payload={}))
        opened.app.commands.open_event(published.id)
        await opened.until(lambda: isinstance(opened.app.screen, DocumentDialog))
        assert "dialog.cause" in opened.shown and "dialog.effect" not in opened.shown
        await opened.bus(Publish(event_type="dialog.effect", payload={}, causation_id=published.id))
        opened.app.refresh_soon()
        await opened.until(lambda: "dialog.effect" in opened.shown)
        assert await closed(opened)


async def test_the_state_history_is_followed_and_called_old_without_an_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(home) as opened:
        opened.app.action_act("state_history")
        await opened.until(lambda: isinstance(opened.app.screen, DocumentDialog))
        assert "moving the disk" not in opened.shown
        await opened.bus(SetMaintenance(on=True, reason="moving the disk", by="ada"))
        opened.app.refresh_soon()
        await opened.until(lambda: "moving the disk" in opened.shown)

        async def lost(message: object) -> None:
            raise NoBus("no answer on bus.sock")

        with monkeypatch.context() as patch:
            patch.setattr(opened.client, "request", lost)
            await opened.app.screen.follow()  # type: ignore[attr-defined]
            await opened.until(lambda: "this is old: no answer on bus.sock" in opened.shown)
            assert "moving the disk" in opened.shown
        assert await closed(opened)


def test_an_error_is_told_to_its_end_on_the_smallest_screen() -> None:
    detail = scene.detail(1)
    error = "connection refused by the far end after three attempts: " + "x" * 90 + " (see its log)"
    delivery = msgspec.structs.replace(
        detail.deliveries[0], errors=[DeliveryError(at="2026-03-14T15:41:00Z", error=error)]
    )
    lines = detail_lines(msgspec.structs.replace(detail, deliveries=[delivery]), 38, ())
    assert max(line.width for line in lines) <= 38
    assert "(seeitslog)" in said(lines)


def said(lines: Sequence[Line]) -> str:
    """What lines say, wherever they were broken."""
    return "".join(span.text for one in lines for span in one.spans).replace(" ", "")


@pytest.mark.parametrize("width", [38, 78, 118])
def test_errors_and_reasons_are_told_to_their_end(width: int) -> None:
    long = "the certificate of the far end has run out, and nobody has asked for another one since " * 2
    service = service_scene.failing()
    service = msgspec.structs.replace(
        service,
        errors=[msgspec.structs.replace(service.errors[0], error=f"{long}(renew it)")],
        circuit=msgspec.structs.replace(service.circuit, forced=None, reason=f"{long}(so it opened)"),
    )
    lines = service_lines(service, width)
    assert "(renewit)" in said(lines) and "(soitopened)" in said(lines)
    report = service_scene.state_report()
    last = msgspec.structs.replace(report.history[-1], reason=f"{long}(so it degraded)")
    report = msgspec.structs.replace(report, history=[*report.history[:-1], last], reason=f"{long}(still)")
    shown = state_lines(report, width)
    assert "(soitdegraded)" in said(shown) and "(still)" in said(shown)
    assert max(line.width for line in [*lines, *shown]) <= width


async def test_an_alert_is_followed_while_it_is_looked_at() -> None:
    client = scene.FakeClient()
    alert = client.picture.alerts[0]
    app = scene.app(client)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        app.link.open_alert(alert)
        await settle(pilot)
        assert "waits to be seen" in text(app) and "41 times" not in text(app)
        again = msgspec.structs.replace(alert, count=41, acknowledged=True)
        client.picture = msgspec.structs.replace(client.picture, alerts=(again, *client.picture.alerts[1:]))
        await refresh(pilot)
        assert "✔ acknowledged" in text(app) and "41 times" in text(app)
        client.error = NoBus("no answer on bus.sock")
        await refresh(pilot)
        assert "this is old: no answer on bus.sock" in text(app) and "41 times" in text(app)
        client.error = None
        await pilot.press("escape")
        await settle(pilot)
        assert app.followers == []
