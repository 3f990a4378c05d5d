"""The catalogue of event types."""

from __future__ import annotations

import json
from functools import cache

from event_monitor import event_types as own
from event_monitor.bus.rules import RuleSet, read_rules
from event_monitor.config import Settings
from event_monitor.event_types import OWN_EVENTS, OwnEvent
from event_monitor.hook_types import COMMON_KEYS, HOOK_TYPES, KEYS, UNKNOWN, HookType
from event_monitor.model import Event, Priority
from event_monitor.targets import NAMES
from event_monitor.topics import TopicPattern
from making import shapes
from making.markdown import anchor, code, contents, fence, head, prose, sentence, table, words

_AT = "2026-11-27T09:30:00.000000Z"
_MOVED = {"service": "github", "reason": "5 failures in a row"}
EXAMPLES: tuple[OwnEvent, ...] = (
    own.StateChanged(
        from_state="HEALTHY", to_state="DEGRADED", reason="github: breaker open: 5 failures in a row", at=_AT
    ),
    own.BreakerOpened(from_state="CLOSED", to_state="OPEN", by=None, **_MOVED),
    own.BreakerHalfOpen(
        from_state="OPEN", to_state="HALF_OPEN", by=None, service="github", reason="30 s are over"
    ),
    own.BreakerClosed(
        from_state="OPEN",
        to_state="CLOSED",
        by="ann (event-cli)",
        service="target:log",
        reason="disk replaced",
    ),
    own.ServiceDown(service="docs", kind="http", error="readiness: HTTP 503"),
    own.ServiceUp(service="docs", kind="http", reason="readiness passed"),
    own.McpServerDown(service="github", kind="mcp", error="liveness: no answer within 5 s"),
    own.McpServerUp(service="github", kind="mcp", reason="liveness passed"),
    own.FallbackBegan(service="github", kind="mcp", error="git_cli answers in its place"),
    own.FallbackEnded(service="github", kind="mcp", reason="it answers itself again"),
    own.StormBegan(
        pattern="build.#", source="ci", events_per_second=950.0, limit=200.0, action="sample", over_limit=412
    ),
    own.StormEnded(
        pattern="build.#",
        source="ci",
        events_per_second=1_210.0,
        limit=200.0,
        action="sample",
        over_limit=8_733,
        seconds=9.4,
    ),
    own.BackupCompleted(path="/backups/events.db", size=1_048_576, sha256="9f86d0…15b0f00a08", store=True),
    own.BackupVerified(
        path="/backups/events.db", size=1_048_576, sha256="9f86d0…15b0f00a08", checked=["size", "sha256"]
    ),
    own.ErrorCritical(
        title="backup /backups/site.tar",
        path="/backups/site.tar",
        error="it has 1,024 bytes, 4,096 were claimed",
        backup_event=4711,
    ),
    own.PatternLearned(
        name="git add > git commit",
        pattern=["git add", "git commit"],
        support=10,
        confidence=0.83,
        lift=4.2,
        threshold=10,
        first_at=_AT,
        last_at=_AT,
    ),
    own.SpoolUnreadable(line=3, head='{"event_type": ', error="not JSON: it ends too early"),
    own.HookUnreadable(bytes=12, head="not JSON at all"[:12], error="not JSON"),
)

# What the targets look for in a payload, whoever published it.
READ_BY_TARGETS = (
    ("alert", "service, server, name, title", "what the alert is about"),
    ("alert", "error, message, reason …", "what is wrong, in words"),
    ("notification", "the same", "the message's text"),
    ("recovery", "service, server, name, mcp_server.name", "the service to recover; none: nothing is done"),
    ("kill-switch", "service, services", "what to stop: a name, a list of names or `all`; none: all"),
    ("analytics", "exit_code, success, duration_ms, duration", "whether it failed, and how long it took"),
    ("learning", "session_id, tool_input.command, command", "the session, and the commands in it"),
    ("evaluation", "support, confidence, lift", "the figures of the pattern"),
    ("storage", "name, pattern", "what the pattern is kept as"),
    ("verification", "path, size, sha256", "the backup, and what is claimed for it"),
    ("log", "", "the whole event, secrets masked"),
    ("cleanup", "", "nothing: the event is only the occasion"),
)

_INTRO = """
What event-monitor publishes by itself, what an assistant's hooks become, and what the targets look for in the
events that you publish. Types and keys that stand here stay; new keys may be added.

[contents]
"""


