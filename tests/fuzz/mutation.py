"""Damaging inputs that are almost valid, for what is merely random dies at the first byte."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 0.5, -0.0, 1e308),
    *(
        "",
        " ",
        "a",
        "log",
        "*",
        "#",
        "a.b",
        "ü",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\n",
        "a" * 300,
        "((((",
        "[a-z]+",
    ),
)
FRAGMENTS: tuple[bytes, ...] = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\r", b"\t", b" ", b"\0", b"\\", b"\\u", b"\\ud800"),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1b[2J", b"NaN", b"-Infinity"),
    *(b"1e999", b"9" * 30, b"9" * 5_000, b"0x" + b"f" * 5_000, b"null", b"true", b"-", b"#", b"*", b"<<: "),
    *(b"&a ", b"*a", b"!!int ", b"!!bool ", b"!!float ", b"!!timestamp ", b"!!binary ", b"!!set ", b"!x "),
    *(
        b"? ",
        b"- ",
        b"|\n",
        b">\n",
        b"---\n",
        b"...\n",
        b"%YAML 1.1\n",
        b"1:30:00",
        b"2026-13-45",
        b"'",
        b"`",
    ),
    *(b"[" * 70, b"{" * 70, b'{"a":' * 70, b"[" * 1_200, b'{"a":' * 1_200),
)


def damaged(rng: random.Random, data: bytes, others: Sequence[bytes], most: int = 4) -> bytes:
    """``data`` with up to ``most`` changes: bytes, runs, fragments of the format, and parts of others."""
    result = bytearray(data)
    for _ in range(rng.randint(0, most)):
        start = rng.randint(0, len(result))
        end = min(len(result), start + rng.choice((0, 1, 1, 2, 8, 40)))
        match rng.randrange(7):
            case 0:
                result[start:end] = rng.randbytes(end - start)
            case 1:
                del result[start:end]
            case 2:
                result[start:start] = result[start:end] * rng.choice((1, 1, 2, 50))
            case 3:
                other = rng.choice(others)
                cut = rng.randint(0, len(other))
                result[start:end] = other[cut : cut + rng.randint(0, 60)]
            case 4:
                del result[start:]
            case _:
                result[start:end] = rng.choice(FRAGMENTS)
    return bytes(result)


def altered(rng: random.Random, value: Any, words: Sequence[str], depth: int = 0) -> Any:
    """A JSON value of the same shape with some parts exchanged, left out, doubled or added."""
    if rng.random() < 0.08 or depth > 12:
        return invented(rng, words, depth)
    if isinstance(value, dict):
        result = {
            (rng.choice(words) if rng.random() < 0.05 else name): altered(rng, inner, words, depth + 1)
            for name, inner in value.items()
            if rng.random() > 0.05
        }
        if rng.random() < 0.1:
            result[rng.choice(words)] = invented(rng, words, depth + 1)
        return result
    if isinstance(value, list):
        items = [altered(rng, item, words, depth + 1) for item in value if rng.random() > 0.05]
        return items + items[:1] if rng.random() < 0.1 else items
    return value


def invented(rng: random.Random, words: Sequence[str], depth: int = 0) -> Any:
    """Any JSON value, with words that the reader knows."""
    match rng.randrange(6):
        case 0 if depth < 5:
            return {rng.choice(words): invented(rng, words, depth + 1) for _ in range(rng.randint(0, 3))}
        case 1 if depth < 5:
            return [invented(rng, words, depth + 1) for _ in range(rng.randint(0, 3))]
        case 2 | 3:
            return rng.choice(words)
    return rng.choice(SCALARS)


def json_text(rng: random.Random, value: Any, words: Sequence[str], others: Sequence[bytes]) -> bytes:
    """JSON text of an altered value, as often valid as damaged."""
    text = json.dumps(altered(rng, value, words), ensure_ascii=rng.random() < 0.5).encode()
    return damaged(rng, text, others) if rng.random() < 0.5 else text
