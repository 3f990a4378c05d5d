"""The targets that read files and lines: rules, settings, hooks, discovery, spool, MCP wire, commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shlex
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from event_monitor.bus.rules import load_rules
from event_monitor.config import ServiceSettings, Settings
from event_monitor.configured import read_configuration
from event_monitor.control.spool import Spool, SpoolEntry
from event_monitor.errors import InvalidConfig, InvalidEvent, InvalidRequest
from event_monitor.grammar.commands import COMMANDS
from event_monitor.grammar.parser import HelpWanted, VersionWanted, parse, to_message
from event_monitor.services.base import ServiceError
from event_monitor.services.discovery import survey
from event_monitor.services.mcp_wire import Wire
from event_monitor.targets import NAMES
from tests.control.test_hooks import LIMIT, RECORDED, assert_publishable
from tests.fuzz.harness import Check, Target
from tests.fuzz.mutation import FRAGMENTS, SCALARS, damaged, json_text

# --- rules ----------------------------------------------------------------------------------

_SHIPPED = resources.files("event_monitor") / "config"
_RULES = json.loads((_SHIPPED / "routing-rules.json").read_bytes())
_RULES["routing"] = dict(list(_RULES["routing"].items())[:6]) | {
    "a.*": {"targets": ["log"], "priority": "HIGH", "ttl": 60, "filter": "x+"},
    "b.#": {"targets": [], "filter": [{"path": "$.a.b[0]", "regex": "^x"}, "y"]},
}
_RULE_WORDS = (
    *NAMES,
    "targets",
    "priority",
    "filter",
    "ttl",
    "path",
    "regex",
    "routing",
    "CRITICAL",
    "$.a[0]",
)
_RULE_TEXTS = [json.dumps(_RULES).encode()]


def _rules(rng: random.Random) -> bytes:
    return json_text(rng, _RULES, _RULE_WORDS, _RULE_TEXTS)


@contextlib.contextmanager
def _reading_rules() -> Iterator[Check]:
    def check(text: bytes) -> None:
        try:
            rules = load_rules(text, "rules.json", NAMES)
        except InvalidConfig as error:
            assert "rules.json" in error.message and error.advice
            return
        for event_type in ("a.b", "b", "mcp.server.down", "none"):
            routed = rules.route(event_type, {"a": {"b": ["xy"]}, "t": "\x00"})
            assert set(routed.targets) <= set(NAMES) and routed.targets

    yield check


# --- settings -------------------------------------------------------------------------------

_SETTINGS_TEXTS = [
    *(part.encode() for part in (_SHIPPED / "event-monitor.yaml").read_text().split("\n\n")),
    b"services:\n- {name: a, kind: tcp, port: 1}\n- {name: b, kind: http, url: 'http://x/',}\n",
    b"services:\n- name: c\n  kind: command\n  command: [sleep, '1']\n  fallback: [cache, local_fs]\n"
    b"  probes: {readiness: {interval: 1}}\n",
    b"targets: {log: {timeout: critical_path, retry: {max_retries: 3}}}\n",
    b"dashboard: {keys: {quit: x}}\nmask: [secret]\nbackups: {remove: true, directories: [/tmp],}\n",
    b"a: &x {b: 1}\nbus: *x\nqueue: {<<: *x}\n",
]
_SETTINGS_WORDS = (
    *Settings.__struct_fields__,
    *ServiceSettings.__struct_fields__,
    "critical_path",
    "tcp",
    "mcp",
)


def _settings(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        shipped = msgspec.to_builtins(Settings())
        shape = {name: shipped[name] for name in rng.sample(sorted(shipped), 3)}
        service = {"name": "s", "kind": rng.choice(("tcp", "http", "mcp", "command", "process")), "port": 1}
        return json_text(
            rng, shape | {"services": [service] * rng.randint(0, 2)}, _SETTINGS_WORDS, _SETTINGS_TEXTS
        )
    text = rng.choice(_SETTINGS_TEXTS)
    if rng.random() < 0.5 and (values := [i for i in range(len(text)) if text[i : i + 2] == b": "]):
        place = rng.choice(values) + 2
        end = text.find(b"\n", place)
        fragment = rng.choice((*FRAGMENTS, str(rng.choice(SCALARS)).encode(errors="replace")))
        text = text[:place] + fragment + rng.choice((b"", b"foo", b"''")) + text[end:]
    return damaged(rng, text, _SETTINGS_TEXTS, most=2)


@contextlib.contextmanager
def _reading_settings() -> Iterator[Check]:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAUDE_CONFIG_DIR", directory)
        file = Path(directory) / "event-monitor.yaml"

        def check(text: bytes) -> None:
            file.write_bytes(text)
            try:
                found = read_configuration(str(file))
            except InvalidConfig as error:
                assert str(file) in error.message and error.advice
                return
            assert isinstance(found.settings, Settings)

        yield check


# --- hooks ----------------------------------------------------------------------------------

_HOOKS = [json.loads(line) for line in RECORDED]
_HOOK_WORDS = ("hook_event_name", "tool_name", "Bash", "mcp__a__b", "session_id", "PreToolUse", "mcp_server")


def _hooks(rng: random.Random) -> bytes:
    return json_text(rng, rng.choice(_HOOKS), _HOOK_WORDS, RECORDED)


@contextlib.contextmanager
def _translating() -> Iterator[Check]:
    from event_monitor.control.hooks import translate

    def check(text: bytes) -> None:
        assert_publishable(translate(text, LIMIT, key="k"))
        assert_publishable(translate(text, 1_024), 1_024)

    yield check


# --- the spool ------------------------------------------------------------------------------

_LINES = [
    b'{"do":"publish_text","event_type":"a.b","payload":"{\\"x\\":1}","priority":"HIGH","key":"k","ttl":"5"}',
    b'{"event_type":"a.b","payload":{"x":1}}\n{"event_type":"c","priority":"LOW","ttl":5,"key":"q"}\n\n',
    *RECORDED[:3],
]


def _entries(rng: random.Random) -> bytes:
    return damaged(rng, rng.choice(_LINES), _LINES)


@contextlib.contextmanager
def _reading_entries() -> Iterator[Check]:
    with tempfile.TemporaryDirectory() as directory:
        new = Path(directory) / "new"
        new.mkdir()
        spool = Spool(directory)

        def check(text: bytes) -> None:
            for kind in ("hook", "event", "lines"):
                entry = SpoolEntry(f"{1:020d}-1-ab.{kind}", kind)
                (new / entry.name).write_bytes(text)
                try:
                    events = spool.read(entry)
                except InvalidEvent as error:
                    assert kind == "event" and error.message
                else:
                    assert all(event.key for event in events)
                    msgspec.json.encode(events)

        yield check


# --- discovery ------------------------------------------------------------------------------

_STDIO = {
    "type": "stdio",
    "command": "x",
    "args": ["-y", "${HOME:-a}"],
    "env": {"A_TOKEN": "t"},
    "timeout": 5_000,
}
_REMOTE = {"type": "http", "url": "https://u:p@h/x?key=1", "headers": {"Authorization": "Bearer x"}}
_DISCOVERED_WORDS = ("mcpServers", "command", "args", "env", "url", "type", "sse", "ws", "headers", "timeout")


def _declared(rng: random.Random) -> bytes:
    servers = {"mcpServers": {"one": _STDIO, "two": _REMOTE}}
    shape: Any = servers | {"projects": {"/nowhere": servers, "PLACE": {"enabledMcpjsonServers": ["one"]}}}
    return json_text(rng, shape, _DISCOVERED_WORDS, [json.dumps(shape).encode()])


@contextlib.contextmanager
def _discovering() -> Iterator[Check]:
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory) / "project"
        project.mkdir()

        def check(text: bytes) -> None:
            (Path(directory) / ".claude.json").write_bytes(text.replace(b"PLACE", os.fsencode(project)))
            (project / ".mcp.json").write_bytes(text)
            for cwd in (None, project):
                found = survey(directory, cwd, {"CLAUDE_CONFIG_DIR": directory})
                assert all(isinstance(note, str) for note in found.notes)
                assert all(one.name and one.fingerprint for one in found.servers)

        yield check


# --- MCP lines ------------------------------------------------------------------------------

_MESSAGES = [
    b'{"jsonrpc":"2.0","id":1,"result":{"a":[1]}}\n',
    b'{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"no"}}\n',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n',
    b'{"jsonrpc":"2.0","id":"x","method":"ping"}\n{"jsonrpc":"2.0","id":9,"method":"roots/list"}\n',
    b'{"jsonrpc":"2.0","id":' + b"[" * 985 + b"]" * 985 + b',"method":"ping"}\n',
]


def _wire_pieces(rng: random.Random) -> list[bytes]:
    text = b"".join(damaged(rng, rng.choice(_MESSAGES), _MESSAGES, most=2) for _ in range(rng.randint(1, 5)))
    cuts = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(0, 4)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@contextlib.contextmanager
def _speaking() -> Iterator[Check]:
    async def exchange(pieces: list[bytes]) -> None:
        sent: list[bytes] = []

        async def send(line: bytes) -> None:
            sent.append(line)

        wire = Wire(send)
        calls = [asyncio.create_task(wire.request("tools/call", {"n": n})) for n in range(3)]
        await asyncio.sleep(0)
        for piece in pieces:
            wire.feed(piece)
        await asyncio.sleep(0)
        wire.feed(b'\n{"jsonrpc":"2.0","id":3,"result":"last"}\n')
        wire.close("over")
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(not isinstance(one, Exception) or isinstance(one, ServiceError) for one in outcomes)
        await asyncio.sleep(0)
        assert wire.in_flight == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in sent)

    with asyncio.Runner() as runner:
        yield lambda pieces: runner.run(exchange(pieces))


# --- the command line -----------------------------------------------------------------------


def _examples() -> list[list[str]]:
    """The words of all examples that the help shows."""
    found = []
    for command in COMMANDS:
        for example in command.examples:
            with contextlib.suppress(ValueError):
                words = shlex.split(example.line.split("event-cli ", 1)[-1])
                ends = [words.index(word) for word in ("<", "|", ">", "&&") if word in words]
                found.append(words[: min(ends, default=len(words))])
    return found


_EXAMPLES = _examples()
_WORDS = sorted(
    {option.flag for command in COMMANDS for option in command.options}
    | {word for command in COMMANDS for word in command.path}
    | {choice for command in COMMANDS for option in command.options for choice in option.choices}
    | {
        "--",
        "-",
        "--output",
        "--home",
        "--output=json",
        "-h",
        "--help",
        "--version",
        "--since=-15m",
        "-1",
        "nan",
    }
    | {
        "",
        " ",
        "٣",
        "1e9",
        "9" * 30,
        "\x00",
        "\udcff",
        "%s",
        "%(prog)s",
        "@x",
        "-x",
        "---",
        "=",
        "--=",
        "\x1b[2J",
    }
)


def _command_line(rng: random.Random) -> list[str]:
    words = list(rng.choice(_EXAMPLES))
    for _ in range(rng.randint(0, 3)):
        place = rng.randint(0, len(words))
        match rng.randrange(4):
            case 0:
                words[place : place + 1] = []
            case 1 if place < len(words):
                words[place] = damaged(
                    rng, words[place].encode(errors="surrogateescape"), [b"--", b"a"], 2
                ).decode(errors="surrogateescape")
            case 2:
                words[place:place] = rng.sample(_WORDS, 2)
            case _:
                words.insert(place, rng.choice(_WORDS))
    return words


@contextlib.contextmanager
def _parsing() -> Iterator[Check]:
    def check(words: list[str]) -> None:
        try:
            invocation = parse(words)
            if invocation.command.build is not None:
                json.dumps(msgspec.to_builtins(to_message(invocation)))
        except (HelpWanted, VersionWanted):
            return
        except (InvalidRequest, InvalidEvent) as error:
            assert error.message and error.advice
            return
        # The same line with a word that nothing takes must be refused, and the word be named.
        if "--" not in words:
            try:
                parse([*words, "--no-such-thing"])
            except (InvalidRequest, InvalidEvent) as error:
                assert "--no-such-thing" in error.message, error.message
            else:
                assert words[-1].startswith("--"), "an unknown option was taken"

    yield check


READERS = (
    Target("rules", _rules, _reading_rules, 2),
    Target("settings", _settings, _reading_settings, 12),
    Target("hooks", _hooks, _translating, 2),
    Target("spool", _entries, _reading_entries, 2),
    Target("discovery", _declared, _discovering, 3),
    Target("wire", _wire_pieces, _speaking, 2),
    Target("grammar", _command_line, _parsing),
)
