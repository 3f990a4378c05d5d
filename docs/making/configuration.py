"""The reference of settings, rules, files and environment variables."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any, get_args, get_origin

import msgspec

from event_monitor import config
from event_monitor.bus import rules
from event_monitor.model import Priority
from event_monitor.paths import HomePaths
from event_monitor.services.providers.chains import CHAINS, PROVIDERS
from event_monitor.targets import NAMES
from making import shapes
from making.markdown import code, contents, fence, head, prose, sentence, table, words

_INTRO = """
Settings stand in `<home>/event-bus/event-monitor.yaml`, rules in `<home>/event-bus/routing-rules.json`. Write only
what is to be different: everything else stays as it is shipped. Both files are read again when they change; a file
with a mistake changes nothing, and an alert names file, line and key. `event-monitor --check-config` looks for
mistakes, `event-monitor --print-config` shows what is in force and from which line it comes.

Keys are written here with dots: `queue.max_backlog` is `max_backlog` under `queue:`. Times are seconds and sizes
bytes unless the meaning says otherwise. `null` stands for no value.

[contents]
"""

SERVICE_KINDS = (
    ("http", "`url`", "`headers`", "asks the address; a 2xx answer is a good one"),
    ("tcp", "`port`", "`host`", "opens a connection"),
    ("command", "`command`", "`env`, `cwd`, `restart`", "starts the program, watches it and restarts it"),
    (
        "mcp",
        "`command` or `url`",
        "`env`, `cwd`, `restart`; `headers`",
        "speaks MCP: over stdin and stdout of a program that it starts, or over HTTP",
    ),
    ("process", "`pid_file` or `match`", "", "looks whether the process runs; starts nothing"),
)

RULE_KEYS = (
    ("targets", "list of targets", "Where the events go. Needed. An empty list silences a shipped rule."),
    (
        "priority",
        words(Priority),
        "For events whose publisher names none; the most urgent rule counts.",
    ),
    (
        "ttl",
        "number above 0",
        "Seconds after which the event is not delivered any more; the shortest counts.",
    ),
    ("filter", "regular expression, object, or list of them", "The rule applies only where all are found."),
    ("filter.regex", "regular expression (RE2)", "Searched in the event type, or in the value at `path`."),
    ("filter.path", "text such as `$.exit_code` or `$.a[0].b`", "The value of the payload to search in."),
)

ENVIRONMENT = (
    ("EVENT_MONITOR_HOME", "The home, for all programs; `--home` counts more."),
    (
        "CLAUDE_CONFIG_DIR",
        "The home where the first is not set; also where the assistant keeps its configuration.",
    ),
    ("EVENT_MONITOR_DEBUG", "`event-cli hook` shows on stderr what went wrong."),
    (
        "EVENT_MONITOR_EVENT_ID",
        "Set for `exec:` handlers to the event's id; what they publish with `event-cli publish` is then its effect.",
    ),
    (
        "XDG_RUNTIME_DIR",
        "Where the socket is if the home's path is too long for one; else `TMPDIR`, else `/tmp`.",
    ),
    ("VISUAL, EDITOR", "What `event-cli dlq edit` opens."),
    ("TMUX", "Set by tmux: notifications and copied text then go through tmux."),
    ("DISPLAY, WAYLAND_DISPLAY", "Whether there is a desktop to notify."),
    ("USER, LOGNAME", "Who is recorded as having held a breaker, begun maintenance and so on."),
    ("TERM", "`dumb` or nothing: the dashboard says so and ends, `event-cli repl` reads plain lines."),
    ("NO_COLOR", "The dashboard without colours."),
)

FILES = (
    (
        "database",
        "events.db",
        "The store: SQLite, with `events.db-wal` and `events.db-shm` while it is open.",
    ),
    ("", "events.db.damaged-TIME", "A damaged store that was set aside; never deleted."),
    (
        "",
        "events.db.replaced-TIME",
        "The store that was there before `event-cli store restore`; never deleted.",
    ),
    ("settings", "event-monitor.yaml", "Your settings."),
    ("rules", "routing-rules.json", "Your rules."),
    ("socket", "bus.sock", "The control socket, for its owner alone."),
    ("lock", "lock", "Held by the one bus of the home."),
    ("spool", "spool/", "Events that were published while no bus ran."),
    (
        "logs",
        "logs/",
        "`events.jsonl` from the `log` target (rotated), `event-monitor.log` from the program.",
    ),
    ("dashboard", "dashboard.json", "What the dashboard remembers: theme, panels, columns, order."),
    ("console_history", "console-history", "What was typed at the prompt."),
    ("state", "../state/current.json", "The system state and its last 100 transitions."),
)

Row = tuple[str, str, str, str, str]

_LONGEST = 60
_NOT_FILES = {"home", "bus_dir", "socket_given"}


_OWN_WORDS = {
    "services": "A list of what is watched and protected: see [Services](#services-1).",
    "targets": "How single targets are served. The keys are names of targets ("
    + words(NAMES)
    + "); the values hold the keys of [target_defaults](#target_defaults), those that differ. `verification` has the "
    "timeout `batch_processing` and `cleanup` `research_tasks` where nothing else is said.",
    "upcasters": 'A topic pattern, and under it `{1: "module:function"}`: the function makes a payload of schema '
    "version 2 from one of version 1, and so on, before handlers or a replay see an older event.",
}


def page() -> str:
    """The whole page."""
    shipped = resources.files("event_monitor").joinpath("config", "event-monitor.yaml").read_text()
    meanings = yaml_meanings(shipped)
    sections = [_section(one, meanings) for one in shapes.fields(config.Settings)]
    parts = [
        head("Configuration", "config/event-monitor.yaml and event_monitor/config.py", _INTRO),
        "## Settings\n",
        *sections,
        _services(meanings),
        _rules(),
        _environment(),
        _files(),
    ]
    return contents("\n".join(parts) + "\n")


def yaml_meanings(text: str) -> dict[str, str]:
    """What the comments of a settings file say, by the key's path. A comment behind a key belongs to it,
    as do those that go on below it further to the right; one that stands above a key belongs to that."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    last = ""
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        comment = re.search(r"(?:^|\s)#\s?(.*)$", line)
        key = re.match(r"\s*([\w.#-]+):(?:\s|$)", line)
        if comment and line.lstrip().startswith("#"):
            if indent > 20 and last:
                found[last] = f"{found.get(last, '')} {comment[1].strip()}".strip()
            else:
                above.append(comment[1].strip())
            continue
        if key is None:
            above = above if line.strip() else []
            continue
        path = [step for step in path if step[0] < indent] + [(indent, key[1])]
        last = ".".join(name for _, name in path)
        said = " ".join([*above, *([comment[1].strip()] if comment else [])])
        if said:
            found[last] = said
        above = []
    return found


