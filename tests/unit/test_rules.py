"""Routing rules: where an event goes, and that no rule can hang or surprise the bus."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.bus import rules as module
from event_monitor.bus.rules import (
    RuleSet,
    compile_filter,
    compile_regex,
    load_rules,
    merge_rules,
    parse_path,
    read_rules,
)
from event_monitor.errors import InvalidConfig, InvalidRequest
from event_monitor.model import Event, Priority
from event_monitor.targets import NAMES

TARGETS = ("alert", "analytics", "log", "notification", "storage")


def rules(routing: dict[str, Any]) -> RuleSet:
    return load_rules(json.dumps({"routing": routing}), "rules.json", TARGETS)


def targets(made: RuleSet, event_type: str, payload: dict[str, Any] | None = None) -> tuple[str, ...]:
    return made.route(event_type, payload or {}).targets


def test_all_matching_rules_apply_and_a_target_counts_once() -> None:
    made = rules({"mcp.#": ["log"], "mcp.server.down": ["alert", "log"], "*.server.*": ["storage", "alert"]})
    routing = made.route("mcp.server.down", {})
    assert routing.targets == ("log", "alert", "storage")
    assert routing.rules == ("mcp.#", "mcp.server.down", "*.server.*")


def test_what_matches_nothing_goes_to_log() -> None:
    routing = rules({"mcp.#": ["alert"]}).route("backup.completed", {})
    assert (routing.targets, routing.rules) == (("log",), ())
    assert targets(RuleSet.empty(), "backup.completed") == ()


def test_the_most_urgent_priority_and_the_shortest_life_win() -> None:
    made = rules(
        {
            "a.#": {"targets": ["log"], "priority": "LOW", "ttl": 60},
            "a.b": {"targets": ["log"], "priority": "HIGH", "ttl": 0.5},
            "a.c": ["log"],
        }
    )
    both, one = made.route("a.b", {}), made.route("a.c", {})
    assert (both.priority, both.ttl) == (Priority.HIGH, 0.5)
    assert (one.priority, one.ttl) == (Priority.LOW, 60.0)


@pytest.mark.parametrize(
    ("filter_", "payload", "passes"),
    [
        ({"path": "$.exit_code", "regex": "^[1-9]"}, {"exit_code": 2}, True),
        ({"path": "$.exit_code", "regex": "^[1-9]"}, {"exit_code": 0}, False),
        ({"path": "$.exit_code", "regex": ""}, {}, False),
        ({"path": "$.a.b[1].c", "regex": "^x$"}, {"a": {"b": [0, {"c": "x"}]}}, True),
        ({"path": "$.a.b[1].c", "regex": "x"}, {"a": {"b": [0]}}, False),
        ({"path": "$.a[0]", "regex": "x"}, {"a": "x"}, False),
        ({"path": "$.a.b", "regex": "x"}, {"a": ["x"]}, False),
        ({"path": "$.a", "regex": "^true$"}, {"a": True}, True),
        ({"path": "$.a", "regex": "^null$"}, {"a": None}, True),
        ({"path": "$.a", "regex": '^{"b":1}$'}, {"a": {"b": 1}}, True),
        ({"path": "$", "regex": '"deep":\\[\\["x"'}, {"deep": [["x"]]}, True),
        ({"path": "$.größe", "regex": "^ä"}, {"größe": "ähnlich"}, True),
        ({"regex": "^command\\."}, {}, True),
        ("failed$", {}, True),
        ("^other", {}, False),
        ([], {}, True),
        (["^command", {"path": "$.a", "regex": "1"}], {"a": 1}, True),
        (["^command", {"path": "$.a", "regex": "1"}], {"a": 2}, False),
    ],
)
def test_filters_look_at_the_type_or_into_the_payload(
    filter_: Any, payload: dict[str, Any], passes: bool
) -> None:
    made = rules({"command.#": {"targets": ["alert"], "filter": filter_}})
    for _ in range(2):
        assert targets(made, "command.failed", payload) == (("alert",) if passes else ("log",))


def test_a_filter_inspects_a_bounded_part_of_a_value() -> None:
    made = rules({"a": {"targets": ["alert"], "filter": {"path": "$.text", "regex": "needle"}}})
    assert targets(made, "a", {"text": "x" * (module.INSPECTED - 6) + "needle"}) == ("alert",)
    assert targets(made, "a", {"text": "x" * module.INSPECTED + "needle"}) == ("log",)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "([a-z]+)*!"])
def test_a_catastrophic_pattern_is_harmless(pattern: str) -> None:
    made = rules({"a": {"targets": ["alert"], "filter": {"path": "$.text", "regex": pattern}}})
    # A backtracking engine would not return within the age of the universe.
    assert targets(made, "a", {"text": "a" * 60_000 + "?"}) == ("log",)


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(", "a{100000}", "(((x{100}){100}){100})", "\ud800"])
def test_a_regex_that_has_no_bound_or_no_sense_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a regular expression that can be used here") as caught:
        compile_regex(pattern)
    assert "look-around and back-references" in caught.value.advice
    assert caught.value.message.isprintable()


def test_a_filter_of_events_looks_at_type_and_payload() -> None:
    matches = compile_filter("needle")
    assert matches(Event(id=1, timestamp="", event_type="needle.found", payload={}))
    assert matches(Event(id=1, timestamp="", event_type="a", payload={"b": ["a needle"]}))
    assert not matches(Event(id=1, timestamp="", event_type="a", payload={"b": 1}))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("$.a.b[0][12].c-d", ("a", "b", 0, 12, "c-d")),
        ("a", None),
        ("$a", None),
        ("$.", None),
        ("$..a", None),
        ("$[x]", None),
        ("$[-1]", None),
        ("$[9999999999]", None),
        (5, None),
    ],
)
def test_paths_are_parsed(text: Any, steps: tuple[str | int, ...] | None) -> None:
    assert parse_path(text) == steps


@given(
    st.lists(st.tuples(st.sampled_from("ab*#"), st.sampled_from("ab*#")), max_size=8, unique=True),
    st.lists(st.sampled_from("ab"), min_size=1, max_size=4),
)
def test_the_index_finds_what_asking_every_rule_finds(
    patterns: list[tuple[str, str]], words: list[str]
) -> None:
    made = rules({".".join(pattern): ["log"] for pattern in patterns})
    event_type = ".".join(words)
    expected = tuple(str(rule.pattern) for rule in made.rules if rule.pattern.matches(event_type))
    assert made.route(event_type, {}).rules == expected
    assert made.route(event_type, {}).rules == expected


@given(
    st.lists(st.tuples(st.sampled_from("ab*#"), st.sampled_from(["", "^1", "^2", "[12]"])), max_size=8),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=12),
)
def test_filters_decide_for_each_event_as_asking_every_rule_would(
    lines: list[tuple[str, str]], events: list[tuple[str, int]]
) -> None:
    def long(regex: str, target: str) -> dict[str, Any]:
        found: dict[str, Any] = {"targets": [target]}
        return found | ({"filter": {"path": "$.code", "regex": regex}} if regex else {})

    routing = {
        pattern + ".#" * place: long(regex, TARGETS[place % len(TARGETS)])
        for place, (pattern, regex) in enumerate(lines)
    }
    made = rules(routing)
    for event_type, code in events:
        expected = [
            str(rule.pattern)
            for rule, long_form in zip(made.rules, routing.values(), strict=True)
            if rule.pattern.matches(event_type)
            and re.search(long_form.get("filter", {"regex": ""})["regex"], str(code))
        ]
        assert list(made.route(event_type, {"code": code}).rules) == expected


def test_what_filters_decided_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED_CHOICES", 2)
    made = rules(
        {"a.#" + ".#" * n: {"targets": ["log"], "filter": {"path": "$.n", "regex": f"{n}"}} for n in range(4)}
    )
    assert made.route("a", {"n": 1}) is made.route("a", {"n": 1})
    for number in range(4):
        assert len(made.route("a", {"n": number}).rules) == 1
    choice = made._by_type["a"]
    assert isinstance(choice, module._Choice)
    assert len(choice.known) == 2


def test_an_answer_without_filters_is_made_once() -> None:
    made = rules({"a.#": ["alert"]})
    assert made.route("a.b", {}) is made.route("a.b", {"other": 1})


def test_remembered_types_are_bounded_and_the_recent_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED_TYPES", 3)
    made = rules({"#": ["alert"]})
    kept = made.route("kept", {})
    for number in range(20):
        gone = made.route(f"a.{number}", {})
        assert made.route("kept", {}) is kept
        assert made.route(f"a.{number}", {}) is gone
    assert made.route("a.0", {}) is not made.route("a.19", {})
    assert len(made._by_type) == 3


# --- merging and reading --------------------------------------------------------------------


def test_own_rules_add_replace_and_silence() -> None:
    shipped = rules({"a": ["log"], "b": ["alert"], "c.#": ["analytics"], "c.d": ["alert"]})
    own = rules({"b": ["storage"], "c.d": [], "a": [], "e": ["alert"]})
    merged = merge_rules(shipped, own)
    assert [str(rule.pattern) for rule in merged.rules] == ["a", "b", "c.#", "c.d", "e"]
    assert targets(merged, "b") == ("storage",)
    assert targets(merged, "c.d") == ("analytics",)
    assert targets(merged, "a") == ("log",)
    assert targets(merged, "e") == ("alert",)


def test_the_shipped_rules_are_right_and_name_targets_that_exist(tmp_path: Path) -> None:
    shipped = read_rules(str(tmp_path / "absent.json"), NAMES)
    assert targets(shipped, "mcp.server.down") == ("alert", "recovery", "log")
    assert targets(shipped, "command.executed") == ("analytics", "learning", "log")
    assert targets(shipped, "pattern.learned") == ("evaluation", "storage", "notification")
    assert targets(shipped, "error.critical") == ("alert", "recovery", "kill-switch")
    assert targets(shipped, "backup.completed") == ("verification", "log", "cleanup")
    assert targets(shipped, "system.state.changed") == ("log",)


def test_a_file_of_ones_own_is_merged(tmp_path: Path) -> None:
    file = tmp_path / "routing-rules.json"
    file.write_bytes(b'\xef\xbb\xbf{"routing": {"backup.completed": ["alert"]}}')
    made = read_rules(str(file), NAMES)
    assert targets(made, "backup.completed") == ("alert",)
    assert targets(made, "mcp.server.down") == ("alert", "recovery", "log")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="cannot be read: Is a directory"):
        (tmp_path / "routing-rules.json").mkdir()
        read_rules(str(tmp_path / "routing-rules.json"), NAMES)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_rights_is_named(tmp_path: Path) -> None:
    file = tmp_path / "routing-rules.json"
    file.write_text("{}")
    file.chmod(0)
    with pytest.raises(InvalidConfig, match="cannot be read: Permission denied"):
        read_rules(str(file), NAMES)


# --- mistakes -------------------------------------------------------------------------------

BROKEN_RULES: dict[str, tuple[str, str]] = {
    "empty file": ("", "r.json:1:1: not JSON: Expecting value"),
    "syntax": (
        '{\n "routing": {\n  "a": ["log"]\n  "b": []\n }\n}',
        "r.json:4:3: not JSON: Expecting ',' delimiter",
    ),
    "trailing text": ('{"routing": {}} x', "r.json:1:17: not JSON: Extra data"),
    "no number": (
        '{"routing": {"a": {"targets": [], "ttl": NaN}}}',
        "r.json:1: routing.a.ttl: found nan; expected a positive",
    ),
    "a list": ("[]", "r.json:1: found []; expected an object"),
    "no routing": ("{}", "r.json:1: found nothing as routing; expected an object of patterns"),
    "routing is text": ('{\n"routing": "a"}', "r.json:2: routing: found 'a' as routing; expected an object"),
    "unknown key above": (
        '{"routing": {},\n"rules": 1}',
        "r.json:2: rules: unknown key 'rules'; expected only",
    ),
    "no pattern": (
        '{"routing": {\n"A.b": ["log"]}}',
        "r.json:2: routing[\"A.b\"]: 'A.b' is not a topic pattern",
    ),
    "escape in a pattern": ('{"routing": {"\\u001b[2J": []}}', r'r.json:1: routing["\u001b[2J"]: '),
    "target misspelt": (
        '{"routing": {\n "a": [\n  "log",\n  "alrt"\n]}}',
        "r.json:4: routing.a[1]: no target is named 'alrt' (did you mean alert?); expected one of alert, ",
    ),
    "target is a number": (
        '{"routing": {"a": [1]}}',
        "r.json:1: routing.a[0]: no target is named 1; expected one",
    ),
    "targets is text": (
        '{"routing": {"a": "log"}}',
        "routing.a: found 'log'; expected a list of targets, or {\"targets\": […]}",
    ),
    "targets missing": (
        '{"routing": {"a": {}}}',
        "routing.a: found nothing as targets; expected a list of targets",
    ),
    "unknown key": (
        '{"routing": {"a": {"targets": [],\n"priorty": "LOW"}}}',
        "r.json:2: routing.a.priorty: unknown key 'priorty' (did you mean priority?); expected targets, ",
    ),
    "no priority": (
        '{"routing": {"a": {"targets": [], "priority": "URGENT"}}}',
        "routing.a.priority: found 'URGENT'; expected CRITICAL, HIGH, NORMAL, LOW",
    ),
    "priority is a list": (
        '{"routing": {"a": {"targets": [], "priority": []}}}',
        "routing.a.priority: found []; expected CRITICAL",
    ),
    "ttl is zero": (
        '{"routing": {"a": {"targets": [], "ttl": 0}}}',
        "routing.a.ttl: found 0; expected a positive number of seconds",
    ),
    "ttl is a truth value": (
        '{"routing": {"a": {"targets": [], "ttl": true}}}',
        "routing.a.ttl: found true; expected",
    ),
    "look-ahead": (
        '{"routing": {"a": {"targets": [],\n"filter": "(?=x)"}}}',
        "routing.a.filter: '(?=x)' is not a regular expression that can be used here: invalid perl operator",
    ),
    "broken regex in a list": (
        '{"routing": {"a": {"targets": [], "filter": ["x",\n{"regex": "("}]}}}',
        "r.json:2: routing.a.filter[1].regex: '(' is not a regular expression",
    ),
    "path is no path": (
        '{"routing": {"a": {"targets": [], "filter": {"path": "exit_code", "regex": "1"}}}}',
        "routing.a.filter.path: found 'exit_code'; expected a path such as $.exit_code",
    ),
    "filter without regex": (
        '{"routing": {"a": {"targets": [], "filter": {"path": "$.a"}}}}',
        "routing.a.filter: found {'path': '$.a'}; expected a regular expression or",
    ),
    "unknown key in a filter": (
        '{"routing": {"a": {"targets": [], "filter": {"regx": 1, "regex": "1"}}}}',
        "routing.a.filter.regx: unknown key 'regx' (did you mean regex?); expected path, regex",
    ),
    "the same key twice": (
        '{"routing": {\n"a": ["log"],\n"a": ["alert"]}}',
        "r.json:3: routing.a: the key stands twice; expected it once",
    ),
    "nested deeply": ('{"routing": ' + "[" * 100 + "]" * 100 + "}", "nested deeper than 64 levels"),
    "nested very deeply": ("[" * 200_000, "r.json: nested deeper than 64 levels"),
    "too many rules": (
        json.dumps({"routing": {f"a.{number}": [] for number in range(10_001)}}),
        "r.json:1: routing: found 10,001 rules; expected at most 10,000",
    ),
    "too large": (" " * (4 * 1024 * 1024 + 1), "r.json has 4,194,305 bytes, the limit is 4,194,304"),
}


@pytest.mark.parametrize("name", BROKEN_RULES)
def test_a_mistake_in_the_rules_is_named_by_place_finding_and_expectation(name: str) -> None:
    text, message = BROKEN_RULES[name]
    with pytest.raises(InvalidConfig) as caught:
        load_rules(text, "r.json", TARGETS)
    assert message in caught.value.message
    assert all(line.isprintable() for line in caught.value.message.splitlines())
    assert caught.value.advice


def test_bytes_that_are_no_text_are_named_by_line() -> None:
    with pytest.raises(InvalidConfig, match=r"r.json:2: the file is not UTF-8"):
        load_rules(b'{"routing":\n"\xff"}', "r.json", TARGETS)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_rules('{"routing": {"a": ["lgo"], "B": [], "c": 5}}', "r.json", TARGETS)
    assert [line.split(": ")[1] for line in caught.value.message.splitlines()] == [
        "routing.a[0]",
        "routing.B",
        "routing.c",
    ]


def test_of_a_great_many_mistakes_the_first_are_told() -> None:
    with pytest.raises(InvalidConfig) as caught:
        rules({f"a{number}": 1 for number in range(500)})
    lines = caught.value.message.splitlines()
    assert (len(lines), lines[-1]) == (21, "and 480 more mistakes")


@given(st.text(st.sampled_from('{}[]",:\\ \n1atrue.-"routing"targets')) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_rules(text, "r.json", TARGETS)
    except InvalidConfig as refusal:
        assert refusal.message.startswith("r.json")
