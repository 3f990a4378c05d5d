"""Reads ``event-monitor.yaml``: merged with the defaults, every mistake named by its place."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from event_monitor.config import LONG_TARGETS, STORM, TIERS, Section, ServiceSettings, Settings
from event_monitor.config_places import Mistake, Path, did_you_mean, show_value, tell
from event_monitor.errors import InvalidConfig, InvalidRequest
from event_monitor.redaction import redact
from event_monitor.topics import TopicPattern
from event_monitor.yaml_places import YamlDocument, read_yaml

MAX_BYTES = 1024 * 1024
# What an entry lacks here may stand in the shipped entry of the same name.
_COMPLETED = (("storm",),)
_PLAIN_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "float | str": "a number or text",
}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a file says. A service with a mistake costs only itself: it is left out of ``settings``, and
    its mistakes are among ``mistakes``. ``numbers`` holds the place in the file's list of each of
    ``settings.services``."""

    settings: Settings
    document: YamlDocument
    numbers: tuple[int, ...] = ()

    @property
    def mistakes(self) -> Sequence[Mistake]:
        """What is wrong with services, in the order of the file."""
        return self.document.mistakes


def load_settings(path: str) -> Settings:
    """The settings of ``read_settings``."""
    return read_settings(path).settings


def read_settings(path: str) -> SettingsFile:
    """The defaults with the user's file ``path``, if there is one. Raises ``InvalidConfig`` with every
    mistake of the file if there is one outside the list of services."""
    file = YamlDocument(path)
    content = _content(file)
    if content is not None:
        read_yaml(content, file)
    _check_section(file, file.values, Settings, ())
    _check_meaning(file)
    wrong = {number for mistake in file.mistakes if (number := service_number(mistake.path)) is not None}
    if any(service_number(mistake.path) is None for mistake in file.mistakes):
        raise refusal(file.mistakes)
    if not file.values:
        return SettingsFile(Settings(), file)
    numbers = tuple(n for n in range(len(file.values.get("services") or ())) if n not in wrong)
    return SettingsFile(_merged(file.values, numbers), file, numbers)


def refusal(mistakes: Sequence[Mistake]) -> InvalidConfig:
    """The error that tells all mistakes of a file."""
    return InvalidConfig(tell([mistake.text for mistake in mistakes]), "correct the file, then start again")


def service_number(path: Path) -> int | None:
    """Which of the services a key path belongs to, ``None`` if it is none's."""
    number = path[1] if len(path) > 1 and path[0] == "services" else None
    return number if isinstance(number, int) else None