def _section(one: shapes.Field, meanings: dict[str, str]) -> str:
    kind = _struct(one.kind)
    about = meanings.get(one.key, "")
    lines = [f"### {one.key}\n"]
    if get_origin(one.kind) is dict or kind is None or one.key == "services":
        lines.append(f"{sentence(_code_words(about))}\n" if about and one.key not in _OWN_WORDS else "")
        lines.append(_open_section(one, kind, meanings))
    else:
        lines.append(f"{prose(kind.__doc__) if _documented(kind) else sentence(about)}\n")
        rows = _rows(kind, one.key, one.default, meanings)
        lines.append(_table([_short(row) for row in rows]))
        lines += [_below(row) for row in rows if _short(row) != row]
    return "\n".join(line for line in lines if line) + "\n"


def _open_section(one: shapes.Field, kind: Any, meanings: dict[str, str]) -> str:
    """A section whose keys are names that a person chooses, or a single value."""
    if one.key in _OWN_WORDS:
        return _OWN_WORDS[one.key]
    if one.key == "storm":
        pattern = next(iter(one.default))
        shipped = fence(f"storm:\n  {pattern}: {_flow(one.default[pattern])}", "yaml")
        rows = _rows(kind, f"storm.{pattern}", None, meanings)
        rows = [(row[0].replace(f"storm.{pattern}", "storm.PATTERN"), *row[1:]) for row in rows]
        return f"{prose(kind.__doc__)}\n\n{_table(rows)}\n\nShipped:\n\n{shipped}"
    if isinstance(one.default, dict) and one.default:
        return _table(
            [(code(f"{one.key}.{k}"), "number", code(v), "above 0", "") for k, v in one.default.items()]
        )
    return f"{sentence(shapes.shown(one.kind))} Shipped: {_default(one.default)}."


