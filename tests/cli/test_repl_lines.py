"""What is typed at the prompt: words, payloads, the place of a mistake, and what is remembered."""

from __future__ import annotations

import json
import os
import shlex
import stat
import string
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.errors import EventMonitorError, InvalidRequest, NotFound
from event_monitor.grammar.commands import COMMANDS
from event_monitor.grammar.decode import publish_from_text
from event_monitor.grammar.help import help_text
from event_monitor.grammar.parser import HelpWanted, to_message
from event_monitor.grammar.repl.history import MAX_ENTRIES, History, without_secrets
from event_monitor.grammar.repl.line import place_of, understand
from event_monitor.grammar.repl.pointing import caret_line, line_and_column
from event_monitor.grammar.repl.table import NEEDS_SHELL, REPL, REPL_COMMANDS
from event_monitor.grammar.repl.words import LineError, Unfinished, quote, split, split_before
from event_monitor.messages import PublishText

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def texts(line: str) -> list[str]:
    return [word.text for word in split(line)]


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  \n\t", []),
        ("stats", ["stats"]),
        ("a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]),
        (r"""a "b\"c\\d\e" 'f\g' """, ["a", r'b"c\d\e', r"f\g"]),
        ("a '' \"\" b", ["a", "", "", "b"]),
        ("a \\\n b", ["a", "b"]),
        (
            'publish a.b {"x": 1, "y": [1, "} {"]} --key k',
            ["publish", "a.b", '{"x": 1, "y": [1, "} {"]}', "--key", "k"],
        ),
        ('publish a.b {\n  "x": "\\"}"\n}', ["publish", "a.b", '{\n  "x": "\\"}"\n}']),
        (
            "events --type command.# --filter ^a[bc]+$",
            ["events", "--type", "command.#", "--filter", "^a[bc]+$"],
        ),
        ("subscribe a exec:'x | y'", ["subscribe", "a", "exec:x | y"]),
        ("a '|'", ["a", "|"]),
    ],
)
def test_a_line_is_split_into_words(line: str, words: list[str]) -> None:
    assert texts(line) == words


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("a 'b", 2),
        ('a "b', 2),
        ("a \\", 2),
        ('a {"b": [1', 8),
        ("a b{'c", 4),
    ],
)
def test_a_line_that_may_go_on_says_what_is_open(line: str, start: int) -> None:
    with pytest.raises(Unfinished) as error:
        split(line)
    assert (error.value.start, error.value.end) == (start, start + 1)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('a {"b": [1}', (10, 11)),
        ("a {'b': 1}", (3, 4)),
        ('a {"b": "c\n"}', (8, 10)),
        ('a {"b', (3, 5)),
        ('a {"b": "c\\', (8, 11)),
        ("stats | jq .", (6, 7)),
        ("events > file", (7, 8)),
        ("stats && stats", (6, 8)),
    ],
)
def test_what_no_further_line_can_mend_is_wrong_at_once(line: str, place: tuple[int, int]) -> None:
    with pytest.raises(LineError) as error:
        split(line)
    assert not isinstance(error.value, Unfinished)
    assert (error.value.start, error.value.end) == place
    assert error.value.advice


@given(st.lists(st.text()))
def test_a_quoted_word_is_the_same_word_again(words: list[str]) -> None:
    assert texts(" ".join(map(quote, words))) == words


