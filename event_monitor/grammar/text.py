"""Makes text from events fit for a terminal: nothing in it can move the cursor, change a colour,
reorder what stands beside it, or hide."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"

# Control, format (bidi overrides, zero-width), surrogate, private and unassigned characters, and the
# two separators that break lines.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    """The text on one line, each unsafe character replaced by U+FFFD or, for line breaks and tabs, by
    a space."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe(character) for character in text)


def safe_json(text: str) -> str:
    """JSON text with unsafe characters written as escapes: the same value, and harmless on a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def width_of(text: str) -> int:
    """Terminal cells that a plain text takes up."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def clip(text: str, width: int) -> str:
    """A plain text cut to at most ``width`` cells; a cut is marked with an ellipsis."""
    if width_of(text) <= width:
        return text
    if width <= 0:
        return ""
    kept: list[str] = []
    left = width - 1
    for character in text:
        left -= _cells(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS


def pad(text: str, width: int, *, right: bool = False) -> str:
    """A plain text filled up with spaces to ``width`` cells, at its left side if ``right``."""
    gap = " " * max(0, width - width_of(text))
    return gap + text if right else text + gap


def _safe(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    return " " if character in "\t\n\r\v\f\x85\u2028\u2029" else "\ufffd"


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