def _rows(kind: Any, path: str, default: Any, meanings: dict[str, str], *, own: bool = False) -> list[Row]:
    rows: list[Row] = []
    for one in shapes.fields(kind):
        key = f"{path}.{one.key}" if path else one.key
        value = getattr(default, one.key, one.default) if default is not None else one.default
        inner = _struct(one.kind)
        meaning = _code_words(one.meaning or meanings.get(_in_file(key), ""))
        assert meaning or inner, f"{key} has no meaning: give it a comment in event-monitor.yaml"
        if inner is not None and get_origin(one.kind) is not dict and value is not None and not own:
            rows += _rows(inner, key, value, meanings)
            continue
        shown = "needed" if one.required and default is None else _default(value)
        rows.append((code(key), shapes.shown(one.kind), shown, shapes.bounds(one.kind), sentence(meaning)))
    return rows


def _code_words(text: str) -> str:
    """``null``, ``true`` and ``false`` as the words of YAML that they are."""
    return re.sub(r"(?<!`)\b(null|true|false)\b(?!`)", r"`\1`", text)


def _in_file(key: str) -> str:
    return re.sub(r"^(restart|retry|breaker)\.", r"target_defaults.\1.", key)


def _services(meanings: dict[str, str]) -> str:
    kinds = set(get_args(msgspec.structs.fields(config.ServiceSettings)[1].type))
    assert {kind for kind, *_ in SERVICE_KINDS} == kinds, "a kind of service has no row"
    plain = _rows(config.ServiceSettings, "", None, meanings, own=True)
    plain = [row for row in plain if row[0] not in ("`declared`",)]
    blank = config.ServiceSettings(name="", kind="tcp")
    parts = [
        "## Services\n",
        "Each entry of `services:` is one service. Name, kind and what the kind needs are enough:\n",
        fence(
            "services:\n"
            "  - {name: docs, kind: http, url: https://docs.python.org/3/}\n"
            "  - {name: database, kind: tcp, port: 5432, critical: true}\n"
            "  - {name: files, kind: mcp, command: [npx, -y, '@modelcontextprotocol/server-filesystem', /home/ann]}",
            "yaml",
        ),
        "\n### Kinds of services\n",
        table(
            ("kind", "needs", "takes too", "what it does"),
            [(code(k), n, t, w) for k, n, t, w in SERVICE_KINDS],
        ),
        "\n### Keys of a service\n",
        table(
            ("key", "holds", "default", "range", "meaning"),
            [(k, h, "see below" if d.startswith("object:") else d, r, m) for k, h, d, r, m in plain],
        ),
    ]
    for name in ("breaker", "bulkhead", "retry", "probes", "restart"):
        value = getattr(blank, name)
        parts.append(f"\n### {name} of a service\n\n{_table(_rows(type(value), name, value, meanings))}")
    parts += [
        "\n### declared of a service\n",
        prose(config.DeclaredSettings.__doc__) + "\n",
        _table(_rows(config.DeclaredSettings, "declared", None, meanings)),
        "\n### Fallback chains\n",
        "`fallback` names providers, or a chain by its name, which stands for its providers in their order. What a "
        "provider may use stands in the settings' [fallback](#fallback) section.\n",
        table(("chain", "providers"), [(code(name), words(steps)) for name, steps in CHAINS.items()]),
        f"\nProviders: {words(PROVIDERS)}.\n",
    ]
    return "\n".join(parts)


