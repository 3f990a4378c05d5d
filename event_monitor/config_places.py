"""Where a mistake in a configuration file stands and how it is told; JSON with the line of each value."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from event_monitor.errors import InvalidConfig

MAX_BYTES = 4 * 1024 * 1024
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^,\]}\s]+")
_MAX_DEPTH = 64
_MAX_SHOWN = 60
_MAX_TOLD = 20

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a file: the key path where it stands, and all that is to be said of it."""

    path: Path
    text: str


@dataclass(slots=True)
class JsonDocument:
    """A parsed file. ``lines`` holds the line of each value by its path, for objects that of the
    key; ``duplicates`` are complaints about keys that stand twice in one object."""

    origin: str
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)

    def place(self, path: Path) -> str:
        """``file:line: key path`` of a value, or of the nearest one around it."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        return f"{self.origin}:{line}: {show_path(path)}" if path else f"{self.origin}:{line}"


def show_path(path: Path) -> str:
    """A key path as people write it; a key that holds dots is quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


def show_value(value: Any) -> str:
    """What was found, in one short line without control characters."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}…"


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`` (did you mean …?)`` if a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def tell(mistakes: Sequence[str]) -> str:
    """One mistake a line; of a great many the first ones and how many more there are."""
    told = list(mistakes[:_MAX_TOLD])
    if len(mistakes) > _MAX_TOLD:
        told.append(f"and {len(mistakes) - _MAX_TOLD:,} more mistakes")
    return "\n".join(told)


def read_json(content: str | bytes, origin: str) -> JsonDocument:
    """Parse a file's content. Raises ``InvalidConfig`` naming line and column of a syntax error.

    NaN and Infinity pass, for whoever looks at the values can name their place.
    """
    if len(content) > MAX_BYTES:
        raise InvalidConfig(
            f"{origin} has {len(content):,} bytes, the limit is {MAX_BYTES:,}", "make it smaller"
        )
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise InvalidConfig(f"{origin}:{line}: the file is not UTF-8", "save it as UTF-8") from None
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        raise InvalidConfig(
            f"{origin}:{error.lineno}:{error.colno}: not JSON: {error.msg}",
            "correct the syntax at that place",
        ) from None
    except RecursionError:
        raise InvalidConfig(f"{origin}: nested deeper than {_MAX_DEPTH} levels", "flatten it") from None
    except ValueError as error:
        raise InvalidConfig(f"{origin}: not JSON: {error}", "correct it") from None
    document = JsonDocument(origin, value)
    _Walker(content, document).walk()
    return document


class _Walker:
    """Goes through text that is known to be valid JSON and notes the line of each value."""

    def __init__(self, text: str, document: JsonDocument) -> None:
        self._text = text
        self._document = document
        self._line = 1
        self._counted = 0

    def walk(self) -> None:
        self._value(self._skip(0), (), 0)

    def _line_at(self, place: int) -> int:
        self._line += self._text.count("\n", self._counted, place)
        self._counted = place
        return self._line

    def _skip(self, place: int) -> int:
        found = _SPACE.match(self._text, place)
        return found.end() if found else place

    def _value(self, place: int, path: Path, depth: int) -> int:
        if path not in self._document.lines:
            self._document.lines[path] = self._line_at(place)
        if depth > _MAX_DEPTH:
            raise InvalidConfig(
                f"{self._document.place(path)}: nested deeper than {_MAX_DEPTH} levels", "flatten it"
            )
        opening = self._text[place]
        if opening == "{":
            return self._object(place, path, depth)
        if opening == "[":
            return self._array(place, path, depth)
        if opening == '"':
            return int(scanstring(self._text, place + 1, True)[1])
        found = _SCALAR.match(self._text, place)
        return found.end() if found else place + 1

    def _object(self, place: int, path: Path, depth: int) -> int:
        seen: set[str] = set()
        place = self._skip(place + 1)
        while self._text[place] != "}":
            line = self._line_at(place)
            key, place = scanstring(self._text, place + 1, True)
            inner = (*path, key)
            if key in seen:
                place_of_key = f"{self._document.origin}:{line}: {show_path(inner)}"
                self._document.duplicates.append(f"{place_of_key}: the key stands twice; expected it once")
            seen.add(key)
            self._document.lines[inner] = line
            place = self._skip(self._skip(place) + 1)
            place = self._skip(self._value(place, inner, depth + 1))
            if self._text[place] == ",":
                place = self._skip(place + 1)
        return place + 1

    def _array(self, place: int, path: Path, depth: int) -> int:
        number = 0
        place = self._skip(place + 1)
        while self._text[place] != "]":
            place = self._skip(self._value(place, (*path, number), depth + 1))
            number += 1
            if self._text[place] == ",":
                place = self._skip(place + 1)
        return place + 1
