"""What it costs to find where one event goes, beside a loop over compiled regular expressions.

``python -m tests.bench.workers.routing DIRECTORY RULES ROUNDS``. Both are asked about the same events
and must name the same targets. Nanoseconds of processor time an event, median of the rounds.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from event_monitor.bus.rules import RuleSet, load_rules

TARGETS = ("alert", "analytics", "log", "notification", "storage")
AREAS = 20
TYPES = 200
EVENTS = 2_000
WORDS = ("started", "failed", "completed", "created", "updated", "call", "server", "down", "up", "state")
FILTER = {"path": "$.exit_code", "regex": "^[1-9]"}

Ask = Callable[[str, dict[str, Any]], tuple[str, ...]]


def some_rules(count: int, rng: random.Random) -> dict[str, Any]:
    """Literal types, ``area.#``, ``area.*.word`` and, one in ten, a wildcard in the first place.
    A fifth of them has a filter."""
    routing: dict[str, Any] = {}
    while len(routing) < count:
        area, word, last = f"area{rng.randrange(AREAS)}", rng.choice(WORDS), f"t{rng.randrange(10)}"
        pattern = rng.choice(
            [f"{area}.{word}.{last}"] * 5
            + [f"{area}.{word}.#", f"{area}.{word}.*", f"{area}.*.{last}"]
            + [f"{area}.#.{last}", f"*.{word}.{last}"]
        )
        targets = rng.sample(TARGETS, 2)
        routing[pattern] = {"targets": targets, "filter": FILTER} if rng.random() < 0.2 else targets
    return routing


def some_events(rng: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Events of ``TYPES`` types, each with an exit code for the filters."""
    types = [f"area{rng.randrange(AREAS)}.{rng.choice(WORDS)}.t{rng.randrange(10)}" for _ in range(TYPES)]
    return [(rng.choice(types), {"exit_code": rng.randrange(3), "order": n}) for n in range(EVENTS)]


def naive(routing: dict[str, Any]) -> Ask:
    """Ask each rule in turn, as a dispatcher is written first."""
    compiled = [
        (
            re.compile(as_regex(pattern)),
            re.compile(rule["filter"]["regex"]) if isinstance(rule, dict) else None,
            rule["targets"] if isinstance(rule, dict) else rule,
        )
        for pattern, rule in routing.items()
    ]

    def route(event_type: str, payload: dict[str, Any]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for pattern, condition, targets in compiled:
            if pattern.fullmatch(event_type) and (
                condition is None or condition.search(str(payload["exit_code"]))
            ):
                found.update(dict.fromkeys(targets))
        return tuple(found) or ("log",)

    return route


def as_regex(pattern: str) -> str:
    """The pattern's words as a regular expression; a leading ``#`` does not occur here."""
    words = {"*": r"\.[^.]+", "#": r"(?:\.[^.]+)*"}
    return "".join(words.get(word, r"\." + re.escape(word)) for word in pattern.split(".")).replace(
        r"\.", "", 1
    )


def cost(ask: Ask, events: list[tuple[str, dict[str, Any]]]) -> float:
    """Nanoseconds an event."""
    begun = time.thread_time_ns()
    for event_type, payload in events:
        ask(event_type, payload)
    return (time.thread_time_ns() - begun) / len(events)


def run(count: int, rounds: int) -> dict[str, float]:
    rng = random.Random(count)
    routing = some_rules(count, rng)
    events = some_events(rng)
    plain = naive(routing)
    rules = load_rules(json.dumps({"routing": routing}), "rules.json", TARGETS)

    def ours(event_type: str, payload: dict[str, Any]) -> tuple[str, ...]:
        return rules.route(event_type, payload).targets

    for event in events:
        assert ours(*event) == plain(*event), event
    seen = dict.fromkeys(event_type for event_type, _ in events)
    filtered = {name for name in seen if any(rule.filters for rule in matching(rules, name))}
    parts = {
        "plain_ns": [event for event in events if event[0] not in filtered],
        "filtered_ns": [event for event in events if event[0] in filtered],
    }
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, part in parts.items():
            if part:
                times.setdefault(name, []).append(cost(ours, part))
        fresh = RuleSet(rules.rules)
        times.setdefault("new_type_ns", []).append(cost(fresh.route, [(name, {}) for name in seen]))
        times.setdefault("naive_ns", []).append(cost(plain, events))
        times.setdefault("mixed_ns", []).append(cost(ours, events))
    return {
        **{name: statistics.median(values) for name, values in times.items()},
        "rules_a_type": statistics.mean(len(matching(rules, name)) for name in seen),
        "filtered_percent": 100 * len(parts["filtered_ns"]) / len(events),
    }


def matching(rules: RuleSet, event_type: str) -> list[Any]:
    """The rules whose pattern matches, whatever their filters say."""
    return [rule for rule in rules.rules if rule.pattern.matches(event_type)]


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[2]), int(sys.argv[3]))))