def page() -> str:
    """The whole page."""
    made = {type(one).TYPE: one for one in EXAMPLES}
    assert set(made) == {kind.TYPE for kind in OWN_EVENTS}, "each type needs one example"
    assert {target for target, _, _ in READ_BY_TARGETS} == set(NAMES), "each target needs a row"
    parts = [
        head("Event types", "event_monitor/event_types.py and hook_types.py", _INTRO),
        "## The fields of an event\n",
        "`event-cli events`, handlers and `events.jsonl` show these.\n",
        table(
            ("field", "holds", "meaning"),
            ((code(one.key), shapes.shown(one.kind), one.meaning) for one in shapes.fields(Event)),
        ),
        "\n## Published by event-monitor\n",
        "Priority and targets are those of the shipped settings and rules. These events may use the queue's "
        "reserve, and no storm rule holds them back.\n",
        table(
            ("type", "by", "priority", "goes to"),
            (
                (
                    f"[{code(kind.TYPE)}](#{anchor(kind.TYPE)})",
                    kind.BY,
                    priority(kind.TYPE),
                    goes_to(kind.TYPE),
                )
                for kind in OWN_EVENTS
            ),
        ),
        *(_section(kind, made[kind.TYPE]) for kind in OWN_EVENTS),
        _hooks(),
        "\n## What targets look for\n",
        "Any event that a rule leads to a target is served. These keys of its payload mean something there; "
        "the first that is there counts.\n",
        table(
            ("target", "keys", "meaning"),
            (
                (
                    code(target),
                    words(keys.split(", ")) if keys[:3] not in ("", "the") else keys,
                    sentence(text),
                )
                for target, keys, text in READ_BY_TARGETS
            ),
        ),
    ]
    return contents("\n".join(parts) + "\n")


def priority(event_type: str) -> str:
    """The priority under the shipped rules and settings."""
    named = _rules().route(event_type, {}).priority
    for pattern, level in Settings().bus.priorities.items():
        if named is None and TopicPattern(pattern).matches(event_type):
            named = level
    return str(named or Priority.NORMAL)


def goes_to(event_type: str) -> str:
    """The targets under the shipped rules."""
    return words(_rules().route(event_type, {}).targets)


@cache
def _rules() -> RuleSet:
    return read_rules("/nonexistent/routing-rules.json", NAMES)


def _section(kind: type[OwnEvent], example: OwnEvent) -> str:
    source = "" if kind.FROM == own.SOURCE else f" Its `source` is `{kind.FROM}`."
    rows = []
    for one in shapes.fields(kind):
        key = code(one.key) if one.required else f"{code(one.key)} (may be absent)"
        assert one.meaning, f"{kind.TYPE}: {one.key} has no text under it"
        rows.append((key, shapes.shown(one.kind), one.meaning))
    shown = json.dumps(example.payload(), indent=2, ensure_ascii=False)
    return (
        f"\n### {kind.TYPE}\n\n{prose(kind.__doc__)} Published by: {kind.BY}.{source}\n\n"
        f"{table(('key', 'holds', 'meaning'), rows)}\n\n{fence(shown, 'json')}"
    )


def _hooks() -> str:
    rows = [
        (code(one.hook), _tool(one), code(one.event_type), sentence(one.when), words(one.keys))
        for one in HOOK_TYPES
    ]
    named = {key for one in HOOK_TYPES for key in one.keys} | set(COMMON_KEYS) | {"mcp_server"}
    assert named == set(KEYS), f"keys without a meaning, or too many: {named ^ set(KEYS)}"
    return "\n".join(
        (
            "\n## Published for an assistant's hooks\n",
            "`event-cli hook` hands on what an assistant tells its hooks. The payload is the assistant's JSON as "
            "it came, so it may hold more than stands here: which keys there are is the assistant's to say. Their "
            f"`source` is `hook`. Any other hook becomes `hook.` and its name in snake case, input that names no "
            f"hook `{UNKNOWN}`, and input that is no JSON object [`hook.unreadable`](#hookunreadable). Input over "
            "the payload's limit is shortened and has `_truncated: true`.\n",
            table(("hook", "about", "event type", "when", "own keys"), rows),
            "\nAll of them hold "
            + words(COMMON_KEYS)
            + ", as far as the assistant tells them; those about a tool "
            "of an MCP server also `mcp_server`.\n",
            "### What the keys of hooks hold\n",
            table(
                ("key", "holds", "meaning"),
                ((code(key), kind, sentence(text)) for key, (kind, text) in KEYS.items()),
            ),
        )
    )


def _tool(one: HookType) -> str:
    return {"": "", "command": "shell command", "mcp": "MCP call", "tool": "other tool"}[one.tool]
