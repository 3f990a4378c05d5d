"""``event-cli repl`` on a real terminal and from a pipe, with a real bus and without one."""

from __future__ import annotations

import contextlib
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.scripted import Cli
from tests.cli.terminal import Terminal, terminal
from tests.processes import Headless, headless, wait_for


@pytest.fixture
def live(cli: Cli) -> Iterator[Headless]:
    with headless(cli.home) as running:
        yield running


@contextlib.contextmanager
def prompt(cli: Cli, *options: str) -> Iterator[Terminal]:
    with terminal([*cli.command, *options, "repl"], cli.environ) as opened:
        opened.wait_for("help shows what can be typed")
        opened.wait_for("event>")
        yield opened


def types(cli: Cli) -> list[str]:
    return [event["event_type"] for event in cli("events", "--limit", "0").lines]


# --- on a terminal --------------------------------------------------------------------------


def test_commands_are_carried_out_on_the_bus(cli: Cli, live: Headless) -> None:
    with prompt(cli) as typed:
        typed.wait_for("HEALTHY")
        typed.type('publish build.done {"exit_code": 0}\r')
        typed.wait_for("accepted build.done as event")
        typed.type("maintenance on --reason 'new disk'\r")
        typed.wait_for("MAINTENANCE")
        typed.type("set output json\r")
        typed.type("breaker target:log open\r")
        answer = json.loads("{" + typed.wait_for("}\r\n").rpartition("{")[2] + "}")
        assert (answer["service"], answer["state"]) == ("target:log", "OPEN")
        typed.type("exit\r")
        assert typed.ended() == 0
    (event,) = [e for e in cli("events", "--limit", "0").lines if e["event_type"] == "build.done"]
    assert event["payload"] == {"exit_code": 0}
    assert cli("state").json["reason"].endswith("new disk")
    assert cli("breaker", "target:log").json["forced"] == "open"


def test_a_payload_may_go_over_several_lines(cli: Cli, live: Headless) -> None:
    with prompt(cli) as typed:
        typed.type('publish a.b {"x": 1,\r')
        typed.wait_for("…>")
        typed.type('"y": [2]}\r')
        typed.wait_for("accepted a.b")
        # Between two prompts it would be the terminal that takes it.
        typed.wait_for("event>")
        typed.type("\x04")
        assert typed.ended() == 0
    (event,) = cli("events", "--type", "a.b").lines
    assert event["payload"] == {"x": 1, "y": [2]}


def test_what_is_wrong_is_pointed_at(cli: Cli) -> None:
    with prompt(cli) as typed:
        typed.type("breaker github ajar\r")
        typed.wait_for("\r\n" + " " * len("event> breaker github ") + "^^^^\r\n")
        typed.wait_for("ACTION: 'ajar' is not one of open, close, half_open, reset")
        typed.type("help dlq drop\r")
        typed.wait_for("Give dead letters up")
        typed.type("help nonsense\r")
        typed.wait_for("no command is named nonsense")


def test_completion_knows_the_grammar_and_the_bus(cli: Cli, live: Headless) -> None:
    cli("publish", "shop.order.paid", '{"amount": 5, "token": "sesame"}')
    with prompt(cli) as typed:
        typed.type("breaker target:l")
        typed.wait_for("target:learning")
        typed.wait_for("target:log")
        typed.interrupt()
        typed.type("publish sho")
        typed.wait_for("shop.order.paid")
        typed.type("\t{")
        typed.wait_for('"amount":')
        typed.wait_for("number")
        typed.type("\t1}\r")
        typed.wait_for("accepted shop.order.paid")
        assert "sesame" not in typed.shown
    assert cli("events", "--type", "shop.#").lines[-1]["payload"] == {"amount": 1}