@given(JSON.map(lambda value: {"k": value}), st.sampled_from([None, 1, 2]))
def test_json_needs_no_quotes(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert texts(f"publish a.b {text} --key x") == ["publish", "a.b", text, "--key", "x"]


@given(st.text(alphabet="ab \"'\\.-=", max_size=30))
def test_without_json_a_shell_would_split_the_same(line: str) -> None:
    try:
        mine = texts(line)
    except Unfinished:
        with pytest.raises(ValueError):
            shlex.split(line)
    else:
        assert mine == shlex.split(line)


@given(st.text(alphabet=string.printable + "{}[]\":,'\\é漢\x1b", max_size=60))
def test_any_line_is_split_or_refused_at_a_place_in_it(line: str) -> None:
    try:
        words = split(line)
    except LineError as error:
        assert 0 <= error.start < error.end <= len(line) + 1 and error.message and error.advice
    else:
        assert all(a.end <= b.start for a, b in pairwise(words))
        assert all(line[word.start : word.end] == word.text for word in words if word.verbatim)
    try:
        before, last = split_before(line)
    except LineError:
        return
    assert last.end == len(line) and last.start >= (before[-1].end if before else 0)


# --- commands -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_examples_of_event_cli_are_lines_or_need_a_shell(command: Any) -> None:
    for example in command.examples:
        if command.path[0] in NEEDS_SHELL or any(mark in example.line for mark in ("|", ">", "<")):
            continue
        invocation = understand(example.line)
        assert invocation is not None and invocation.command.path[0] == command.path[0]
        assert understand(example.line.removeprefix("event-cli ")) == invocation


@pytest.mark.parametrize("command", REPL_COMMANDS, ids=lambda command: command.name)
def test_the_prompt_s_own_commands_are_complete(command: Any) -> None:
    assert command.summary and command.examples
    for example in command.examples:
        invocation = understand(example.line)
        assert invocation is not None and invocation.command == command
    assert command.summary in help_text(command.path, 80, REPL)


@pytest.mark.parametrize("path", [(), ("dlq",), *(command.path for command in REPL.commands)])
def test_help_at_the_prompt_names_no_program_and_needs_no_shell(path: tuple[str, ...]) -> None:
    text = help_text(path, 80, REPL)
    assert "usage: event-cli" not in text and "--home" not in text
    assert not any(line.strip().startswith("event-cli ") for line in text.splitlines())
    assert " | " not in text and " < " not in text


def test_json_goes_to_the_bus_as_it_was_typed() -> None:
    invocation = understand('publish mcp.server.down {"service":\n "github"} --priority high')
    assert invocation is not None
    assert to_message(invocation) == PublishText(
        event_type="mcp.server.down", payload='{"service":\n "github"}', priority="HIGH"
    )


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "  # { ' open"])
def test_nothing_is_typed(line: str) -> None:
    assert understand(line) is None


@pytest.mark.parametrize("line", ["events --help", "events -h", "--help"])
def test_help_is_asked_for(line: str) -> None:
    with pytest.raises(HelpWanted):
        understand(line)


def marked(line: str) -> tuple[str, str]:
    """The part of a line that is marked, and the message."""
    try:
        invocation = understand(line)
        assert invocation is not None
        message = to_message(invocation)
        if isinstance(message, PublishText):
            publish_from_text(message)
    except EventMonitorError as error:
        place = place_of(line, error)
        return line[slice(*place)] if place else "", str(error)
    raise AssertionError("it was understood")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("frobnicate now", "frobnicate"),
        ("dlq  burn 1", "burn"),
        ("event-cli stats --liv", "--liv"),
        ("stats extra", "extra"),
        ("events --limit 'ma ny'", "'ma ny'"),
        ("events --status=gone", "--status=gone"),
        ("events --since", "--since"),
        ("breaker github ajar", "ajar"),
        ("replay --from -1h --speed fast", "fast"),
        ("subscribe a.# nonsense", "nonsense"),
        ("subscribe a.# exec:x --count 3", "--count"),
        ('publish a.b {"a": 01}', "1"),
        ('publish a.b {"é漢": nul}', "}"),
        ("publish a.b '{\"a\": 01}'", "'{\"a\": 01}'"),
        ("publish a.b []", "[]"),
        ("publish a.b -", "-"),
        ("publish - --batch", "-"),
        ("hook", "hook"),
        ("completion bash", "completion"),
        ("repl", "repl"),
        ("set output yaml", "yaml"),
        ("stats --home /elsewhere", "--home"),
    ],
)
def test_a_mistake_is_marked_where_it_stands(line: str, part: str) -> None:
    assert marked(line)[0] == part


def test_what_is_missing_is_marked_behind_the_line() -> None:
    with pytest.raises(LineError) as error:
        understand("dlq show ")
    assert (error.value.start, error.value.end) == (8, 9)


def test_what_the_bus_refuses_is_found_in_the_line() -> None:
    line = "breaker githup open"
    assert place_of(line, NotFound("no service is named 'githup'")) == (8, 14)
    assert place_of(line, NotFound("something else")) is None
    assert place_of("restart x-y", NotFound("no service x-y is configured")) == (8, 11)


