"""The reference of event-cli and of event-monitor's options."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

from event_monitor.__main__ import _parser
from event_monitor.chaos.command import ListedPoint, ListedScenario
from event_monitor.chaos.results import ChaosReport
from event_monitor.cli.batch import Summary
from event_monitor.grammar.commands import COMMANDS, GLOBAL_OPTIONS
from event_monitor.grammar.parser import parse, to_message
from event_monitor.grammar.spec import Argument, Command, Option
from event_monitor.messages.catalogue import REPLY_OF
from event_monitor.model import Event, Transition
from event_monitor.replies.dead_letters import Corrected, RetryRun
from event_monitor.replies.general import Done, Published, Reply, StateReport, Subscription, SubscriptionInfo
from event_monitor.replies.replays import ReplayPlan, ReplayReport
from event_monitor.replies.store import ImportedLines
from making import shapes
from making.markdown import anchor, code, contents, fence, head, prose, sentence, table

_INTRO = """
`event-cli` talks to the bus of a running `event-monitor`. Results go to stdout, as a table on a terminal and as JSON
when they are piped; errors go to stderr, one line that says what to do. JSON is the contract for scripts: one object,
or one a line where the result is a list; names that stand here stay, new ones may be added.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | refused or failed |
| 2 | wrong usage or bad input |
| 3 | no bus is running |

Times are ISO 8601, epoch seconds, or relative to now (`-15m`, `-2h`, `-7d`). In a topic pattern `*` is exactly one
word and `#` any number of words. The same commands can be typed at `event-cli repl` and on the dashboard's Console tab.

