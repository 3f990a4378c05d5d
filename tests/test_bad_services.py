"""A service that is wrongly configured costs only itself: at the start, on a reload, in the real program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from event_monitor import messages as m
from event_monitor.errors import InvalidConfig
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from tests.processes import headless, wait_for

GOOD = "  - {name: good, kind: tcp, port: 9}\n"

WRONG: dict[str, tuple[str, str, str]] = {
    "unknown kind": (
        "  - {name: bad, kind: carrier-pigeon}\n",
        "3:17: services[1].kind",
        "found 'carrier-pigeon'; expected one of http, tcp, command, mcp, process",
    ),
    "unknown strategy": (
        "  - name: bad\n    kind: tcp\n    port: 1\n    retry: {strategy: cubic}\n",
        "6:13: services[1].retry.strategy",
        "found 'cubic'; expected one of exponential, linear, fibonacci, fixed",
    ),
    "negative number": (
        "  - {name: bad, kind: tcp, port: 1, bulkhead: {timeout: -3}}\n",
        "3:48: services[1].bulkhead.timeout",
        "found -3; expected a number > 0",
    ),
    "unknown key": (
        "  - {name: bad, kind: tcp, prot: 1}\n",
        "3:28: services[1].prot",
        "unknown key 'prot' (did you mean port?)",
    ),
    "no kind": (
        "  - {name: bad, port: 1}\n",
        "3:5: services[1]",
        "kind is missing; expected kind: with one of",
    ),
    "unknown tier": (
        "  - {name: bad, kind: tcp, port: 1, timeout: normal_operation}\n",
        "3:37: services[1].timeout",
        "no tier is named 'normal_operation' (did you mean normal_operations?)",
    ),
    "its own fallback": (
        "  - {name: bad, kind: tcp, port: 1, fallback: [bad]}\n",
        "3:37: services[1].fallback",
        "it is its own fallback",
    ),
    "a name that one of its chain has": (
        "  - {name: local_fs, kind: tcp, port: 1, fallback: [mcp.filesystem]}\n",
        "3:42: services[1].fallback",
        "it is its own fallback",
    ),
    "unknown fallback": (
        "  - {name: bad, kind: tcp, port: 1, fallback: [local_sf]}\n",
        "3:37: services[1].fallback",
        "unknown provider 'local_sf' (did you mean local_fs?)",
    ),
    "a fallback that is a service": (
        "  - {name: bad, kind: tcp, port: 1, fallback: [good]}\n",
        "3:37: services[1].fallback",
        "unknown provider 'good'",
    ),
    "what its kind needs": (
        "  - {name: bad, kind: http}\n",
        "3:5: services[1].url",
        "kind http needs url (set url to the address",
    ),
    "an address that is none": (
        "  - {name: bad, kind: http, url: 'ftp://x'}\n",
        "3:29: services[1].url",
        "correct url",
    ),
    "the name of a breaker": (
        '  - {name: "target:log", kind: tcp, port: 1}\n',
        "3:6: services[1].name",
        "cannot be a service's name",
    ),
}


def write(home: Path, services: str, rest: str = "") -> Path:
    file = home / "event-bus" / "event-monitor.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"services:\n{services}{rest}")
    return file


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Runtime]:
    runtime = await Runtime.start(HomePaths(str(home)))
    try:
        yield runtime
    finally:
        await runtime.stop()


def told(runtime: Runtime) -> dict[str, str]:
    return {alert.title: alert.detail for alert in runtime.alerts.newest(50)}


@pytest.mark.parametrize("name", WRONG)
async def test_at_the_start_it_is_named_and_left_out_and_the_rest_goes_on(home: Path, name: str) -> None:
    text, place, finding = WRONG[name]
    file = write(home, GOOD + text)
    async with running(home) as runtime:
        assert list(runtime.services) == ["good"]
        ((title, detail),) = told(runtime).items()
        named = ("bad", "local_fs", "services[1]")
        assert title in [f"Service {name} is left out" for name in named]
        assert f"{file}:{place}" in detail
        assert finding in detail
        assert (await runtime.handle(m.Publish(event_type="a.b"))).status == "accepted"


@pytest.mark.parametrize("name", WRONG)
async def test_on_a_reload_likewise_and_what_it_was_is_ended(home: Path, name: str) -> None:
    text, place, finding = WRONG[name]
    file = write(home, f"{GOOD}  - {{name: bad, kind: tcp, port: 1}}\n")
    async with running(home) as runtime:
        kept = runtime.services["good"]
        assert list(runtime.services) == ["good", "bad"]
        write(home, GOOD + text)
        reply = await runtime.handle(m.Reload())
        assert "left out, see alerts" in reply.message
        assert list(runtime.services) == ["good"]
        assert runtime.services["good"] is kept
        (detail,) = told(runtime).values()
        assert f"{file}:{place}" in detail
        assert finding in detail


async def test_two_wrong_services_are_two_alerts_and_all_their_mistakes_are_told(home: Path) -> None:
    write(
        home,
        "  - {name: one, kind: carrier-pigeon, timeout: -1}\n"
        "  - {name: two, kind: http}\n"
        "  - {kind: tcp}\n"
        "  - 5\n" + GOOD + "  - {name: good, kind: tcp, port: 10}\n",
    )
    async with running(home) as runtime:
        assert list(runtime.services) == ["good"]
        assert runtime.services["good"].settings.port == 9
        found = told(runtime)
        assert {title.removeprefix("Service ").removesuffix(" is left out") for title in found} == {
            *("one", "two", "services[2]", "services[3]", "services[5]")
        }
        assert len(found["Service one is left out"].splitlines()) == 2
        assert "the name 'good' stands twice" in found["Service services[5] is left out"]


async def test_every_service_of_a_circle_is_told_the_way_round(home: Path) -> None:
    write(
        home,
        "  - {name: a, kind: tcp, port: 1, fallback: [b]}\n"
        "  - {name: b, kind: tcp, port: 1, fallback: [local_fs, c]}\n"
        "  - {name: c, kind: tcp, port: 1, fallback: [a]}\n"
        "  - {name: d, kind: tcp, port: 1, fallback: [a]}\n",
    )
    async with running(home) as runtime:
        assert not runtime.services
        found = told(runtime)
        assert "fallbacks go round in a circle: a → b → c → a" in found["Service a is left out"]
        assert "c → a → b → c" in found["Service c is left out"]
        assert "unknown provider 'a'" in found["Service d is left out"]


@pytest.mark.parametrize("command", ["[no-such-program-here]", "[/nonexistent/server, x]"])
async def test_a_command_that_does_not_exist_is_told_and_tried_again(home: Path, command: str) -> None:
    file = write(home, f"{GOOD}  - name: bad\n    kind: command\n    command: {command}\n")
    async with running(home) as runtime:
        assert list(runtime.services) == ["good", "bad"]
        ((title, detail),) = told(runtime).items()
        assert title == "Service bad cannot be started"
        assert f"{file}:5:5: services[1].command: service bad: the command " in detail
        assert "it is tried again" in detail


async def test_what_stays_wrong_is_told_once(home: Path) -> None:
    file = write(home, GOOD + WRONG["unknown kind"][0])
    async with running(home) as runtime:
        (before,) = runtime.alerts.newest(10)
        file.write_text(file.read_text() + "queue: {reserve: 999}\n")
        assert "left out" in (await runtime.handle(m.Reload())).message
        assert runtime.alerts.newest(10)[-1] == before


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("services: [\n", "2:1: not YAML"),
        ("queue: {max_in_memory: -5}\n", "1:9: queue.max_in_memory"),
        ("services: 5\n", "1:1: services: found 5; expected a list"),
        ("backups: {directories: [/b, relative]}\n", "1:29: backups.directories[1]: relative cannot be"),
        ("backups: {directories: [~]}\n", "1:11: backups.directories: found [None]"),
        ("backups: {directories: ['~/']}\n", "1:25: backups.directories[0]: "),
        ("backups: {patterns: ['']}\n", "1:11: backups.patterns: a pattern of backup names is empty"),
        ("backups: {keep_newest: 0}\n", "1:11: backups.keep_newest: found 0; expected a whole number >= 1"),
    ],
)
async def test_a_file_that_is_wrong_elsewhere_refuses_to_start_and_changes_nothing_later(
    home: Path, content: str, place: str
) -> None:
    file = write(home, GOOD)
    file.write_text(content)
    with pytest.raises(InvalidConfig) as caught:
        await Runtime.start(HomePaths(str(home)))
    assert f"{file}:{place}" in caught.value.message
    write(home, GOOD)
    async with running(home) as runtime:
        kept = runtime.services["good"]
        file.write_text(content)
        with pytest.raises(InvalidConfig) as caught:
            await runtime.handle(m.Reload())
        assert f"{file}:{place}" in caught.value.message
        assert runtime.services["good"] is kept


def test_check_config_tells_all_mistakes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from event_monitor.__main__ import main

    wrong = "".join(text.replace("bad", f"bad{n}") for n, (text, _, _) in enumerate(WRONG.values()))
    file = write(home, f"{GOOD}{wrong}  - {{name: x, kind: command, command: [no-such-program-here]}}\n")
    assert main(["--home", str(home), "--check-config"]) == 2
    said = capsys.readouterr().err
    for _, _, finding in WRONG.values():
        assert finding in said
    assert "no-such-program-here" in said
    assert said.count(str(file)) >= len(WRONG)
    write(home, GOOD)
    assert main(["--home", str(home), "--check-config"]) == 0


def test_the_real_program_goes_on_says_what_is_wrong_and_takes_the_repair(home: Path) -> None:
    write(home, GOOD + WRONG["unknown kind"][0])
    with headless(home) as program:
        assert [one["service"] for one in program.ask(do="query_services")["services"]] == ["good"]
        (alert,) = program.ask(do="query_alerts")["alerts"]
        assert alert["title"] == "Service bad is left out"
        assert "services[1].kind" in program.errors.read_text()
        write(home, f"{GOOD}  - {{name: bad, kind: tcp, port: 1}}\n")
        wait_for(lambda: len(program.ask(do="query_services")["services"]) == 2)
        assert program.stop() == 0
    write(home, GOOD, "queue: 5\n")
    done = subprocess.run(
        [sys.executable, "-m", "event_monitor", "--headless", "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "event-monitor.yaml:3:1: queue: found 5" in done.stderr
