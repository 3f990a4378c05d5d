"""What errors have in common: their text without the ids, numbers and paths in which they differ. Pure."""

from __future__ import annotations

import re

LONGEST = 200
_ELLIPSIS = "…"
# Far more than the mark needs, and it bounds the work on a huge error.
_READ = 1_000

_VARIABLE = re.compile(
    r"""
    (?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b
      |\b0x[0-9a-f]+\b
      |\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b)
    |(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)
    |(?P<path>(?<![\w.:/])~?/(?:[\w.@%+=~-]+/?)+)
    |(?P<host>\b[a-z][a-z+.-]*://[^\s/'"<>)\]]+)(?:/[^\s'"<>)\]]*)?
    |(?P<n>(?<!\w)\d+(?:[.,]\d+)*)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def fingerprint(error: str) -> str:
    """One line of at most ``LONGEST`` characters, the same for errors that differ in ids, times, paths
    and numbers only: ``<id>``, ``<time>``, ``<path>`` and ``<n>`` stand in their places."""
    text = _VARIABLE.sub(_mark, " ".join(error[:_READ].split()))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + _ELLIPSIS


def _mark(match: re.Match[str]) -> str:
    host = match["host"]
    return f"{host}/<path>" if host else f"<{match.lastgroup}>"