def test_carets_stand_under_the_place_whatever_its_width() -> None:
    assert caret_line("breaker x ajar", 10, 14) == ("breaker x ajar", " " * 10 + "^^^^")
    assert caret_line("a 漢字 b\x1b", 5, 6) == ("a 漢字 b�", " " * 7 + "^")
    assert caret_line('publish a {\n  "b": x}', 19, 20) == ('  "b": x}', " " * 7 + "^")
    assert caret_line("stats", 5, 6) == ("stats", "     ^")
    assert line_and_column('publish a {\n  "b": x}', 19) == (2, 8)


# --- history --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "event-bus" / "console-history"


def history(file: Path) -> History:
    opened = History(str(file))
    opened.load()
    return opened


def test_history_is_kept_for_its_owner_alone(file: Path) -> None:
    first = history(file)
    for line in ("stats", 'publish a {\n"b": 1}', " hidden", "", "stats  ", "stats"):
        first.add(line)
    assert first.entries == ["stats", 'publish a {\n"b": 1}', "stats"]
    assert history(file).entries == first.entries
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_two_prompts_share_the_history(file: Path) -> None:
    one, two = history(file), history(file)
    one.add("stats")
    two.add("events")
    one.add("state")
    assert history(file).entries == ["stats", "events", "state"]


def test_a_secret_is_not_written(file: Path) -> None:
    opened = history(file)
    line = 'publish a.b {"user": "u", "api_key": "sesame", "n": {"token": "sesame"}} --key k'
    opened.add(line)
    opened.add("subscribe a exec:'curl -H \"Authorization: Bearer sesame\"'")
    opened.add("publish a.b 'api_key=sesame")
    assert opened.entries[0] == line, "it can be typed again while the prompt is open"
    assert "sesame" not in file.read_text()
    (kept,) = history(file).entries
    assert kept.endswith(" --key k") and '"user":"u"' in kept and "[masked]" in kept
    assert not any("sesame" in shown for shown in opened.shown(9))


@pytest.mark.parametrize(
    "line", ["events --type token.refreshed", 'publish a.b {"tokens": 5}', "publish a.b {'x"]
)
def test_what_only_sounds_like_a_secret_is_kept(line: str) -> None:
    assert without_secrets(line) == line


def test_history_is_bounded(file: Path) -> None:
    opened = history(file)
    for number in range(MAX_ENTRIES + 5):
        opened.add(f"dlq show {number}")
    assert len(opened.entries) == len(history(file).entries) == MAX_ENTRIES
    assert opened.entries[-1] == history(file).entries[-1] == f"dlq show {MAX_ENTRIES + 4}"
    for number in range(100):
        opened.add(f"events --filter {number}{'x' * 15_000}")
    assert file.stat().st_size < 1_100_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert history(file).entries[-1].startswith("events --filter 99x")
    opened.add("x" * 20_000)
    assert len(opened.entries[-1]) < 16_000


def test_a_damaged_history_loses_only_what_is_damaged(file: Path) -> None:
    history(file).add("stats")
    with file.open("ab") as written:
        written.write(b'\xff\xfe\n{"a": 1}\n12\n"half')
    assert history(file).entries == ["stats"]
    history(file).add("state")
    with file.open("ab") as written:
        written.write(b'\n"events"\n')
    assert history(file).entries[-1] == "events"


def test_a_history_that_cannot_be_written_lasts_as_long_as_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "event-bus").write_text("a file in the way")
    opened = history(tmp_path / "event-bus" / "console-history")
    opened.add("stats")
    assert opened.entries == ["stats"] and opened.trouble is not None
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    opened = history(link)
    opened.add("stats")
    assert opened.trouble is not None and not os.path.exists(tmp_path / "elsewhere")


def test_a_lone_surrogate_is_not_kept_and_harms_nothing(file: Path) -> None:
    opened = history(file)
    opened.add("events --filter \udcff")
    opened.add("stats")
    assert history(file).entries == ["stats"]


def test_no_path_is_a_history_in_memory() -> None:
    opened = History(None)
    opened.load()
    opened.add("stats")
    assert opened.entries == ["stats"] and opened.trouble is None


def test_errors_of_lines_are_requests_that_were_refused() -> None:
    assert issubclass(LineError, InvalidRequest)
