"""The table of commands and what is made from it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from event_monitor.errors import InvalidRequest
from event_monitor.grammar.commands import BY_PATH, COMMANDS, GLOBAL_OPTIONS, subcommands
from event_monitor.grammar.completion import script
from event_monitor.grammar.help import help_text
from event_monitor.grammar.parser import HelpWanted, UsageError, VersionWanted, parse, to_message
from event_monitor.grammar.spec import Command
from event_monitor.messages import GetStats, PublishText, QueryEvents, Subscribe
from event_monitor.model import Status

NAMES = [command.name for command in COMMANDS]


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_a_command_is_complete(command: Command) -> None:
    assert command.summary
    assert command.examples
    for item in (*command.arguments, *command.options):
        assert item.help
    for option in command.options:
        assert (option.kind == "flag") == (not option.metavar)
    names = [item.name for item in (*command.arguments, *command.options, *GLOBAL_OPTIONS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_its_help_shows_everything(command: Command) -> None:
    text = help_text(command.path, 80)
    for option in (*command.options, *GLOBAL_OPTIONS):
        assert option.flag in text
        assert all(choice in text for choice in option.choices)
    for argument in command.arguments:
        assert argument.name.upper() in text
    for example in command.examples:
        assert example.line in text
    assert text.isascii()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_help_keeps_to_the_width_as_far_as_words_allow(width: int) -> None:
    paths = [(), ("dlq",), *BY_PATH]
    examples = {example.line for command in COMMANDS for example in command.examples}
    for path in paths:
        for line in help_text(path, width).splitlines():
            known = line.strip() in examples or line.startswith(
                ("usage:", "Exit status", "event-cli COMMAND")
            )
            assert known or width < 80 or len(line) <= width, line


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_its_examples_are_understood(command: Command) -> None:
    for example in command.examples:
        for part in re.split(r"\s\|\s|>\s\S+|<\s\S+", example.line):
            match = re.search(r"event-cli (?!hook\")[^)]*", part)
            if match is not None:
                parsed = parse(shlex.split(match[0].strip())[1:])
                assert parsed.command.path[0] == command.path[0]


def test_the_overview_names_every_command() -> None:
    text = help_text((), 100)
    for command in COMMANDS:
        assert f"  {command.name}" in text
        assert command.summary in text


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("--help", ()),
        ("-h", ()),
        ("dlq --help", ("dlq",)),
        ("dlq list -h", ("dlq", "list")),
        ("--home x publish --help", ("publish",)),
        ("publish a.b --help", ("publish",)),
    ],
)
def test_help_is_asked_for(line: str, path: tuple[str, ...]) -> None:
    with pytest.raises(HelpWanted) as wanted:
        parse(shlex.split(line))
    assert wanted.value.path == path


def test_the_version_is_asked_for() -> None:
    with pytest.raises(VersionWanted):
        parse(["--output", "json", "--version"])


def test_values_that_begin_with_a_dash_are_values() -> None:
    message = to_message(parse(shlex.split("events --since -15m --until=-1m --type a.# --status dead")))
    assert message == QueryEvents(type="a.#", status=Status.DEAD, since="-15m", until="-1m")


def test_a_subcommands_name_can_be_a_pattern() -> None:
    message = to_message(parse(["subscribe", "--", "list", "-"]))
    assert message == Subscribe(pattern="list", handler="-")


def test_priorities_are_read_in_either_case() -> None:
    message = to_message(parse(shlex.split("publish a.b --priority critical")))
    assert message == PublishText(event_type="a.b", priority="CRITICAL")


def test_global_options_are_found_anywhere() -> None:
    for line in (
        "--home h --output json stats",
        "stats --output=json --home h",
        "--home=h stats --output json",
    ):
        parsed = parse(shlex.split(line))
        assert (parsed.home, parsed.output) == ("h", "json")
        assert to_message(parsed) == GetStats()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "no command is named"),
        ("dlq", "no command is named after event-cli dlq"),
        ("dlq burn", "unknown command 'dlq burn'"),
        ("frobnicate", "unknown command 'frobnicate'"),
        ("--home /h --output json frobnicate", "unknown command 'frobnicate'"),
        ("dlq --home /h burn", "unknown command 'dlq burn'"),
        ("--bogus stats", "--bogus"),
        ("stats --bogus", "--bogus"),
        ("stats --liv", "--liv"),
        ("stats extra", "extra"),
        ("events --since", "--since"),
        ("events --since --until", "--since"),
        ("events --limit many", "'many' is not a whole number"),
    ],
)
def test_mistakes_say_what_is_wrong_and_where_help_is(line: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as mistake:
        parse(shlex.split(line))
    assert named in mistake.value.message
    assert mistake.value.advice


def test_a_command_of_several_messages_is_not_one() -> None:
    with pytest.raises(InvalidRequest):
        to_message(parse(["dlq", "retry", "1"]))


def test_groups_know_their_commands() -> None:
    words = ("groups", "list", "show", "retry", "edit", "drop", "runs", "rate", "stop")
    assert [command.name for command in subcommands(("dlq",))] == [f"dlq {word}" for word in words]


@pytest.mark.parametrize("module", ["event_monitor.cli.app", "event_monitor.grammar.render"])
def test_the_full_form_stays_light_too(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode().split()
    )
    assert not {
        "textual",
        "yaml",
        "asyncio",
        "aiosqlite",
        "event_monitor.runtime",
        "event_monitor.bus",
    } & set(loaded)


BASH = shutil.which("bash")


def complete_in_bash(*words: str) -> list[str]:
    lines = [
        script("bash"),
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))})",
        "COMP_CWORD=$((${#COMP_WORDS[@]}-1))",
        "event-cli() { echo asked.for.$2; }",
        "_event_cli",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run([str(BASH), "-c", "\n".join(lines)], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split()


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["d"], ["dlq", "debug"]),
        (["dlq", "r"], ["retry", "runs", "rate"]),
        (["--output", "json", "dlq", "list", "--t"], ["--type", "--target"]),
        (["publish", "a.b", "--priority", ""], ["CRITICAL", "HIGH", "NORMAL", "LOW"]),
        (["publish", "--priority", "=", "H"], ["HIGH"]),
        (["events", "--status=dead", "--output", ""], ["json", "table"]),
        (["publish", ""], ["asked.for.types"]),
        (["publish", "a.b", ""], []),
        (["subscribe", ""], ["list", "remove", "asked.for.types"]),
        (["subscribe", "remove", ""], ["asked.for.subscriptions"]),
        (["dlq", "drop", "--target", "ask"], ["asked.for.targets"]),
        (["completion", "z"], ["zsh"]),
    ],
)
def test_bash_completes(words: list[str], offered: list[str]) -> None:
    assert complete_in_bash("event-cli", *words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    for command in COMMANDS:
        assert command.path[-1] in text
        assert all(option.name in text for option in command.options)
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(text)
    subprocess.run([program, "-n", str(file)], check=True)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("frobnicate --x", 0),
        ("dlq burn 1", 1),
        ("dlq", 1),
        ("--bogus stats", 0),
        ("stats --live extra", 2),
        ("stats --live=yes", 1),
        ("events --since --until -1m", 1),
        ("events --limit many", 2),
        ("events --limit=many", 1),
        ("publish a.b {} --priority soon", 4),
        ("breaker a ajar", 2),
        ("subscribe a.#", 2),
        ("dlq show x", 2),
    ],
)
def test_a_mistake_names_the_word_that_is_wrong(line: str, word: int) -> None:
    with pytest.raises(UsageError) as mistake:
        parse(shlex.split(line))
    assert mistake.value.word == word


def test_options_may_stand_between_arguments() -> None:
    parsed = parse(shlex.split("breaker github --reason 'new disk' open"))
    assert (parsed.values["service"], parsed.values["action"]) == ("github", "open")
    parsed = parse(shlex.split("dlq retry 1 --target log 2"))
    assert parsed.values["id"] == [1, 2]


@pytest.mark.parametrize(("word", "meant"), [("publsh", "publish"), ("event", "events")])
def test_a_word_that_is_nearly_right_is_recognised(word: str, meant: str) -> None:
    with pytest.raises(UsageError) as mistake:
        parse([word])
    assert mistake.value.advice == f"did you mean {meant}?"
