"""The targets: the log and its rotation, analytics, patterns, alerts, notifications."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from event_monitor.bus.inflight import InFlight, Pending
from event_monitor.config import LogTargetSettings
from event_monitor.model import Event, Priority
from event_monitor.system.alerts import AlertBook
from event_monitor.targets.alert import AlertTarget
from event_monitor.targets.analytics import AnalyticsTarget, command_name, duration_ms, is_failure
from event_monitor.targets.log import LogTarget
from event_monitor.targets.notification import NotificationTarget, commands, printable
from event_monitor.targets.storage import StorageTarget
from tests.bus.helpers import open_bus, rows

AT = "2026-11-23T15:42:07.000000Z"


def event(
    number: int = 1, event_type: str = "a.b", payload: dict[str, Any] | None = None, **more: Any
) -> Event:
    return Event(
        **{"id": number, "timestamp": AT, "event_type": event_type, "payload": payload or {}, **more}
    )


def batch(*events: Event) -> list[Pending]:
    return [Pending(InFlight(one, ("t",), size=2, accepted_at=0.0), 0) for one in events]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# --- log ------------------------------------------------------------------------------------


async def test_the_log_holds_one_json_line_an_event_with_secrets_masked(tmp_path: Path) -> None:
    target = LogTarget(tmp_path / "logs", LogTargetSettings(), mask=["token"])
    await target.handle(batch(event(1, payload={"api_token": "s3cret", "text": "a\nb"}), event(2)))
    await target.handle(batch(event(3)))
    found = lines(target.path)
    assert [line["id"] for line in found] == [1, 2, 3]
    assert found[0]["payload"] == {"api_token": "[masked]", "text": "a\nb"}
    assert (target.path.stat().st_mode & 0o777, target.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_the_log_is_rotated_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    target = LogTarget(tmp_path, LogTargetSettings(max_bytes=4_096, keep=2), sync=False)
    for number in range(60):
        await target.handle(batch(event(number, payload={"x": "y" * 400})))
    names = ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert sorted(os.listdir(tmp_path)) == names
    assert all((tmp_path / name).stat().st_size <= 4_096 for name in names)
    kept = [line["id"] for name in reversed(names) for line in lines(tmp_path / name)]
    assert kept == list(range(kept[0], 60)) and 0 < kept[0] < 50


async def test_a_line_that_a_full_disk_cut_short_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = LogTarget(tmp_path, LogTargetSettings())
    await target.handle(batch(event(1)))
    really = os.write

    def write_half(file: int, data: memoryview) -> int:
        monkeypatch.setattr(os, "write", refuse)
        return really(file, data[:20])

    def refuse(file: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_half)
    with pytest.raises(OSError, match="No space"):
        await target.handle(batch(event(2)))
    monkeypatch.setattr(os, "write", really)
    await target.handle(batch(event(2)))
    whole = [line for line in target.path.read_bytes().splitlines() if line.endswith(b"}")]
    assert [json.loads(line)["id"] for line in whole] == [1, 2]


async def test_a_log_that_keeps_no_old_file_begins_anew(tmp_path: Path) -> None:
    target = LogTarget(tmp_path, LogTargetSettings(max_bytes=4_096, keep=0), sync=False)
    for number in range(30):
        await target.handle(batch(event(number, payload={"x": "y" * 400})))
    assert os.listdir(tmp_path) == ["events.jsonl"]
    assert lines(target.path)[-1]["id"] == 29


async def test_an_event_larger_than_the_limit_is_still_written_whole(tmp_path: Path) -> None:
    target = LogTarget(tmp_path, LogTargetSettings(max_bytes=4_096, keep=1), sync=False)
    await target.handle(batch(event(1, payload={"x": "y" * 10_000})))
    await target.handle(batch(event(2)))
    assert [line["id"] for line in lines(tmp_path / "events.jsonl.1")] == [1]
    assert [line["id"] for line in lines(target.path)] == [2]


async def test_a_line_that_a_killed_run_left_torn_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"id":1}\n{"id":2,"ev')
    target = LogTarget(tmp_path, LogTargetSettings())
    await target.handle(batch(event(3)))
    await target.handle(batch(event(4)))
    found = target.path.read_bytes().splitlines()
    assert found[1] == b'{"id":2,"ev'
    assert [json.loads(line)["id"] for line in (found[0], *found[2:])] == [1, 3, 4]


# --- analytics ------------------------------------------------------------------------------


async def test_analytics_count_by_type_and_by_command(tmp_path: Path) -> None:
    def command(number: int, text: str, **more: Any) -> Event:
        return event(number, "command.executed", {"command": text, **more})

    async with open_bus(tmp_path / "events.db") as bus:
        target = AnalyticsTarget(bus.store)
        await target.handle(
            batch(
                command(1, "git status", duration_ms=10),
                command(2, "GIT_DIR=/x /usr/bin/git push", exit_code=1, duration=0.03),
                command(3, "ls"),
            )
        )
        await target.handle(
            batch(event(4, "command.failed", {"command": "git 'unclosed", "duration_ms": 80}))
        )
        await target.handle(batch(event(5, "old", timestamp="2020-01-01T00:00:00.000000Z")))
        report = await target.report(1_600_000_000.0)
        by_type = {row.name: (row.count, row.failures, row.success_rate) for row in report.by_type}
        assert by_type == {"command.executed": (3, 1, 0.6667), "command.failed": (1, 1, 0.0)}
        git, ls = report.by_command
        assert (git.name, git.count, git.failures, git.mean_ms, git.max_ms) == ("git", 3, 2, 40.0, 80.0)
        assert (ls.name, ls.count, ls.mean_ms, ls.max_ms, ls.last_at) == ("ls", 1, None, None, AT)
        assert "old" in {row.name for row in (await target.report(None)).by_type}


@pytest.mark.parametrize(
    ("event_type", "payload", "name"),
    [
        ("command.executed", {"command": "git status"}, "git"),
        ("command.executed", {"tool_input": {"command": "A=1 B=2 make -j"}}, "make"),
        ("command.executed", {"command": "  # nothing\n"}, None),
        ("command.executed", {"command": ""}, None),
        ("command.executed", {"command": ["git"]}, None),
        ("command.executed", {"command": "x" * 10_000}, "x" * 80),
        ("command.executed", {"command": "'unclosed quote"}, "'unclosed"),
        ("tool.used", {"command": "git"}, None),
    ],
)
def test_the_program_of_a_command(event_type: str, payload: dict[str, Any], name: str | None) -> None:
    assert command_name(event(1, event_type, payload)) == name


@pytest.mark.parametrize(
    ("payload", "milliseconds"),
    [
        ({"duration_ms": 5}, 5.0),
        ({"duration": 1.5}, 1_500.0),
        ({"duration_ms": True, "duration": 2}, 2_000.0),
        ({"duration_ms": -1}, None),
        ({"duration_ms": "5"}, None),
        ({}, None),
    ],
)
def test_the_reported_duration(payload: dict[str, Any], milliseconds: float | None) -> None:
    assert duration_ms(payload) == milliseconds


@pytest.mark.parametrize(
    ("event_type", "payload", "failed"),
    [
        ("mcp.call.failed", {}, True),
        ("a.b", {"exit_code": 0}, False),
        ("a.b", {"exit_code": 2}, True),
        ("a.b", {"exit_code": "2"}, False),
        ("a.b", {"success": False}, True),
        ("a.b", {"success": None}, False),
        ("failed", {}, False),
    ],
)
def test_what_counts_as_a_failure(event_type: str, payload: dict[str, Any], failed: bool) -> None:
    assert is_failure(event(1, event_type, payload)) is failed


# --- storage --------------------------------------------------------------------------------


async def test_a_pattern_has_one_row_and_a_second_delivery_counts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_bus(path) as bus:
        target = StorageTarget(bus.store, bus.clock)
        first, second = (
            event(1, payload={"name": "deploy", "n": 1}),
            event(2, payload={"name": "deploy", "n": 2}),
        )
        await target.handle(batch(first, second))
        await target.handle(batch(second, first))
        await target.handle(batch(event(3, payload={"pattern": ["a", "b"], "support": 3})))
        await target.handle(batch(event(4, payload={"support": 4, "pattern": ["a", "b"]})))
    found = rows(path, "SELECT name, json_extract(pattern, '$.n'), seen FROM patterns ORDER BY last_event_id")
    assert found[0] == ("deploy", 2, 2)
    assert [seen for _, _, seen in found] == [2, 2]


# --- alerts ---------------------------------------------------------------------------------


async def test_an_event_becomes_an_alert_as_loud_as_its_priority(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        target = AlertTarget(book, ["password"])
        await target.handle(batch(event(1, "error.critical", {"message": "x"}, priority=Priority.CRITICAL)))
        await target.handle(batch(event(2, "a.b", {"password": "s3cret"})))
        await target.handle(batch(*(event(number, "a.b") for number in range(3, 10))))
        newest, oldest = book.newest(10)
        assert (oldest.severity, oldest.title, oldest.detail, oldest.event_id) == (
            "critical",
            "error.critical",
            "x",
            1,
        )
        assert (newest.severity, newest.count, newest.event_id) == ("warning", 8, 9)
        assert "s3cret" not in newest.detail


async def test_two_servers_that_go_down_are_two_alerts(tmp_path: Path) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        await AlertTarget(book).handle(
            batch(
                *(event(n, "mcp.server.down", {"server": name}) for n, name in enumerate(["github", "files"]))
            )
        )
        titles = sorted(alert.title for alert in book.newest(10))
        assert titles == ["mcp.server.down: files", "mcp.server.down: github"]


# --- notifications --------------------------------------------------------------------------

HOSTILE = '$(touch x) `id` #(touch y) #{pane_id} %H -- -x; "q" \''


@pytest.fixture
def all_notifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.usefixtures("all_notifiers")
@pytest.mark.parametrize(
    ("via", "environ", "programs"),
    [
        ("auto", {"TMUX": "/tmp/t,1,0", "DISPLAY": ":0"}, ["tmux", "notify-send"]),
        ("auto", {"TMUX": "/tmp/t,1,0"}, ["tmux"]),
        ("auto", {"WAYLAND_DISPLAY": "w"}, ["notify-send"]),
        ("auto", {}, []),
        ("tmux", {"TMUX": "/tmp/t,1,0", "DISPLAY": ":0"}, ["tmux"]),
        ("desktop", {"TMUX": "/tmp/t,1,0", "DISPLAY": ":0"}, ["notify-send"]),
        ("toast", {"TMUX": "/tmp/t,1,0", "DISPLAY": ":0"}, []),
    ],
)
def test_which_notifiers_are_tried(via: str, environ: dict[str, str], programs: list[str]) -> None:
    assert [command[0] for command in commands(via, "t", "b", environ)] == programs


@pytest.mark.usefixtures("all_notifiers")
def test_text_is_an_argument_and_never_a_script() -> None:
    tmux, desktop = commands("auto", "a.b", HOSTILE + "<b>&amp;", {"TMUX": "x", "DISPLAY": ":0"})
    assert tmux[tmux.index("--") + 1 :] == [
        "a.b: " + (HOSTILE + "<b>&amp;").replace("#", "##").replace("%", "%%")
    ]
    assert desktop[desktop.index("--") + 1] == "a.b"
    assert "<" not in desktop[-1] and "&lt;b>&amp;amp;" in desktop[-1]


@pytest.mark.usefixtures("all_notifiers")
def test_on_a_mac_the_text_is_data_of_a_fixed_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    one, two = (commands("desktop", "a.b", text, {})[0] for text in ("plain", HOSTILE))
    assert one[:3] == two[:3] and two[-1] == HOSTILE


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_real_tmux_runs_and_expands_nothing(tmp_path: Path) -> None:
    server = ["tmux", "-f", "/dev/null", "-S", str(tmp_path / "s")]
    subprocess.run(
        [*server, "new-session", "-d", "-x", "400", "-y", "20"],
        check=True,
        env={**os.environ, "TERM": "xterm"},
    )
    try:
        text = f"#(touch {shlex.quote(str(tmp_path / 'ran'))}) #{{pid}} 100% %H"
        (command,) = commands("tmux", "a.b", text, {"TMUX": "x"})
        place = command.index("--")
        shown = subprocess.run(
            [*server, "display-message", "-p", "--", *command[place + 1 :]],
            check=True,
            capture_output=True,
            text=True,
        )
        assert shown.stdout.strip() == f"a.b: {text}"
        assert not (tmp_path / "ran").exists()
    finally:
        subprocess.run([*server, "kill-server"], check=True)


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexit 1\n", "#!/no/such/interpreter\n"])
async def test_where_no_notifier_works_it_becomes_a_toast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if script is not None:
        (programs / "tmux").write_text(script)
        (programs / "tmux").chmod(0o700)
    monkeypatch.setenv("PATH", str(programs))
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        target = NotificationTarget("tmux", book, mask=["token"], environ={"TMUX": "x"})
        await target.handle(batch(event(7, "user.needed", {"message": "come\x1b[31m here", "token": "s"})))
        (alert,) = book.newest(10)
        assert (alert.severity, alert.title, alert.event_id) == ("info", "user.needed", 7)
        assert alert.detail == "come [31m here"


async def test_a_notifier_that_works_gets_the_text_and_no_toast_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tmux"
    program.write_text(f'#!/bin/sh\nfor word; do :; done\nprintf %s "$word" > {tmp_path}/said\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with open_bus(tmp_path / "events.db") as bus:
        book = AlertBook(bus.store, bus.clock)
        target = NotificationTarget("tmux", book, environ={"TMUX": "x"})
        await target.handle(batch(event(7, "user.needed", {"message": "#(id) $(id)"})))
        assert (tmp_path / "said").read_text() == "user.needed: ##(id) $(id)"
        assert book.newest(10) == ()


def test_nothing_unprintable_is_left() -> None:
    assert printable("a\x1b[31m\u202e\n\x9bé日") == "a [31m   é日"
