"""Routing rules: which targets an event goes to, how urgent it is, how long it lives.

The file has the seed's shape, ``{"routing": {"pattern": ["target", ...]}}``, or in place of the
list an object with ``targets``, ``priority``, ``filter`` and ``ttl``. Regular expressions are
RE2's, whose time grows with the text only, so no pattern can hang the bus.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Self

import msgspec
import re2

from event_monitor.config_places import MAX_BYTES, JsonDocument, did_you_mean, read_json, show_value, tell
from event_monitor.errors import InvalidConfig, InvalidRequest
from event_monitor.model import Event, Priority
from event_monitor.topic_index import TopicIndex
from event_monitor.topics import TopicPattern

MAX_RULES = 10_000
INSPECTED = 65_536
_CACHED_TYPES = 4_096
_CACHED_CHOICES = 64
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 * 1024 * 1024
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,9})\]")
_RULE_KEYS = ("targets", "priority", "filter", "ttl")
_FILTER_KEYS = ("path", "regex")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Routing:
    """Where one event goes. ``priority`` and ``ttl`` are ``None`` where no rule sets them."""

    targets: tuple[str, ...]
    rules: tuple[str, ...]
    priority: Priority | None = None
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A regular expression over the event type (``path`` is ``None``) or a value of the payload."""

    regex: Any
    path: tuple[str | int, ...] | None = None

    def matches(self, event_type: str, payload: dict[str, Any]) -> bool:
        """Whether it is found. A path that leads nowhere is no match."""
        if self.path is None:
            return _found(self.regex, event_type)
        value: Any = payload
        for step in self.path:
            if isinstance(step, int):
                if not isinstance(value, list) or step >= len(value):
                    return False
                value = value[step]
            elif isinstance(value, dict) and step in value:
                value = value[step]
            else:
                return False
        return _found(self.regex, value if isinstance(value, str) else _encode(value))


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rules file."""

    pattern: TopicPattern
    targets: tuple[str, ...]
    priority: Priority | None = None
    ttl: float | None = None
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    """The rules for a type of which some have filters. What comes of them is remembered by which pass."""

    rules: tuple[Rule, ...]
    known: dict[tuple[bool, ...], Routing] = field(default_factory=dict)


class RuleSet:
    """Immutable rules in the order of the file. Which of them match is remembered for the types that
    were seen last. Not to be shared between threads."""

    def __init__(self, rules: Iterable[Rule], default: tuple[str, ...] = ("log",)) -> None:
        self.rules = tuple(rules)
        self._default = default
        self._by_type: OrderedDict[str, Routing | _Choice] = OrderedDict()
        self._index = TopicIndex(rule.pattern for rule in self.rules)

    @classmethod
    def empty(cls) -> Self:
        """No rules and no default target: only subscribers receive events."""
        return cls((), ())

    def __len__(self) -> int:
        return len(self.rules)

    def route(self, event_type: str, payload: dict[str, Any]) -> Routing:
        """All matching rules apply, a target once: the most urgent priority and the shortest ttl
        that they name. Where they name no target, the event goes to ``log``."""
        known = self._by_type.get(event_type)
        if known is None:
            known = self._look_up(event_type)
        else:
            self._by_type.move_to_end(event_type)
        if isinstance(known, Routing):
            return known
        return self._choose(known, event_type, payload)

    def route_of_type(self, event_type: str) -> Routing | None:
        """What every event of a type gets; ``None`` where filters decide for each event."""
        known = self._by_type.get(event_type) or self._look_up(event_type)
        return known if isinstance(known, Routing) else None

    def _choose(self, choice: _Choice, event_type: str, payload: dict[str, Any]) -> Routing:
        passing = tuple([_passes(rule, event_type, payload) for rule in choice.rules])
        found = choice.known.get(passing)
        if found is None:
            found = self._combine(
                [rule for rule, passes in zip(choice.rules, passing, strict=True) if passes]
            )
            if len(choice.known) < _CACHED_CHOICES:
                choice.known[passing] = found
        return found

    def _look_up(self, event_type: str) -> Routing | _Choice:
        matching = tuple(self.rules[place] for place in self._index.find(event_type))
        found = _Choice(matching) if any(rule.filters for rule in matching) else self._combine(matching)
        self._by_type[event_type] = found
        if len(self._by_type) > _CACHED_TYPES:
            self._by_type.popitem(last=False)
        return found

    def _combine(self, rules: Sequence[Rule]) -> Routing:
        targets = tuple(dict.fromkeys(target for rule in rules for target in rule.targets))
        levels = [rule.priority for rule in rules if rule.priority is not None]
        return Routing(
            targets or self._default,
            tuple(str(rule.pattern) for rule in rules),
            min(levels, key=lambda level: level.rank, default=None),
            min((rule.ttl for rule in rules if rule.ttl is not None), default=None),
        )


def _passes(rule: Rule, event_type: str, payload: dict[str, Any]) -> bool:
    return not rule.filters or all(one.matches(event_type, payload) for one in rule.filters)


def _found(regex: Any, text: str | bytes) -> bool:
    """Whether the start of a text contains it. Asked in bytes, for re2 spends as long again on
    telling where in a ``str`` it is."""
    start = text[:INSPECTED]
    return bool(regex.search(start.encode() if isinstance(start, str) else start))


def merge_rules(shipped: RuleSet, own: RuleSet) -> RuleSet:
    """The shipped rules with the user's added. The same pattern replaces the shipped rule in its place;
    with an empty list it silences it, and its events then go where other rules send them, or to ``log``."""
    merged = {str(rule.pattern): rule for rule in shipped.rules}
    merged.update({str(rule.pattern): rule for rule in own.rules})
    return RuleSet(merged.values())


def compile_regex(text: str) -> Any:
    """A linear-time regular expression. Raises ``InvalidRequest`` saying what is wrong with it."""
    try:
        return re2.compile(text, _OPTIONS)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidRequest(
            f"{text[:80]!r} is not a regular expression that can be used here: {reason}",
            "look-around and back-references are not supported, for their time has no bound",
        ) from None


def compile_filter(text: str) -> Callable[[Event], bool]:
    """A test of an event's type and of its payload as JSON text. Raises ``InvalidRequest``."""
    regex = compile_regex(text)

    def matches(event: Event) -> bool:
        return bool(
            regex.search(event.event_type) or regex.search(_encode(event.payload).decode()[:INSPECTED])
        )

    return matches


