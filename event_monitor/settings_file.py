"""Reads ``event-monitor.yaml``: merged with the defaults, every mistake named by its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from event_monitor.config import Section, Settings, TargetSettings
from event_monitor.config_places import Path, show_path
from event_monitor.errors import InvalidConfig, InvalidRequest
from event_monitor.topics import TopicPattern

MAX_BYTES = 1024 * 1024
_MAX_NODES = 20_000


class SettingsFile:
    """A user's file: its values and the line of each. Both are empty if there is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.values: dict[str, Any] = {}
        self.lines: dict[Path, int] = {}
        self.mistakes: list[str] = []
        content = self._content()
        if content is not None:
            self._parse(content)

    def complain(self, path: Path, found: str, expected: str) -> None:
        """Note a mistake at a key path."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        place = f"{self.path}:{self.lines.get(known, 1)}"
        self.mistakes.append(f"{place}: {show_path(path)}: {found}; expected {expected}")

    def _content(self) -> bytes | None:
        try:
            with open(self.path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.mistakes.append(f"{self.path} cannot be read: {error.strerror}; check its rights")
            return None
        if len(content) > MAX_BYTES:
            self.mistakes.append(f"{self.path} is larger than {MAX_BYTES:,} bytes; make it smaller")
            return None
        return content

    def _parse(self, content: bytes) -> None:
        import yaml

        try:
            text = content.decode("utf-8-sig")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self.mistakes.append(f"{self.path}:{line}: the file is not UTF-8; save it as UTF-8")
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{self.path}:{mark.line + 1}:{mark.column + 1}" if mark else self.path
            hint = "; indent with spaces, not tabs" if "\\t" in str(error.problem) else ""
            self.mistakes.append(f"{place}: not YAML: {error.problem or error.context}{hint}")
            return
        except (yaml.YAMLError, RecursionError) as error:
            self.mistakes.append(f"{self.path}: not YAML: {error or 'nested too deeply'}")
            return
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode):
            self.complain((), f"found {root.id}", "sections such as bus: and queue:")
            return
        self._budget = _MAX_NODES
        self.values = self._value(root, ())

    def _value(self, node: Any, path: Path) -> Any:
        """The plain value of a node; notes lines, and refuses duplicate keys and alias bombs."""
        import yaml

        self._budget -= 1
        if self._budget < 0 or len(path) > 16:
            raise InvalidConfig(
                f"{self.path}: more than {_MAX_NODES:,} values, or nested too deeply", "simplify it"
            )
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                inner = (*path, key)
                line = key_node.start_mark.line + 1
                if key in result:
                    place = f"{self.path}:{line}: {show_path(inner)}"
                    self.mistakes.append(f"{place}: the key stands twice; expected it once")
                self.lines[inner] = line
                result[key] = self._value(value_node, inner)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, place)) for place, item in enumerate(node.value)]
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.complain(path, f"found {node.value!r}", f"a plain value ({error})")
            return None
        finally:
            loader.dispose()


def load_settings(path: str) -> Settings:
    """The settings in force. Raises ``InvalidConfig`` with every mistake of the user's file."""
    settings, file = read_settings(path)
    if settings is None:
        raise InvalidConfig("\n".join(file.mistakes), "correct the file, then start again")
    return settings


def read_settings(path: str) -> tuple[Settings | None, SettingsFile]:
    """The settings in force and the user's file; no settings if the file holds mistakes."""
    file = SettingsFile(path)
    if not file.values:
        return (None if file.mistakes else Settings()), file
    _check_section(file, file.values, Settings, ())
    if file.mistakes:
        return None, file
    merged = _merge(msgspec.to_builtins(Settings()), file.values)
    defaults = merged["target_defaults"]
    merged["targets"] = {name: _merge(defaults, own or {}) for name, own in merged["targets"].items()}
    settings = msgspec.convert(merged, Settings)
    _check_meaning(file, settings)
    return (None if file.mistakes else settings), file


def _check_section(file: SettingsFile, values: Any, section: type[Section], path: Path) -> None:
    if values is None:
        return
    if not isinstance(values, dict):
        file.complain(path, f"found {_show(values)}", f"keys such as {section.__struct_fields__[0]}:")
        return
    types = get_type_hints(section, include_extras=True)
    for key, value in values.items():
        if key not in types:
            guess = difflib.get_close_matches(key, section.__struct_fields__, n=1)
            hint = f" (did you mean {guess[0]}?)" if guess else ""
            file.complain(
                (*path, key), f"unknown key {key!r}{hint}", "one of " + ", ".join(section.__struct_fields__)
            )
        else:
            _check_value(file, value, types[key], (*path, key))


def _check_value(file: SettingsFile, value: Any, wanted: Any, path: Path) -> None:
    if isinstance(wanted, type) and issubclass(wanted, Section):
        _check_section(file, value, wanted, path)
    elif get_origin(wanted) is dict:
        if not isinstance(value, dict):
            file.complain(path, f"found {_show(value)}", "a mapping of names to values")
            return
        for key, inner in value.items():
            _check_value(file, inner, get_args(wanted)[1], (*path, key))
    else:
        try:
            msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            file.complain(path, f"found {_show(value)}", _expectation(wanted, str(error)))


def _expectation(wanted: Any, error: str) -> str:
    choices = [str(choice) for choice in get_args(wanted) if isinstance(choice, str)]
    if not choices and isinstance(wanted, type) and hasattr(wanted, "__members__"):
        choices = list(wanted.__members__)
    if choices and "Invalid enum" in error:
        return "one of " + ", ".join(choices)
    return error.removeprefix("Expected ").split(" - at")[0].split(", got")[0].replace("`", "")


def _check_meaning(file: SettingsFile, settings: Settings) -> None:
    """What the types do not say: tiers that exist, patterns that are patterns."""
    tiers = ", ".join(settings.timeouts)
    named: Iterator[tuple[Path, TargetSettings]] = iter(
        [(("target_defaults",), settings.target_defaults)]
        + [(("targets", name), target) for name, target in settings.targets.items()]
    )
    for path, target in named:
        if isinstance(target.timeout, str) and target.timeout not in settings.timeouts:
            file.complain(
                (*path, "timeout"), f"no tier is named {target.timeout!r}", f"seconds, or one of {tiers}"
            )
    for pattern in settings.bus.priorities:
        try:
            TopicPattern(pattern)
        except InvalidRequest as error:
            file.complain(("bus", "priorities", pattern), error.message, error.advice)


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
    """The settings in force as YAML; what the user's file says is marked with its line."""
    import yaml

    settings, file = read_settings(path)
    if settings is None:
        raise InvalidConfig("\n".join(file.mistakes), "correct the file")
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
            source = f"  # {file.path}:{file.lines[inner]}" if inner in file.lines else ""
            lines.append(f"{indent}{name}: {text}{source}")

    write(msgspec.to_builtins(settings), ())
    return "\n".join(lines) + "\n"


def _show(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