[contents]
"""


# More choices than these are a list of their own, which the help says how to get.
_MANY = 15


@dataclass(frozen=True)
class Output:
    """What a command prints as JSON: ``struct``, one or one a ``line``; ``when`` tells several apart."""

    struct: type[Any]
    lines: bool = False
    when: str = ""
    keys: tuple[str, ...] = ()


# What cannot be told from the message that a command sends.
_OUTPUTS: dict[str, tuple[Output, ...]] = {
    "publish": (Output(Published), Output(Summary, when="with `--batch`")),
    "subscribe": (Output(Event, True, "handler `-`"), Output(SubscriptionInfo, when="`exec:` and `py:`")),
    "events": (Output(Event, True),),
    "replay": (
        Output(ReplayReport, when="at its end, with `--detach` at once, with `--progress` each second"),
        Output(ReplayPlan, when="with `--dry-run`"),
    ),
    "state": (
        Output(StateReport, keys=("state", "since", "reason")),
        Output(Transition, True, "with `--history`; the first two keys are called `from` and `to`"),
    ),
    "dlq retry": (Output(Done), Output(RetryRun, when="with `--rate`")),
    "dlq drop": (Output(Done),),
    "dlq edit": (Output(Corrected),),
    "store export": (Output(Event, True, "always JSON lines"),),
    "store import": (Output(ImportedLines),),
    "chaos": (Output(ChaosReport),),
    "chaos list": (Output(ListedScenario, True), Output(ListedPoint, True, "after them")),
    "hook": (),
    "repl": (),
    "completion": (),
}


def page() -> str:
    """The whole page."""
    parts = [
        head("event-cli and event-monitor", "event_monitor/grammar and event_monitor/__main__.py", _INTRO),
        "## Options of every command\n",
        table(("option", "meaning"), [*map(_option, GLOBAL_OPTIONS), _HELP]),
        "\n## Commands\n",
        table(
            ("command", "what it does"),
            ((f"[{code(one.name)}](#{anchor(one.name)})", sentence(one.summary)) for one in COMMANDS),
        ),
        *map(_command, COMMANDS),
        _program(),
    ]
    return contents("\n".join(parts), whole=False)


_HELP = ("`--help`", "Shows what a command takes; `event-cli --version` shows the version.")


def _command(command: Command) -> str:
    parts = [
        f"\n### {command.name}\n",
        sentence(command.summary),
        f"\n{fence(f'event-cli {command.usage}')}\n",
    ]
    rows = [*map(_argument, command.arguments), *map(_option, command.options)]
    if rows:
        parts.append(table(("argument or option", "meaning"), rows) + "\n")
    examples = [f"{example.line}{_comment(example.purpose)}" for example in command.examples]
    parts.append("Examples:\n\n" + fence("\n".join(examples), "sh") + "\n")
    if command.notes:
        parts.append(command.notes + "\n")
    parts += [_output(one) for one in outputs(command)]
    return "\n".join(parts).rstrip()


def outputs(command: Command) -> tuple[Output, ...]:
    """What a command prints as JSON."""
    if command.name in _OUTPUTS:
        return _OUTPUTS[command.name]
    assert command.build is not None, f"{command.name}: say what it prints"
    found: dict[Any, Output] = {}
    for words in _typed(command):
        reply = REPLY_OF[type(to_message(parse(words)))]
        one = _shown(reply)
        found.setdefault(one.struct, replace(one, when=f"as for `event-cli {shlex.join(words)}`"))
    many = len(found) > 1
    return tuple(replace(one, when="" if not many else one.when) for one in found.values())


def _typed(command: Command) -> Iterator[list[str]]:
    """The command lines of the examples, up to where a shell takes over."""
    for example in command.examples:
        words = shlex.split(example.line)
        for end in ("|", ">", "<"):
            words = words[: words.index(end)] if end in words else words
        yield words[1:] if words[0] == "event-cli" else words


def _shown(reply: type[Any]) -> Output:
    if reply is Subscription:
        return Output(SubscriptionInfo)
    if reply is StateReport:
        return Output(StateReport, keys=("state", "since", "reason"))
    if issubclass(reply, Reply) and reply.LINES:
        (kind,) = (one.kind for one in shapes.fields(reply) if one.key == reply.LINES)
        return Output(get_args(kind)[0], True)
    return Output(reply)


def _output(output: Output) -> str:
    rows = []
    for one in shapes.fields(output.struct):
        if output.keys and one.key not in output.keys:
            continue
        rows.append((code(one.key), shapes.shown(one.kind)))
    how = "one object a line" if output.lines else "one object"
    when = f" ({output.when})" if output.when else ""
    if output.struct is Event:
        return f"JSON: {how}{when}, with [the fields of an event](events.md#the-fields-of-an-event).\n"
    about = prose(output.struct.__doc__) if "__doc__" in output.struct.__dict__ else ""
    about = "" if about.startswith(output.struct.__name__ + "(") else about
    text = f"JSON: {how}{when}.{' ' + about if about and not output.keys else ''}\n\n"
    return text + table(("key", "holds"), rows) + "\n"


def _argument(argument: Argument) -> tuple[str, str]:
    name = argument.name.upper() + ("..." if argument.many else "")
    text = argument.help
    unsaid = [choice for choice in argument.choices if choice not in text]
    if unsaid and len(argument.choices) <= _MANY:
        text += f" ({', '.join(argument.choices)})"
    if not argument.required and "default" not in text:
        text += "; may be left out"
    return code(name), _meaning(text, argument.choices)


def _option(option: Option) -> tuple[str, str]:
    text = option.help
    unsaid = [choice for choice in option.choices if choice not in text]
    if unsaid:
        text += f" ({', '.join(option.choices)})"
    return code(f"{option.flag} {option.metavar}".strip()), _meaning(text, option.choices)


def _meaning(text: str, choices: tuple[str, ...]) -> str:
    """A help text as a sentence, with what is typed as code."""
    typed = "|".join([*map(re.escape, choices), r"\$[A-Z_]+", r"--[a-z-]+", r"(?:exec|py):[\w:]+"])
    text = re.sub(rf"(?<![\w.=-])(?:{typed})(?![\w-])", lambda found: code(found[0]), text)
    return sentence(text.replace("*", "\\*").replace("<", "&lt;"))


def _comment(purpose: str) -> str:
    return f"    # {purpose}"


def _program() -> str:
    """``event-monitor`` itself, from its parser."""
    rows = []
    for action in _parser()._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        flag = f"{action.option_strings[-1]} {action.metavar or ''}".strip()
        text = "show the version" if isinstance(action, argparse._VersionAction) else action.help or ""
        rows.append((code(flag), _meaning(text, ())))
    return "\n".join(
        (
            "\n## event-monitor\n",
            "Without an option: the dashboard with the bus inside; a second one attaches to the first as another "
            "view. `--headless`, `--attach`, `--demo`, `--once`, `--check-config` and `--print-config` exclude each "
            "other.\n",
            fence("event-monitor [options]"),
            "",
            table(("option", "meaning"), rows),
            "\nExit status: 0 done, 1 failed, 2 wrong usage or settings, 3 no bus is running. `--headless` prints "
            '`{"ready": true, "pid": N, "socket": PATH}` when it accepts connections, and ends with 0 on SIGTERM. '
            "`kill -USR1 PID` writes all tasks with their stacks to `logs/event-monitor.log`.\n",
        )
    )