# --- reading the file -----------------------------------------------------------------------


def read_rules(own: str, known_targets: Collection[str]) -> RuleSet:
    """The shipped rules merged with the user's file ``own``, if there is one. Raises ``InvalidConfig``."""
    shipped = resources.files("event_monitor").joinpath("config", "routing-rules.json")
    rules = load_rules(shipped.read_bytes(), "routing-rules.json (shipped)", known_targets)
    try:
        with open(own, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return rules
    except OSError as error:
        raise InvalidConfig(f"{own} cannot be read: {error.strerror}", "check its rights") from None
    return merge_rules(rules, load_rules(content, own, known_targets))


def load_rules(text: str | bytes, origin: str, known_targets: Collection[str]) -> RuleSet:
    """The rules of a file's text. Raises ``InvalidConfig`` with every mistake, each by its line."""
    document = read_json(text, origin)
    reader = _Reader(document, known_targets)
    rules = reader.read()
    if reader.mistakes:
        raise InvalidConfig(tell(reader.mistakes), "correct the file; until then no rule of it applies")
    return RuleSet(rules)


class _Reader:
    """Turns a document into rules and gathers its mistakes."""

    def __init__(self, document: JsonDocument, known_targets: Collection[str]) -> None:
        self._document = document
        self._known = known_targets
        self.mistakes: list[str] = list(document.duplicates)

    def _mistake(self, path: tuple[str | int, ...], found: str, expected: str) -> None:
        self.mistakes.append(self._document.place(path) + f": {found}; expected {expected}")

    def read(self) -> list[Rule]:
        root = self._document.value
        if not isinstance(root, dict):
            self._mistake((), f"found {show_value(root)}", 'an object {"routing": {…}}')
            return []
        for key in root:
            if key != "routing":
                self._mistake((key,), f"unknown key {key!r}", "only routing")
        routing = root.get("routing")
        if not isinstance(routing, dict):
            self._mistake(
                ("routing",) if "routing" in root else (),
                f"found {show_value(routing)} as routing",
                "an object of patterns",
            )
            return []
        if len(routing) > MAX_RULES:
            self._mistake(("routing",), f"found {len(routing):,} rules", f"at most {MAX_RULES:,}")
            return []
        return [rule for key, value in routing.items() if (rule := self._rule(key, value)) is not None]

    def _rule(self, key: str, value: Any) -> Rule | None:
        path: tuple[str | int, ...] = ("routing", key)
        before = len(self.mistakes)
        try:
            pattern = TopicPattern(key)
        except InvalidRequest as error:
            self._mistake(path, error.message, "a topic pattern such as mcp.# or backup.*")
            return None
        if isinstance(value, list):
            rule = Rule(pattern, self._targets(path, value))
        elif isinstance(value, dict):
            rule = self._long_rule(path, pattern, value)
        else:
            self._mistake(path, f"found {show_value(value)}", 'a list of targets, or {"targets": […]}')
            return None
        return rule if len(self.mistakes) == before else None

    def _long_rule(self, path: tuple[str | int, ...], pattern: TopicPattern, value: dict[str, Any]) -> Rule:
        for key in value:
            if key not in _RULE_KEYS:
                self._mistake(
                    (*path, key), f"unknown key {key!r}{did_you_mean(key, _RULE_KEYS)}", ", ".join(_RULE_KEYS)
                )
        targets = value.get("targets")
        if not isinstance(targets, list):
            self._mistake(
                (*path, "targets") if "targets" in value else path,
                f"found {show_value(targets)} as targets",
                "a list of targets",
            )
            targets = []
        return Rule(
            pattern,
            self._targets((*path, "targets"), targets),
            self._priority((*path, "priority"), value.get("priority")),
            self._ttl((*path, "ttl"), value.get("ttl")),
            self._filters((*path, "filter"), value.get("filter")),
        )

    def _targets(self, path: tuple[str | int, ...], names: list[Any]) -> tuple[str, ...]:
        for place, name in enumerate(names):
            if not isinstance(name, str) or name not in self._known:
                guess = did_you_mean(name, self._known) if isinstance(name, str) else ""
                self._mistake(
                    (*path, place),
                    f"no target is named {show_value(name)}{guess}",
                    "one of " + ", ".join(sorted(self._known)),
                )
        return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))

    def _priority(self, path: tuple[str | int, ...], value: Any) -> Priority | None:
        if value is None:
            return None
        try:
            return Priority(value)
        except ValueError:
            self._mistake(path, f"found {show_value(value)}", ", ".join(Priority))
            return None

    def _ttl(self, path: tuple[str | int, ...], value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 3_153_600_000:
            self._mistake(path, f"found {show_value(value)}", "a positive number of seconds")
            return None
        return float(value)

    def _filters(self, path: tuple[str | int, ...], value: Any) -> tuple[Filter, ...]:
        if value is None:
            return ()
        if isinstance(value, list):
            return tuple(
                made for place, one in enumerate(value) for made in self._filters((*path, place), one)
            )
        regex_path = (*path, "regex") if isinstance(value, dict) else path
        if isinstance(value, str):
            value = {"regex": value}
        if not isinstance(value, dict) or not isinstance(value.get("regex"), str):
            self._mistake(
                path, f"found {show_value(value)}", 'a regular expression or {"path": "$.key", "regex": "…"}'
            )
            return ()
        for key in value:
            if key not in _FILTER_KEYS:
                self._mistake(
                    (*path, key),
                    f"unknown key {key!r}{did_you_mean(key, _FILTER_KEYS)}",
                    ", ".join(_FILTER_KEYS),
                )
        steps: tuple[str | int, ...] | None = None
        if "path" in value:
            steps = parse_path(value["path"])
            if steps is None:
                self._mistake(
                    (*path, "path"),
                    f"found {show_value(value['path'])}",
                    "a path such as $.exit_code or $.files[0].name",
                )
        try:
            return (Filter(compile_regex(value["regex"]), steps),)
        except InvalidRequest as error:
            self._mistake(regex_path, error.message, "one without look-around and back-references")
            return ()


def parse_path(text: Any) -> tuple[str | int, ...] | None:
    """The steps of ``$.a.b[0]``; ``$`` alone is the whole payload; ``None`` if it is no path."""
    if not isinstance(text, str) or not text.startswith("$"):
        return None
    steps: list[str | int] = []
    place = 1
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None:
            return None
        steps.append(step[1] if step[1] is not None else int(step[2]))
        place = step.end()
    return tuple(steps)
