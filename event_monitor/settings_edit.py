"""Adds a service to the user's settings file, and takes one out: nothing else of the file changes.

The text is cut where the parser says that values begin and end. Whatever comes of it is read again
before it is written: what does not say exactly what was meant is not written at all.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from event_monitor.errors import InvalidConfig, NotFound
from event_monitor.yaml_places import YamlDocument, read_yaml

Entry = dict[str, Any]

_BOM = "\ufeff"


def add_service(path: str, entry: Entry) -> None:
    """Append ``entry`` to the list of services of the file ``path``, which may be absent. Raises
    ``InvalidConfig`` if a service of its name stands there, or if that cannot be done without touching
    the rest; then nothing was written."""

    def with_it(services: list[Any]) -> list[Any]:
        if any(isinstance(one, dict) and one.get("name") == entry["name"] for one in services):
            raise InvalidConfig(
                f"a service {entry['name']!r} stands in {path} already",
                "take it out first: event-cli services forget, or by hand",
            )
        return [*services, entry]

    _rewrite(path, lambda text: _added(text, entry), with_it)


def remove_service(path: str, name: str) -> None:
    """Take the service ``name`` out of the file. Raises ``NotFound``, or ``InvalidConfig`` likewise."""

    def without(services: list[Any]) -> list[Any]:
        return [one for number, one in enumerate(services) if number != _number_of(services, name)]

    _rewrite(path, lambda text: _removed(text, name), without)


def entry_text(entry: Entry) -> str:
    """The lines that ``add_service`` writes for an entry."""
    return "\n".join(_block(entry, 2))


def _rewrite(path: str, edit: Callable[[str], str], meant: Callable[[list[Any]], list[Any]]) -> None:
    before = _content(path)
    text = before.decode("utf-8-sig") if before is not None else ""
    was = _values(path, text)
    if not isinstance(was.get("services") or [], list):
        raise _by_hand(path)
    wanted = was | {"services": meant(was.get("services") or [])}
    after = edit(text)
    if _said(path, after) != wanted:
        raise _by_hand(path)
    content = (_BOM if before is not None and before.startswith(_BOM.encode()) else "") + after
    if _content(path) != before:
        raise InvalidConfig(f"{path} was changed at the same time", "try again")
    _write(os.path.realpath(path), content.encode())


def _said(path: str, text: str) -> dict[str, Any] | None:
    try:
        values = _values(path, text)
    except InvalidConfig:
        return None
    return values | {"services": values.get("services") or []}


def _by_hand(path: str) -> InvalidConfig:
    return InvalidConfig(f"{path} is written in a way that cannot be edited safely", "edit it by hand")


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read: {error.strerror}", "check its rights") from error


def _values(path: str, text: str) -> dict[str, Any]:
    document = YamlDocument(path)
    read_yaml(text.encode(), document)
    if document.mistakes:
        raise InvalidConfig(document.mistakes[0].text, "correct the file first")
    return document.values


def _write(path: str, content: bytes) -> None:
    """Write a file so that it is the old or the new one, whatever is killed; its mode stays."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mode = 0o600
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise InvalidConfig(
            f"{path} cannot be written: {error.strerror}", "check rights and space"
        ) from error


# --- where to cut ---------------------------------------------------------------------------


class _Services:
    """The list of services as it stands in a text. Raises ``InvalidConfig`` for a form that is not
    cut: another top level than a block of sections, or a list that stands elsewhere (an alias)."""

    def __init__(self, text: str) -> None:
        import yaml

        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        self.key: Any = None
        self.list: Any = None
        if root is None or root.tag.endswith(":null"):
            return
        if not isinstance(root, yaml.MappingNode) or root.flow_style:
            raise _by_hand("the settings file")
        for key, value in root.value:
            if key.value == "services":
                self.key, self.list = key, value
        if self.list is not None and self.list.start_mark.index < self.key.end_mark.index:
            raise _by_hand("the settings file")

    @property
    def items(self) -> Sequence[Any]:
        """The nodes of the list; none for an empty one."""
        return self.list.value if isinstance(self.list.value, list) else ()

    def end_of_line(self, index: int) -> int:
        """The place after the line that holds ``index``."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    def start_of_line(self, index: int) -> int:
        """The place where the line that holds ``index`` begins."""
        return self.text.rfind("\n", 0, index) + 1

    def end_of_item(self, item: Any) -> int:
        """The place after the last line of an item of a block list, comments deeper than its dash
        included."""
        end = _last(item).end_mark
        place = end.index if end.column == 0 else self.end_of_line(end.index)
        dash = self.list.start_mark.column
        while place < len(self.text):
            line = self.text[place : self.end_of_line(place)]
            if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= dash:
                break
            place += len(line)
        return place


def _last(node: Any) -> Any:
    """The node whose end is the end of ``node``'s text: PyYAML ends a block only where the next begins."""
    while isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _added(text: str, entry: Entry) -> str:
    at = _Services(text)
    newline = at.newline
    if at.key is None:
        gap = "" if not text or text.endswith("\n") else newline
        lines = ["services:", *_block(entry, 2)]
        return text + gap + (newline if text else "") + newline.join(lines) + newline
    if at.items and at.list.flow_style:
        end = at.items[-1].end_mark.index
        return f"{text[:end]}, {_flow(entry)}{text[end:]}"
    if at.items:
        place = at.end_of_item(at.items[-1])
        head = text[:place] if text[:place].endswith("\n") else text[:place] + newline
        return head + newline.join(_block(entry, at.list.start_mark.column)) + newline + text[place:]
    # An empty list, or nothing, goes; a comment on its line stays.
    start, end = at.key.end_mark.index + 1, at.list.end_mark.index
    if "&" in text[start:end]:
        raise _by_hand("the settings file")
    rest = text[max(start, end) :] if at.list.start_mark.line == at.key.start_mark.line else text[start:]
    line = rest[: rest.find("\n") + 1] if "\n" in rest else rest + newline
    block = newline.join(_block(entry, 2)) + newline
    return text[:start] + line + block + rest[len(line) :]


def _removed(text: str, name: str) -> str:
    at = _Services(text)
    items = at.items if at.list is not None else ()
    number = _number_of(_values("the settings file", text).get("services") or [], name)
    item = items[number]
    if at.list.flow_style:
        start = item.start_mark.index if number == 0 else items[number - 1].end_mark.index
        end = items[number + 1].start_mark.index if number == 0 and len(items) > 1 else item.end_mark.index
        return text[:start] + text[end:]
    start = at.start_of_line(item.start_mark.index)
    return text[:start] + text[at.end_of_item(item) :]


def _number_of(services: list[Any], name: str) -> int:
    for number, one in enumerate(services):
        if isinstance(one, dict) and one.get("name") == name:
            return number
    raise NotFound(f"no service {name[:80]!r} stands in the settings file", "event-cli services lists them")


def _block(entry: Entry, indent: int) -> list[str]:
    pairs = [f"{key}: {_flow(value)}" for key, value in entry.items()]
    return [f"{' ' * indent}{'- ' if number == 0 else '  '}{pair}" for number, pair in enumerate(pairs)]


def _flow(value: Any) -> str:
    """A value in YAML's flow style: JSON, but for words that need no quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str) and value.isascii() and value.isalpha() and value.lower() not in _NOT_TEXT:
        return value
    return msgspec.json.encode(value).decode()


_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