def _rules() -> str:
    named = {key for key, _, _ in RULE_KEYS}
    assert named == {*rules._RULE_KEYS, *(f"filter.{key}" for key in rules._FILTER_KEYS)}
    shipped = resources.files("event_monitor").joinpath("config", "routing-rules.json").read_text()
    example = {
        "routing": {
            "mcp.server.down": ["alert", "log"],
            "command.#": {
                "targets": ["notification"],
                "priority": "HIGH",
                "filter": {"path": "$.exit_code", "regex": "^[1-9]"},
                "ttl": 60,
            },
        }
    }
    rows = [(code(pattern), words(targets)) for pattern, targets in json.loads(shipped)["routing"].items()]
    return "\n".join(
        (
            "## Rules\n",
            "A rule is a topic pattern and where its events go. In a pattern `*` is exactly one word and `#` any "
            "number of words. All matching rules apply, a target once; an event that matches none goes to `log`. "
            "Your rules are added to the shipped ones; the same pattern replaces the shipped rule.\n",
            fence(json.dumps(example, indent=2), "json"),
            "\nIn the place of the list of targets an object may stand:\n",
            table(("key", "holds", "meaning"), [(code(key), kind, text) for key, kind, text in RULE_KEYS]),
            f"\nAt most {rules.MAX_RULES:,} rules; of a value the first {rules.INSPECTED:,} bytes are searched. "
            f"Targets: {words(NAMES)}.\n",
            "### Shipped rules\n",
            table(("pattern", "targets"), rows) + "\n",
        )
    )


def _environment() -> str:
    rows = [(words(names.split(", ")), text) for names, text in ENVIRONMENT]
    return f"## Environment variables\n\n{table(('variable', 'meaning'), rows)}\n"


def _files() -> str:
    paths = HomePaths("/home")
    known = {name for name in dir(paths) if not name.startswith("_")} - _NOT_FILES
    assert {name for name, _, _ in FILES if name} == known, "a file of the home has no row"
    rows = [(code(f"event-bus/{path}").replace("event-bus/../", ""), text) for _, path, text in FILES]
    return (
        "## Files\n\nBelow the home: `$EVENT_MONITOR_HOME`, else `$CLAUDE_CONFIG_DIR`, else `~/.claude`. Directories "
        f"are made for their owner alone.\n\n{table(('file', 'what'), rows)}"
    )


def _short(row: Row) -> Row:
    """The row, with a long default left to what stands below the table."""
    key, holds, default, limits, meaning = row
    return (key, holds, default if len(default) <= _LONGEST else "below", limits, meaning)


def _below(row: Row) -> str:
    key, default = row[0].strip("`"), json.loads(row[2].strip("`"))
    if isinstance(default, list):
        return f"\n`{key}`: {words(default)}"
    shipped = "\n".join(f"    {name}: {value}" for name, value in default.items())
    outer, _, inner = key.rpartition(".")
    return f"\nShipped:\n\n{fence(f'{outer}:{chr(10)}  {inner}:{chr(10)}{shipped}', 'yaml')}"


def _table(rows: list[Row]) -> str:
    return table(("key", "holds", "default", "range", "meaning"), rows)


def _struct(kind: Any) -> type[msgspec.Struct] | None:
    """The section that a type is, or that it holds."""
    for one in (kind, *get_args(kind)):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def _documented(kind: type[msgspec.Struct]) -> bool:
    return bool(kind.__dict__.get("__doc__"))


def _default(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return "object:"
    return code(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))


def _flow(value: msgspec.Struct) -> str:
    return json.dumps(msgspec.to_builtins(value)).replace('"', "")
