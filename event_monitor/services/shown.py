"""Command lines and addresses as they may be shown: without what looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_SECRET = re.compile(r"pass|secret|token|key|auth|credential|header", re.IGNORECASE)
_OPAQUE = re.compile(r"(?:sk-|gh[a-z]_|github_pat_|xox).*|[A-Za-z0-9_+=-]{32,}")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/?#\s]*@)?([^/?#\s@]*)[^\s]*", re.IGNORECASE)
_MASKED = "[masked]"


def words_shown(words: Sequence[str]) -> str:
    """A command line: values of what is called like a secret, opaque words and all of an address but
    its host are left out."""
    return " ".join(_shown(words))


def address_shown(url: str) -> str:
    """An address's scheme and host."""
    return _ADDRESS.sub(r"\1\2", _plain(url))


def _shown(words: Sequence[str]) -> Iterator[str]:
    secret_follows = False
    for word in map(_plain, words):
        name, equals, value = word.partition("=")
        looks_secret = _SECRET.search(name) is not None
        if secret_follows or _OPAQUE.fullmatch(word):
            yield _MASKED
        elif equals and (looks_secret or _OPAQUE.fullmatch(value)):
            yield f"{name}={_MASKED}"
        else:
            yield _ADDRESS.sub(r"\1\2", word)
        secret_follows = word.startswith("-") and looks_secret and not equals


def _plain(text: str) -> str:
    """Variables by their names alone: a default may be a secret too."""
    return VARIABLE.sub(r"${\1}", text)