def _content(file: YamlDocument) -> bytes | None:
    try:
        with open(file.origin, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        file.complain_of_file(f"{file.origin} cannot be read: {error.strerror}; check its rights")
        return None
    if len(content) > MAX_BYTES:
        file.complain_of_file(f"{file.origin} is larger than {MAX_BYTES:,} bytes; make it smaller")
        return None
    return content


def _merged(own: dict[str, Any], numbers: Sequence[int]) -> Settings:
    merged = _merge(msgspec.to_builtins(Settings()), own)
    service = msgspec.to_builtins(ServiceSettings(name="", kind="tcp"))
    merged["services"] = [_merge(service, own["services"][number]) for number in numbers]
    defaults = merged["target_defaults"]
    merged["targets"] = {
        name: _merge(defaults | _long_tier(name), target or {}) for name, target in merged["targets"].items()
    }
    merged["upcasters"] = {pattern: steps or {} for pattern, steps in merged["upcasters"].items()}
    # The first match counts, so what the user says must stand before what is shipped.
    priorities = (own.get("bus") or {}).get("priorities") or {}
    merged["bus"]["priorities"] = {**priorities, **merged["bus"]["priorities"]}
    merged["storm"] = {
        pattern: merged["storm"][pattern] for pattern in [*(own.get("storm") or {}), *merged["storm"]]
    }
    return msgspec.convert(merged, Settings)


def _long_tier(target: str) -> dict[str, str]:
    return {"timeout": LONG_TARGETS[target]} if target in LONG_TARGETS else {}


def _check_section(file: YamlDocument, values: Any, section: type[Section], path: Path) -> None:
    if values is None:
        return
    fields = section.__struct_fields__
    if not isinstance(values, dict):
        file.complain(path, f"found {show_value(values)}", f"keys such as {fields[0]}:")
        return
    types = get_type_hints(section, include_extras=True)
    for key, value in values.items():
        inner = (*path, key)
        if key in types:
            _check_value(file, value, types[key], inner)
        else:
            file.complain(
                inner, f"unknown key {key!r}{did_you_mean(key, fields)}", f"one of {', '.join(fields)}"
            )
    if path[:1] in _COMPLETED:
        return
    for field in msgspec.structs.fields(section):
        if field.required and field.name not in values:
            expected = _expectation(types[field.name], "Expected `str`")
            file.complain(path, f"{field.name} is missing", f"{field.name}: with {expected}")


def _check_value(file: YamlDocument, value: Any, wanted: Any, path: Path) -> None:
    section = _section_in(wanted)
    if get_origin(wanted) is dict:
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_value(file, inner, get_args(wanted)[1], (*path, key))
        elif value is not None:
            file.complain(path, f"found {show_value(value)}", "a mapping of names to values")
    elif section is not None and get_origin(wanted) is tuple:
        _check_list(file, value, section, path)
    elif section is not None:
        _check_section(file, value, section, path)
    else:
        try:
            msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            file.complain(path, f"found {show_value(value)}", _expectation(wanted, str(error)))


def _section_in(wanted: Any) -> type[Section] | None:
    """The section that a type is, may be, or is a list of."""
    kinds = (kind for kind in (wanted, *get_args(wanted)) if isinstance(kind, type))
    return next((kind for kind in kinds if issubclass(kind, Section)), None)


def _check_list(file: YamlDocument, value: Any, section: type[Section], path: Path) -> None:
    if isinstance(value, list):
        for number, inner in enumerate(value):
            if inner is None:
                file.complain(
                    (*path, number), "found nothing", f"keys such as {section.__struct_fields__[0]}:"
                )
            _check_section(file, inner, section, (*path, number))
    elif value is not None:
        file.complain(path, f"found {show_value(value)}", "a list, each item with a - before it")


def _expectation(wanted: Any, error: str) -> str:
    """What a type accepts, in plain words; ``error`` is msgspec's ``Expected `int` >= 16``."""
    wanted_type = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    if get_origin(wanted_type) is Literal:
        return f"one of {', '.join(get_args(wanted_type))}"
    if isinstance(wanted_type, type) and issubclass(wanted_type, enum.Enum):
        return f"one of {', '.join(wanted_type.__members__)}"
    if get_origin(wanted_type) is tuple:
        return "a list of words"
    found = re.match(r"Expected `([^`]+)`( [<>]=? \S+?)?(?:\.0)?(?:,| - |$)", error)
    if found is None:
        return error
    return _PLAIN_WORDS.get(found[1], found[1]) + (found[2] or "")


def _check_meaning(file: YamlDocument) -> None:
    """What the types do not say: tiers that exist, patterns that are patterns."""
    tiers = [*TIERS, *(name for name in _mapping(file.values, "timeouts") if name not in TIERS)]
    named: dict[Path, dict[str, Any]] = {("target_defaults",): _mapping(file.values, "target_defaults")}
    targets = _mapping(file.values, "targets")
    named |= {("targets", name): _mapping(targets, name) for name in targets}
    for path, target in named.items():
        timeout = target.get("timeout")
        if isinstance(timeout, str) and timeout not in tiers:
            file.complain(
                (*path, "timeout"),
                f"no tier is named {show_value(timeout)}{did_you_mean(timeout, tiers)}",
                f"seconds, or one of {', '.join(tiers)}",
            )
    for pattern in _mapping(_mapping(file.values, "bus"), "priorities"):
        _check_pattern(file, ("bus", "priorities", pattern), pattern)
    _check_upcasters(file)
    _check_storm(file)


def _check_storm(file: YamlDocument) -> None:
    for pattern, rule in _mapping(file.values, "storm").items():
        _check_pattern(file, ("storm", pattern), pattern)
        if pattern not in STORM and (rule is None or (isinstance(rule, dict) and rule.get("rate") is None)):
            file.complain(
                ("storm", pattern), "it has no rate", "rate: events a second that a source may publish"
            )


def _check_upcasters(file: YamlDocument) -> None:
    configured = _mapping(file.values, "upcasters")
    for pattern in configured:
        _check_pattern(file, ("upcasters", pattern), pattern)
        for version in _mapping(configured, pattern):
            if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
                file.complain(
                    ("upcasters", pattern, version),
                    f"found {show_value(version)} as a schema version",
                    "the version to go on from, such as 1",
                )


def _check_pattern(file: YamlDocument, path: Path, pattern: str) -> None:
    try:
        TopicPattern(pattern)
    except InvalidRequest as error:
        file.complain(path, error.message, "one such as mcp.# or backup.*")


def _mapping(values: dict[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = _merge(below, value)
        elif not (value is None and isinstance(below, dict)):
            merged[key] = value
    return merged


def print_settings(path: str) -> str:
    """The settings in force as YAML; what the user's file says is marked with its line, and what is wrong
    with services is said first. What looks like a service's secret is masked: people show this to others.
    Raises ``InvalidConfig`` as ``read_settings`` does."""
    import yaml

    read = read_settings(path)
    file = read.document
    lines = [f"# left out: {mistake.text}" for mistake in read.mistakes]

    def write(values: dict[str, Any], at: Path) -> None:
        indent = "  " * len(at)
        for key, value in values.items():
            inner = (*at, key)
            name = yaml.safe_dump(key, default_flow_style=True).removesuffix("\n...\n").strip()
            if isinstance(value, dict) and value:
                lines.append(f"{indent}{name}:")
                write(value, inner)
                continue
            text = (
                yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
            )
            source = f"  # {file.origin}:{file.places[inner][0]}" if inner in file.places else ""
            lines.append(f"{indent}{name}: {text}{source}")

    values = msgspec.to_builtins(read.settings)
    values["services"] = redact(values["services"], read.settings.mask)
    write(values, ())
    return "\n".join(lines) + "\n"