def test_a_stream_goes_on_until_ctrl_c_and_the_prompt_comes_back(cli: Cli, live: Headless) -> None:
    with prompt(cli) as typed:
        typed.type("events --follow --type shop.# --limit 0\r")
        for number in range(3):
            wait_for(lambda n=number: cli("publish", "shop.order", json.dumps({"number": n})).status == 0)
            typed.wait_for(f'{{"number":{number}}}')
        typed.interrupt()
        typed.wait_for("interrupted")
        typed.wait_for("event>")
        typed.type("subscribe shop.# -\r")
        wait_for(lambda: cli("publish", "shop.sold").status == 0 and typed.shows("shop.sold"))
        typed.interrupt()
        typed.wait_for("interrupted")
        typed.type("stats --live\r")
        typed.wait_for("events per second")
        typed.wait_for("events per second")
        typed.interrupt()
        typed.wait_for("interrupted")
        typed.type("state\r")
        typed.wait_for("HEALTHY")


def test_a_question_is_asked_as_in_the_shell(cli: Cli, live: Headless) -> None:
    with prompt(cli) as typed:
        typed.type("dlq drop --all\r")
        typed.wait_for("Drop all dead letters that match? [y/N] ")
        typed.type("n\r")
        typed.wait_for("nothing was dropped")
        typed.type("dlq drop --all\r")
        typed.wait_for("[y/N] ")
        typed.type("y\r")
        typed.wait_for("event>")


def test_history_is_kept_without_secrets(cli: Cli) -> None:
    with prompt(cli) as typed:
        typed.type('publish a.b {"token": "sesame"}\r')
        typed.wait_for("spooled a.b")
        typed.type(" publish a.c {}\r")
        typed.wait_for("spooled a.c")
        typed.type("exit\r")
        assert typed.ended() == 0
    file = Path(cli.paths.console_history)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "sesame" not in file.read_text() and "a.c" not in file.read_text()
    with prompt(cli) as typed:
        typed.type("history\r")
        typed.wait_for('publish a.b {"token":"[masked]"}')
        typed.wait_for("event>")
        typed.type("\x1b[A" * 3)
        typed.wait_for("publish a.b")


def test_it_outlives_the_bus_and_finds_the_next(cli: Cli) -> None:
    with prompt(cli) as typed:
        typed.wait_for("no bus is running")
        typed.type("stats\r")
        typed.wait_for("no bus is running")
        typed.type("publish early.bird\r")
        typed.wait_for("spooled early.bird")
        with headless(cli.home) as bus:
            typed.wait_for("HEALTHY")
            typed.type("events --follow --limit 0\r")
            typed.wait_for("early.bird")
            bus.kill()
            typed.wait_for("no bus is running")
            typed.wait_for("event>")
        with headless(cli.home):
            typed.type("routes early.bird\r")
            typed.wait_for("none matches")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(cli: Cli, number: signal.Signals) -> None:
    with prompt(cli) as typed:
        wait_for(lambda: typed.mode() != typed.before)
        assert typed.end(number) == 128 + number
        assert typed.mode() == typed.before


DEAF = """
import signal, termios, tty
from event_monitor.cli.prompt import _ending_in_order
with _ending_in_order():
    tty.setraw(0)
    while True:
        try:
            signal.pause()
        except SystemExit:
            pass
"""


def test_a_signal_whose_exception_is_lost_ends_it_all_the_same(cli: Cli) -> None:
    with terminal([sys.executable, "-c", DEAF], cli.environ) as deaf:
        wait_for(lambda: deaf.mode() != deaf.before)
        assert deaf.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert deaf.mode() == deaf.before


def test_hostile_payloads_reach_no_terminal(cli: Cli, live: Headless) -> None:
    bad = "\x1b]52;c;aGFja2Vk\x07\x1b[31m\x9b\u202e"
    cli("publish", "bad.event", json.dumps({bad: bad}))
    with prompt(cli) as typed:
        typed.type("events --type bad.#\r")
        typed.wait_for("bad.event")
        typed.type("events --type bad.# --output json\r")
        typed.wait_for("u001b")
        typed.type("publish bad.event {")
        typed.wait_for("u001b")
    for danger in (b"\x1b]52", b"\x07", "\x9b".encode(), "\u202e".encode()):
        assert danger not in typed.raw


