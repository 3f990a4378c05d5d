"""Reads ``event-monitor.yaml``: merged with the defaults, every mistake named by its place."""

from __future__ import annotations

import enum
import re
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from event_monitor.config import TIERS, Section, Settings
from event_monitor.config_places import Path, did_you_mean, show_value, tell
from event_monitor.errors import InvalidConfig, InvalidRequest
from event_monitor.topics import TopicPattern
from event_monitor.yaml_places import YamlDocument, read_yaml

MAX_BYTES = 1024 * 1024
_PLAIN_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "float | str": "a number or text",
}


def load_settings(path: str) -> Settings:
    """The defaults with the user's file ``path``, if there is one. Raises ``InvalidConfig`` with
    every mistake of the file."""
    return _read(path)[0]


def _read(path: str) -> tuple[Settings, YamlDocument]:
    file = YamlDocument(path)
    content = _content(file)
    if content is not None:
        read_yaml(content, file)
    _check_section(file, file.values, Settings, ())
    _check_meaning(file)
    if file.mistakes:
        raise InvalidConfig(tell(file.mistakes), "correct the file, then start again")
    return (_merged(file.values) if file.values else Settings()), file


def _content(file: YamlDocument) -> bytes | None:
    try:
        with open(file.origin, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        file.mistakes.append(f"{file.origin} cannot be read: {error.strerror}; check its rights")
        return None
    if len(content) > MAX_BYTES:
        file.mistakes.append(f"{file.origin} is larger than {MAX_BYTES:,} bytes; make it smaller")
        return None
    return content


def _merged(own: dict[str, Any]) -> Settings:
    merged = _merge(msgspec.to_builtins(Settings()), own)
    defaults = merged["target_defaults"]
    merged["targets"] = {name: _merge(defaults, target or {}) for name, target in merged["targets"].items()}
    # The first match counts, so what the user says must stand before what is shipped.
    priorities = (own.get("bus") or {}).get("priorities") or {}
    merged["bus"]["priorities"] = {**priorities, **merged["bus"]["priorities"]}
    return msgspec.convert(merged, Settings)


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


def _check_value(file: YamlDocument, value: Any, wanted: Any, path: Path) -> None:
    if isinstance(wanted, type) and issubclass(wanted, Section):
        _check_section(file, value, wanted, path)
    elif get_origin(wanted) is dict:
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_value(file, inner, get_args(wanted)[1], (*path, key))
        elif value is not None:
            file.complain(path, f"found {show_value(value)}", "a mapping of names to values")
    else:
        try:
            msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            file.complain(path, f"found {show_value(value)}", _expectation(wanted, str(error)))


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
        try:
            TopicPattern(pattern)
        except InvalidRequest as error:
            file.complain(("bus", "priorities", pattern), error.message, "one such as mcp.# or backup.*")


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
    """The settings in force as YAML; what the user's file says is marked with its line. Raises
    ``InvalidConfig`` with every mistake of the file."""
    import yaml

    settings, file = _read(path)
    lines: list[str] = []

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

    write(msgspec.to_builtins(settings), ())
    return "\n".join(lines) + "\n"
