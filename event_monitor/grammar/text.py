"""Makes text from events fit for a terminal: nothing in it can move the cursor, change a colour,
reorder what stands beside it, or hide."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"


def plain(text: str) -> str:
    """The text on one line: any white space is a space, and what is not printable (control characters,
    bidi overrides, zero-width and private characters, surrogates) is U+FFFD."""
    if text.isprintable():
        return text
    return "".join(_safe(character) for character in text)


def safe_json(text: str) -> str:
    """JSON text with what is not printable written as escapes: the same value, harmless on a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


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
    if character.isprintable():
        return character
    return " " if character.isspace() else "\ufffd"


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
