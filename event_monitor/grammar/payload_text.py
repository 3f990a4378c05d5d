"""A payload as text for a person to edit, and back. Pure.

What a terminal would obey stands there as a JSON escape, secrets stand there as marks: nothing is lost
and nothing is shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from event_monitor.grammar.text import safe_json
from event_monitor.redaction import hide, unhide


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, and where: line and column count from 1; 0 where no place is to blame."""

    text: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}" if self.line else self.text


class PayloadText:
    """The text of a payload; ``read`` understands what was made of it."""

    def __init__(self, payload: dict[str, Any], mask: Sequence[str]) -> None:
        shown, self._hidden = hide(payload, mask)
        self.text = escaped(json.dumps(shown, indent=2, ensure_ascii=False))

    def read(self, text: str) -> dict[str, Any] | Mistake:
        """The payload that ``text`` says, secrets included, or the mistake in it."""
        try:
            value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_number)
            if not isinstance(value, dict):
                return Mistake("a payload is a JSON object: {…}", 1, 1)
            payload: dict[str, Any] = unhide(value, self._hidden)
        except json.JSONDecodeError as error:
            return Mistake(error.msg, error.lineno, error.colno)
        except RecursionError:
            return Mistake("it is nested too deeply")
        except ValueError as error:
            return Mistake(str(error))
        return payload


def escaped(text: str) -> str:
    """JSON text in which what a terminal would obey, or would not show, is escaped. Tabs become spaces."""
    rows = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "  ").split("\n")
    return "\n".join(map(safe_json, rows))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {double[:40]!r} stands twice in one object")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number: send null or text instead")
