"""Commands that are typed on the Console, with their effect looked for on a real bus."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_monitor.dashboard.console.log import MAX_LINES, MAX_STREAM
from event_monitor.errors import NoBus
from event_monitor.messages import (
    GetState,
    GetStats,
    Message,
    Publish,
    QueryBreakers,
    QueryDeadLetters,
    QueryEvents,
    QueryReplays,
    QuerySubscriptions,
)
from event_monitor.model import SystemState
from tests.dashboard.console_scene import Console, console
from tests.dashboard.driving import rows, said


async def types(opened: Console) -> list[str]:
    page = await opened.bus(QueryEvents(limit=500, newest_first=False))
    return [event.event_type for event in page.events]


async def test_what_is_typed_reaches_the_bus(home: Path) -> None:
    async with console(home) as opened:
        await opened.type('publish build.done {"exit_code": 0}')
        await opened.press("enter")
        await opened.idle()
        assert "accepted build.done as event" in opened.shown
        assert opened.prompt.text == ""
        page = await opened.bus(QueryEvents(type="build.done"))
        assert [event.payload for event in page.events] == [{"exit_code": 0}]

        await opened.enter("breaker target:log open --reason 'new disk'")
        (report,) = (await opened.bus(QueryBreakers(name="target:log"))).breakers
        assert (report.forced, report.forced_reason) == ("open", "new disk")
        assert report.forced_by is not None and report.forced_by.endswith("(dashboard)")
        assert "target:log" in opened.shown

        await opened.enter("maintenance on --reason upgrade")
        assert (await opened.bus(GetState())).state == SystemState.MAINTENANCE
        assert "MAINTENANCE" in opened.shown

        await opened.enter("subscribe shop.# 'exec:cat' --name shop")
        kept = await opened.bus(QuerySubscriptions())
        assert [one.name for one in kept.subscriptions] == ["shop"]


async def test_a_payload_may_go_over_several_lines(home: Path) -> None:
    async with console(home) as opened:
        await opened.type('publish a.b {"x": 1,')
        await opened.press("enter")
        assert opened.prompt.text.endswith(",\n")
        await opened.type('"y": [2]}')
        await opened.press("enter")
        await opened.idle()
        (event,) = (await opened.bus(QueryEvents(type="a.b"))).events
        assert event.payload == {"x": 1, "y": [2]}
        assert [row[1:].rstrip("│ ") for row in rows(opened.app) if "…>" in row] == ['    …> "y": [2]}']


MISTAKES = [
    ("frobnicate", "frobnicate", "unknown command"),
    ("breaker github ajar", "ajar", "'ajar' is not one of"),
    ('publish a.b {"a": 01}', "1", "the payload is not a JSON object"),
    ("publish A.B", "A.B", "A.B"),
    ("stats | jq", "|", "is for a shell"),
    ("restart nothing", "nothing", "nothing"),
    ("replay show 4711", "4711", "4711"),
    ("hook", "hook", "event-cli hook"),
]


async def test_a_mistake_is_pointed_at(home: Path) -> None:
    async with console(home) as opened:
        for line, part, told in MISTAKES:
            await opened.press("ctrl+l")
            await opened.enter(line)
            shown = rows(opened.app)
            at = next(number for number, row in enumerate(shown) if f"event> {line}" in row)
            carets = shown[at + 1]
            assert shown[at][carets.index("^") : carets.rindex("^") + 1] == part
            assert any(told in row for row in shown[at + 2 :])


async def test_results_are_tables_or_json(home: Path) -> None:
    async with console(home) as opened:
        await opened.bus(Publish(event_type="a.b", payload={"n": 1, "token": "sesame"}))
        await opened.enter("events --type a.b")
        assert "PRIORITY" in opened.shown and '"event_type"' not in opened.shown
        await opened.press("ctrl+t")
        assert '"event_type":"a.b"' in opened.shown and "PRIORITY" not in opened.shown
        assert "sesame" not in opened.shown and "masked" in opened.shown
        await opened.enter("set output table")
        assert "PRIORITY" in opened.shown
        await opened.enter("events --type a.b --output json")
        assert '"event_type":"a.b"' in opened.shown and "PRIORITY" in opened.shown


async def test_dead_letters_are_dropped_on_a_word_only(home: Path) -> None:
    home.mkdir()
    async with console(home) as opened:
        await opened.enter("subscribe a.# 'exec:exit 3' --name bad")
        await opened.enter("breaker target:log reset")
        await opened.bus(Publish(event_type="a.b"))
        await opened.enter("dlq drop --all")
        assert "add --yes to do it" in opened.shown
        await opened.enter("dlq drop 99999999")
        assert "99999999" in opened.shown
        await opened.enter("dlq list")
        assert (await opened.bus(QueryDeadLetters())).dead_letters == []
        assert "no dead letters" in opened.shown


async def test_events_are_followed_until_ctrl_c(home: Path) -> None:
    async with console(home) as opened:
        await opened.bus(Publish(event_type="shop.early", payload={"n": 0}))
        await opened.type("events --follow --type shop.#")
        await opened.press("enter")
        await opened.until(lambda: "shop.early" in opened.shown)
        for number in (1, 2):
            await opened.bus(Publish(event_type="shop.order", payload={"n": number}))
            await opened.bus(Publish(event_type="other.event", payload={}))
            await opened.picture()
            await opened.until(lambda n=number: f'{{"n":{n}}}' in opened.shown)
        assert "other.event" not in opened.shown
        assert "▸ events --follow --type shop.#" in opened.shown

        await opened.type("stats")
        await opened.press("enter")
        assert any("still runs" in message for message in said(opened.app))
        assert opened.prompt.text == "stats", "what is typed meanwhile is not lost"
        await opened.press("ctrl+c")
        await opened.idle()
        assert "stopped" in opened.shown and opened.prompt.text == "stats"
        await opened.bus(Publish(event_type="shop.late"))
        await opened.picture()
        assert "shop.late" not in opened.shown
        await opened.press("ctrl+c")
        assert opened.prompt.text == ""
        assert opened.app.is_running


async def test_a_stream_rests_while_the_tab_is_hidden_and_misses_nothing(home: Path) -> None:
    async with console(home) as opened:
        await opened.type("subscribe shop.# -")
        await opened.press("enter")
        await opened.until(lambda: "▸ subscribe" in opened.shown)
        await opened.press("f1")
        await opened.until(lambda: opened.app.tabs.active.NAME == "overview")
        asked = len(opened.client.messages)
        for number in range(450):
            await opened.bus(Publish(event_type="shop.order", payload={"n": number}))
        await opened.picture()
        assert not any(isinstance(m, QueryEvents) for m in opened.client.messages[asked:])
        await opened.press("5")
        await opened.until(lambda: '{"n":449}' in opened.shown)
        stream = opened.tab._log.last
        assert stream is not None
        lines = stream.text(json=True).splitlines()
        assert [json.loads(one)["payload"]["n"] for one in lines] == list(range(450))
        await opened.press("ctrl+c")
        await opened.idle()


async def test_a_stream_outlives_a_lost_connection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(home) as opened:
        await opened.type("subscribe shop.# -")
        await opened.press("enter")
        await opened.until(lambda: "▸ subscribe" in opened.shown)
        await opened.picture()
        ask = opened.client.request

        async def lost(message: Message) -> Any:
            if isinstance(message, QueryEvents):
                raise NoBus("no answer on bus.sock", "start event-monitor")
            return await ask(message)

        monkeypatch.setattr(opened.client, "request", lost)
        await opened.bus(Publish(event_type="shop.order", payload={"n": 1}))
        await opened.picture()
        await opened.until(lambda: "this goes on when the bus is back" in opened.shown)
        monkeypatch.undo()
        await opened.picture()
        await opened.until(lambda: '{"n":1}' in opened.shown)
        await opened.press("ctrl+c")
        await opened.idle()


async def test_a_stream_ends_after_its_count_and_keeps_the_newest(home: Path) -> None:
    async with console(home) as opened:
        await opened.type("subscribe shop.# - --count 600")
        await opened.press("enter")
        await opened.until(lambda: "▸ subscribe" in opened.shown)
        await opened.picture()
        for number in range(601):
            await opened.bus(Publish(event_type="shop.order", payload={"n": number}))
        await opened.picture()
        await opened.idle()
        stream = opened.tab._log.last
        assert stream is not None
        lines = stream.text(json=False).splitlines()
        assert len(lines) == MAX_STREAM and '"n":599' in lines[-1]
        await opened.press("escape", "g")
        assert "100 before are not shown any more" in opened.shown


async def test_live_figures_stay_in_their_place(home: Path) -> None:
    async with console(home) as opened:
        await opened.type("stats --live")
        await opened.press("enter")
        await opened.until(lambda: opened.tab._log.last is not None)
        first = opened.tab._log.last
        await opened.picture()
        await opened.until(lambda: opened.tab._log.last is not first)
        assert len(opened.tab._log._laid) == 2
        await opened.press("escape", "x")
        await opened.idle()
        assert sum(isinstance(message, GetStats) for message in opened.client.messages) >= 2


async def test_a_replay_is_watched_and_paused_by_ctrl_c(home: Path) -> None:
    async with console(home) as opened:
        for number in range(3):
            await opened.bus(Publish(event_type="shop.order", payload={"n": number}))
        await opened.enter("replay --from -1h --type shop.# --dry-run")
        assert "3" in opened.shown and not (await opened.bus(QueryReplays())).replays
        await opened.type("replay --from -1h --type shop.# --speed max")
        await opened.press("enter")
        while opened.tab._runner.running:
            await opened.picture()
        (report,) = (await opened.bus(QueryReplays())).replays
        assert (report.state, report.replayed) == ("done", 3)
        await opened.type("replay --from -1h --type shop.# --paused")
        await opened.press("enter")
        await opened.until(lambda: len(opened.tab._log._laid) == 7)
        await opened.press("ctrl+c")
        await opened.idle()
        assert "is paused after 0 of 3 events" in opened.shown
        report = (await opened.bus(QueryReplays())).replays[0]
        assert report.state == "paused"
        await opened.enter(f"replay stop {report.id}")
        assert (await opened.bus(QueryReplays())).replays[0].state == "stopped"


async def test_a_read_only_view_changes_nothing(home: Path) -> None:
    async with console(home, read_only=True) as opened:
        for line in (
            "publish a.b",
            "breaker target:log open",
            "maintenance on",
            "subscribe a exec:x --name y",
        ):
            await opened.enter(line)
        assert opened.shown.count("this view is read-only") == 4
        assert "a.b" not in await types(opened)
        assert (await opened.bus(GetState())).state == SystemState.HEALTHY
        await opened.enter("state")
        assert "HEALTHY" in opened.shown


async def test_history_is_kept_over_a_restart_and_holds_no_secret(home: Path) -> None:
    async with console(home) as opened:
        await opened.enter('publish a.b {"token": "sesame"}')
        await opened.enter(" publish hidden.line")
        await opened.enter("state")
        assert "sesame" not in opened.shown
        await opened.press("up", "up")
        assert opened.prompt.text == 'publish a.b {"token": "sesame"}', "while it is open it can be mended"
    assert "sesame" not in (home / "event-bus" / "console-history").read_text()
    async with console(home) as opened:
        await opened.type("sta")
        await opened.press("right")
        assert opened.prompt.text == "state"
        await opened.press("ctrl+c", "up", "up")
        assert opened.prompt.text == 'publish a.b {"token":"[masked]"}'
        await opened.press("up", "down", "down", "down")
        assert opened.prompt.text == ""


async def test_the_output_is_bounded(home: Path) -> None:
    async with console(home) as opened:
        for number in range(60):
            await opened.bus(Publish(event_type="a.b", payload={"n": number, "text": "x" * 2_000}))
        await opened.press("ctrl+t")
        for _ in range(3):
            await opened.enter("events --type a.b --limit 0")
        assert len(opened.tab._log.lines(118)) == MAX_LINES
        assert "at most 500 are shown here" in opened.shown
        await opened.enter("clear")
        assert "event> events" not in opened.shown and opened.tab._log.empty


async def test_nothing_hostile_reaches_the_terminal(home: Path) -> None:
    bad = "\x1b]52;c;aGFja2Vk\x07\x1b[31m\x9b\u202e\u200d[@click=app.quit]x[/] [/nope]"
    async with console(home) as opened:
        await opened.bus(Publish(event_type="bad.event", payload={bad: bad}))
        for line in (
            "events --type bad.#",
            f"breaker '{bad}'",
            f"publish bad.event {json.dumps({bad: bad})}",
        ):
            opened.prompt.set_text(line)
            await opened.press("enter")
            await opened.idle()
            await opened.press("ctrl+t")
            found = {
                repr(c) for row in rows(opened.app) for c in row if unicodedata.category(c) in ("Cc", "Cf")
            }
            assert found == set()
        opened.prompt.set_text("publish bad.event {")
        await opened.press("tab")
        await opened.pilot.pause(0.05)
        assert opened.app.is_running
        assert not any(unicodedata.category(c) in ("Cc", "Cf") for row in rows(opened.app) for c in row)


async def test_an_unreachable_bus_is_told_of_and_ends_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(home) as opened:

        async def lost(message: object) -> None:
            raise NoBus("no answer on bus.sock", "start event-monitor")

        monkeypatch.setattr(opened.client, "request", lost)
        await opened.enter("stats")
        assert "no answer on bus.sock (start event-monitor)" in opened.shown
        await opened.type("breaker ")
        await opened.pilot.pause()
        monkeypatch.undo()
        await opened.enter("state")
        assert "HEALTHY" in opened.shown


async def test_a_command_that_hangs_can_be_stopped(home: Path) -> None:
    async with console(home) as opened:
        opened.client.gate.clear()
        opened.client.held = GetState
        await opened.type("state")
        await opened.press("enter")
        await opened.until(lambda: any(isinstance(m, GetState) for m in opened.client.messages))
        await opened.press("ctrl+c")
        await opened.idle()
        assert "stopped" in opened.shown
        opened.client.gate.set()
        await opened.enter("state")
        assert msgspec.json.encode("HEALTHY").decode().strip('"') in opened.shown