# --- from a pipe ----------------------------------------------------------------------------


def script(cli: Cli, text: str, *options: str) -> tuple[int, str, str]:
    done = cli(*options, "repl", stdin=text.encode())
    return done.status, done.out, done.err


def test_a_pipe_is_carried_out_line_by_line(cli: Cli, live: Headless) -> None:
    text = (
        '# comment\npublish a.b {"x":\n  1}\n\nevents --type a.b\nset output table\nroutes a.b\nexit\nstats\n'
    )
    status, out, err = script(cli, text)
    assert (status, err) == (0, "")
    accepted, event, *table = out.splitlines()
    assert json.loads(accepted)["status"] == "accepted"
    assert json.loads(event)["payload"] == {"x": 1}
    assert table[0].split() == ["type", "a.b"]


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("stats", 3, "event-cli: line 1: no bus is running"),
        ("\n\nstats --liv\nstats", 2, "line 3, column 7: unknown option --liv (did you mean --live?)"),
        ("publish a.b []\npublish a.b {}", 2, "the payload is not a JSON object"),
        ("publish a.b {}\npublish a.b {'x': 1}", 2, "line 2, column 14: ' begins no text in JSON"),
        ('publish a.b {"x":\n1', 2, "line 1, column 13: { is not closed"),
        ("publish a.b {}", 0, ""),
        ("publish a.b -", 2, "line 1, column 13: stdin is for the commands themselves"),
        ("help nonsense", 2, "no command is named nonsense"),
        ("exit\nnonsense", 0, ""),
    ],
)
def test_the_first_failure_is_the_exit_status_and_is_told_with_its_place(
    cli: Cli, text: str, status: int, said: str
) -> None:
    got, _, err = script(cli, text)
    assert got == status
    assert said in err and (bool(said) == bool(err))


def test_a_failure_does_not_keep_the_rest_back(cli: Cli, live: Headless) -> None:
    status, _, _ = script(cli, "publish one.two\nnonsense\npublish three.four")
    assert status == 2
    assert {"one.two", "three.four"} <= set(types(cli))


def test_a_program_on_the_pipe_is_answered_at_once(cli: Cli, live: Headless) -> None:
    running = cli.start("repl", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdin is not None and running.stdout is not None
    for number in range(3):
        running.stdin.write(f'publish a.b {{"n": {number}}}\n'.encode())
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["status"] == "accepted"
    running.stdin.close()
    assert running.wait(30) == 0
    running.stdout.close()


def test_the_prompt_s_library_is_loaded_on_a_terminal_only() -> None:
    code = (
        "import sys, event_monitor.cli.repl; print('prompt_toolkit' in sys.modules, 'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]


def test_the_home_of_the_prompt_is_the_one_it_was_opened_for(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    status, out, _ = script(cli, "publish a.b {}", "--home", str(other))
    assert status == 0 and json.loads(out)["status"] == "spooled"
    assert list((other / "event-bus" / "spool" / "new").iterdir()) and not cli.spooled()


def test_a_search_backwards_is_taken_or_left(cli: Cli, live: Headless) -> None:
    with prompt(cli) as typed:
        typed.type("publish search.found\r")
        typed.wait_for("accepted search.found")
        typed.wait_for("event>")
        typed.type("state\r")
        typed.wait_for("HEALTHY")
        typed.wait_for("event>")
        typed.type("help \x12")
        typed.wait_for("I-search backward")
        typed.type("found")
        typed.wait_for("publish")
        typed.type("\x1b")
        typed.type("history\r")
        typed.wait_for("ctrl+r searches backwards")
        typed.wait_for("event>")
        typed.type("\x12")
        typed.wait_for("I-search backward")
        typed.type("found")
        typed.wait_for("publish")
        typed.type('\r\x05 {"taken": true}\r')
        typed.wait_for("accepted search.found")
    payloads = [event["payload"] for event in cli("events", "--type", "search.found").lines]
    assert payloads == [{}, {"taken": True}], "what was found can be changed before it is carried out"
