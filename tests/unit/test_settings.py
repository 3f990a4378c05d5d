"""Settings: what is shipped, what the user's file changes, and how a mistake in it is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_monitor.config import Section, Settings, StormRule
from event_monitor.errors import InvalidConfig
from event_monitor.model import Priority
from event_monitor.settings_file import load_settings, print_settings

Write = Callable[[str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the user's file and answers its path."""

    def write(content: str | bytes) -> str:
        file = tmp_path / "s.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(file)

    return write


def shipped_text() -> str:
    return resources.files("event_monitor").joinpath("config", "event-monitor.yaml").read_text("utf-8")


# --- what is shipped ------------------------------------------------------------------------


def test_the_shipped_file_says_what_the_program_does_without_it(write: Write) -> None:
    shipped = yaml.safe_load(shipped_text())
    assert shipped == msgspec.json.decode(msgspec.json.encode(Settings()))
    assert list(shipped["bus"]["priorities"]) == list(Settings().bus.priorities)
    assert load_settings(write(shipped_text())) == Settings()


def test_without_a_file_no_yaml_is_imported() -> None:
    code = (
        "import sys; from event_monitor.settings_file import load_settings;"
        "load_settings('/nonexistent/event-monitor.yaml'); print('yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "---\n", "bus:\ntargets:\n"])
def test_a_file_that_says_nothing_changes_nothing(write: Write, content: str) -> None:
    assert load_settings(write(content)) == Settings()


# --- merging --------------------------------------------------------------------------------


def test_what_the_file_says_wins_and_the_rest_stays(write: Write) -> None:
    made = load_settings(
        write(
            "\ufeffqueue: {max_backlog: 50}\nmask: [pin]\n"
            "timeouts: {mine: 2.5, critical_path: 3}\ndashboard: {bell: no, keys: {quit: x}}\n"
        )
    )
    assert made.queue == msgspec.structs.replace(Settings().queue, max_backlog=50)
    assert made.mask == ("pin",)
    assert made.timeouts == {**Settings().timeouts, "mine": 2.5, "critical_path": 3.0}
    assert (made.dashboard.bell, made.dashboard.keys) == (False, {"quit": "x"})
    assert made.store == Settings().store


def test_a_target_differs_from_the_defaults_only_where_it_says_so(write: Write) -> None:
    made = load_settings(
        write(
            "target_defaults: {retry: {max_retries: 9, jitter: 0}}\n"
            "timeouts: {mine: 2.5}\n"
            "targets:\n  log: {timeout: mine, retry: {jitter: 1}}\n  alert:\n"
        )
    )
    assert (made.target("log").retry.max_retries, made.target("log").retry.jitter) == (9, 1)
    assert made.timeout_of(made.target("log")) == 2.5
    assert made.target("alert") == made.target_defaults == made.target("unheard-of")
    assert made.timeout_of(made.target("alert")) == 30


@pytest.mark.parametrize(
    ("content", "verification", "cleanup"),
    [
        ("", 300, 1_800),
        ("target_defaults: {timeout: 10}", 300, 1_800),
        ("timeouts: {batch_processing: 60}", 60, 1_800),
        ("targets: {cleanup: {concurrency: 2}, verification: }", 300, 1_800),
        ("targets: {cleanup: {timeout: critical_path}, verification: {timeout: 7}}", 7, 5),
        ("targets: {cleanup: {timeout: normal_operations}}", 300, 30),
    ],
)
def test_long_work_has_a_long_tier_unless_the_file_says_otherwise(
    write: Write, content: str, verification: float, cleanup: float
) -> None:
    made = load_settings(write(content))
    assert made.timeout_of(made.target("verification")) == verification
    assert made.timeout_of(made.target("cleanup")) == cleanup
    assert made.timeout_of(made.target("log")) == (10 if "target_defaults" in content else 30)


def test_priorities_of_ones_own_come_before_the_shipped_ones(write: Write) -> None:
    made = load_settings(write("bus: {priorities: {system.state.changed: LOW, error.critical: HIGH}}"))
    assert list(made.bus.priorities.items())[:3] == [
        ("system.state.changed", Priority.LOW),
        ("error.critical", Priority.HIGH),
        ("mcp.server.down", Priority.CRITICAL),
    ]
    assert made.bus.priorities["system.#"] is Priority.HIGH


def test_storm_rules_of_ones_own_come_before_the_shipped_ones_and_may_differ_in_part(write: Write) -> None:
    made = load_settings(write("storm:\n  '#': {rate: 5}\n  hook.message_display: {keep: 0}\n"))
    assert list(made.storm.items()) == [
        ("#", StormRule(rate=5)),
        ("hook.message_display", StormRule(rate=50, burst=500, keep=0)),
    ]


# --- printing -------------------------------------------------------------------------------


def test_printed_settings_are_yaml_with_the_place_of_what_the_user_said(write: Write) -> None:
    path = write("queue:\n  max_backlog: 50\ntargets:\n  'a: b': {timeout: 5}\n")
    printed = print_settings(path)
    assert msgspec.convert(yaml.safe_load(printed), Settings) == load_settings(path)
    marked = [line.strip() for line in printed.splitlines() if "#" in line and path in line]
    assert marked == [f"max_backlog: 50  # {path}:2", f"timeout: 5.0  # {path}:4"]


def test_printed_defaults_name_no_file(tmp_path: Path) -> None:
    printed = print_settings(str(tmp_path / "absent.yaml"))
    assert msgspec.convert(yaml.safe_load(printed), Settings) == Settings()
    assert "absent" not in printed


# --- mistakes -------------------------------------------------------------------------------

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "unknown section": (
        "buss: {}",
        "1:1: buss: unknown key 'buss' (did you mean bus?); expected one of bus, queue",
    ),
    "unknown key": (
        "store:\n  durabilty: full",
        "2:3: store.durabilty: unknown key 'durabilty' (did you mean durability?); expected one of ",
    ),
    "unknown key far down": (
        "targets:\n  log:\n    retry:\n      max_retrys: 3",
        "4:7: targets.log.retry.max_retrys: unknown key 'max_retrys' (did you mean max_retries?); expected",
    ),
    "bad choice": (
        "store: {durability: ful}",
        "1:9: store.durability: found 'ful'; expected one of full, normal",
    ),
    "choice of the wrong type": ("store: {durability: 5}", "found 5; expected one of full, normal"),
    "bad strategy": (
        "target_defaults: {retry: {strategy: cubic}}",
        "found 'cubic'; expected one of exponential, linear, fibonacci, fixed",
    ),
    "bad priority": (
        "bus:\n  priorities:\n    a.b: URGENT",
        "3:5: bus.priorities[\"a.b\"]: found 'URGENT'; expected one of CRITICAL, HIGH, NORMAL, LOW",
    ),
    "no pattern": (
        "bus: {priorities: {A: LOW}}",
        "bus.priorities.A: 'A' is not a topic pattern; expected one such as mcp.#",
    ),
    "no pattern for an upcaster": (
        'upcasters: {A: {1: "m:f"}}',
        "upcasters.A: 'A' is not a topic pattern; expected one such as mcp.#",
    ),
    "no version for an upcaster": (
        'upcasters:\n  a.b:\n    one: "m:f"',
        "3:5: upcasters[\"a.b\"].one: found 'one' as a schema version; expected the version to go on from",
    ),
    "an upcaster that is no name": ("upcasters: {a: {1: 2}}", "upcasters.a.1: found 2; expected text"),
    "a storm rule for no pattern": (
        "storm:\n  A: {rate: 1}",
        "2:3: storm.A: 'A' is not a topic pattern; expected one such as mcp.#",
    ),
    "a storm rule without a rate": (
        "storm:\n  a.#: {burst: 5}",
        '2:3: storm["a.#"]: it has no rate; expected rate: events a second',
    ),
    "a storm rule with nothing": ("storm: {a: }", "storm.a: it has no rate"),
    "a storm rule with a bad action": (
        "storm: {a: {rate: 1, action: drop}}",
        "storm.a.action: found 'drop'; expected one of sample, delay, refuse",
    ),
    "priorities as a list": ("bus: {priorities: [a]}", "found ['a']; expected a mapping of names to values"),
    "section as text": ("store: full", "1:1: store: found 'full'; expected keys such as durability:"),
    "text for a number": (
        "queue: {max_backlog: many}",
        "queue.max_backlog: found 'many'; expected a whole number",
    ),
    "fraction": ("queue: {max_backlog: 1.5}", "found 1.5; expected a whole number"),
    "truth for a number": ("queue: {max_backlog: yes}", "found true; expected a whole number"),
    "number for truth": ("dashboard: {bell: 1}", "dashboard.bell: found 1; expected true or false"),
    "nothing for a number": ("queue: {max_backlog: }", "found nothing; expected a whole number"),
    "too small": ("queue: {max_in_memory: 3}", "queue.max_in_memory: found 3; expected a whole number >= 16"),
    "too large": ("bus: {max_payload_depth: 501}", "found 501; expected a whole number <= 500"),
    "not positive": ("timeouts: {mine: 0}", "timeouts.mine: found 0; expected a number > 0"),
    "not a number": ("dashboard: {refresh: .nan}", "dashboard.refresh: found nan; expected a number >= 0.2"),
    "infinite": ("dashboard: {refresh: .inf}", "found inf; expected a number <= 60"),
    "no such tier": (
        "targets: {log: {timeout: batch}}",
        "targets.log.timeout: no tier is named 'batch'; expected seconds, or one of critical_path, normal_op",
    ),
    "tier misspelt": (
        "target_defaults: {timeout: normal_operation}",
        "no tier is named 'normal_operation' (did you mean normal_operations?)",
    ),
    "neither tier nor seconds": ("target_defaults: {timeout: [5]}", "found [5]; expected a number or text"),
    "text for a list": ("mask: password", "1:1: mask: found 'password'; expected a list of words"),
    "numbers for words": ("mask: [1]", "mask: found [1]; expected a list of words"),
    "the same key twice": ("bus: {}\nbus: {}", "2:1: bus: the key stands twice; expected it once"),
    "a tab": ("bus:\n\tmax_payload_depth: 5", "2:1: not YAML: found character '\\t'"),
    "a tab, with advice": ("bus:\n\tmax_payload_depth: 5", "indent with spaces, not tabs"),
    "open bracket": ("mask: [a, b\nbus: {}", "2:4: not YAML: expected ',' or ']', but got ':'"),
    "two documents": ("bus: {}\n---\nbus: {}", "2:1: not YAML: but found another document"),
    "unknown alias": ("bus: *nobody", "1:6: not YAML: found undefined alias 'nobody'"),
    "a list": ("- bus", "1:1: found a list; expected sections such as bus: and queue:"),
    "plain text": ("hello", "1:1: found 'hello'; expected sections such as bus: and queue:"),
    "a list as key": ("? [a]\n: b", "found a list or mapping as a key; expected a word"),
    "foreign tag": (
        "store: {durability: !!python/name:os.system x}",
        "found 'x'; expected one of full, normal",
    ),
    "foreign object": (
        "bus: !!python/object/apply:os.system [ls]",
        "bus: found ['ls']; expected keys such as",
    ),
    "binary": ("dashboard: {theme: !!binary aGFsbG8=}", "dashboard.theme: found b'hallo'; expected text"),
    "no date": ("store: {retention_days: 2026-13-45}", "found '2026-13-45'; expected a number"),
    "a number of no digits": ("store: {retention_days: !!int ''}", "found ''; expected a number"),
    "a real number of no digits": ("store: {retention_days: !!float ''}", "found ''; expected a number"),
    "no truth value": ("dashboard: {bell: !!bool foo}", "found 'foo'; expected true or false"),
    "no timestamp": ("dashboard: {bell: !!timestamp foo}", "found 'foo'; expected true or false"),
    "thousands of digits": (
        f"bus: {{max_payload_depth: 0x{'f' * 5_000}}}",
        "bus.max_payload_depth: found '0xfff",
    ),
    "not UTF-8": (b"bus: {}\nmask: [\xff]", "2: the file is not UTF-8; save it as UTF-8"),
    "control character": ("bus: {}\n# \x07", "2: not YAML: the character U+0007 is not allowed"),
    "escape in a key": ('"\\e[2J": 1', r"""["\u001b[2J"]: unknown key '\x1b[2J'; expected one of"""),
    "recursion": ("targets: &a {b: *a}", "more than 20,000 values, or nested deeper than 16 levels"),
    "a bomb": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{f'*{a},' * 10}]\n" for a, b in zip("abcde", "bcdef", strict=True)),
        "more than 20,000 values",
    ),
    "deep nesting": ("a: " + "[" * 100_000, "nested deeper than 16 levels; flatten it"),
    "too large a file": ("# " + "x" * 1024 * 1024, "is larger than 1,048,576 bytes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_named_by_place_finding_and_expectation(write: Write, name: str) -> None:
    content, message = BROKEN[name]
    path = write(content)
    with pytest.raises(InvalidConfig) as caught:
        load_settings(path)
    assert message in caught.value.message
    for line in caught.value.message.splitlines():
        assert line.startswith(path)
        assert line.isprintable()
    assert caught.value.advice == "correct the file, then start again"


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    path = write(
        "queue: {max_backlog: no}\nbus:\n  priorities: {A: LOW}\ntargets: {log: {timeout: x}}\nx: 1\n"
    )
    with pytest.raises(InvalidConfig) as caught:
        load_settings(path)
    assert [line.removeprefix(path).split(":")[1] for line in caught.value.message.splitlines()] == [
        "1",
        "5",
        "4",
        "3",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="cannot be read: Is a directory; check its rights"):
        load_settings(str(tmp_path))
    with pytest.raises(InvalidConfig, match="cannot be read: Not a directory"):
        (tmp_path / "file").touch()
        load_settings(str(tmp_path / "file" / "s.yaml"))


def sections(section: type[Section]) -> list[type[Section]]:
    inner = [info.type for info in msgspec.structs.fields(section) if isinstance(info.type, type)]
    return [section] + [found for kind in inner if issubclass(kind, Section) for found in sections(kind)]


WORDS = sorted({name for section in sections(Settings) for name in section.__struct_fields__} | {"mine"})
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(Settings.__struct_fields__), VALUES, max_size=4))
def test_any_values_make_settings_or_named_mistakes(write: Write, values: dict[str, Any]) -> None:
    path = write(yaml.safe_dump(values, allow_unicode=True))
    try:
        made = load_settings(path)
    except InvalidConfig as refusal:
        assert all(line.startswith((path, "and ")) for line in refusal.message.splitlines())
    else:
        assert msgspec.convert(msgspec.to_builtins(made), Settings) == made


def test_what_is_printed_shows_no_secret_of_a_service(tmp_path: Path) -> None:
    path = tmp_path / "event-monitor.yaml"
    path.write_text(
        "services:\n"
        '  - {name: a, kind: command, command: [sleep, "9"], env: {API_TOKEN: sesame, LANG: C}}\n'
        '  - {name: b, kind: http, url: "http://127.0.0.1:9/", headers: {Authorization: Bearer sesame}}\n'
    )
    printed = print_settings(str(path))
    assert "sesame" not in printed
    assert "API_TOKEN: '[masked]', LANG: C" in printed
