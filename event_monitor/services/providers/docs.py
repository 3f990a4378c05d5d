"""``local_docs``: a search over the documentation in configured directories."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.confined import Place, Roots, read_limited
from event_monitor.services.providers.files import walk
from event_monitor.services.providers.provider import (
    Stopped,
    count_argument,
    in_thread,
    text_argument,
    unwrapped,
)

SUFFIXES = (".md", ".markdown", ".rst", ".txt", ".adoc", ".org", ".html", ".htm")
MAX_FILE_BYTES = 1_000_000
MAX_TOTAL_BYTES = 64_000_000
MAX_FILES = 20_000
MAX_HITS = 50_000
MAX_SHOWN = 300
MAX_QUERY = 500
MAX_TERMS = 16

_TERM = re.compile(r"\w+")
_HEADING = re.compile(r"\s*(#{1,6}\s|=+\s|<h[1-6]\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Hit:
    path: str
    line: int
    text: str
    terms: frozenset[str]
    phrase: bool
    heading: bool


@dataclass(slots=True)
class _Found:
    hits: list[_Hit] = field(default_factory=list)
    frequency: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    files: int = 0
    skipped: int = 0
    bytes: int = 0
    truncated: bool = False


class LocalDocs:
    """Searches the text files below ``directories``. The best lines come first: rare words weigh more
    than frequent ones, more words than fewer, the phrase as it was written and headings most."""

    name = "local_docs"

    def __init__(self, directories: Sequence[str]) -> None:
        self._roots = Roots(directories)

    async def call(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """``{"results": [{"file", "line", "text", "score"}], "files", "skipped", "truncated"}`` for a
        search by ``query``; ``limit`` is the most results. Raises ``CallerError``, and ``ServiceError``
        if no directory is configured or nothing was found, so that the next fallback is asked."""
        wanted, given = unwrapped(operation, arguments)
        if "search" not in wanted.lower() and wanted.lower() not in ("query", "find"):
            raise CallerError(f"local_docs only searches; it cannot do {wanted[:60]!r}")
        query = text_argument(given, "query", "q").strip()
        terms = tuple(dict.fromkeys(_TERM.findall(query.casefold())))
        if not terms or len(query) > MAX_QUERY or len(terms) > MAX_TERMS:
            raise CallerError(f"query must have 1 to {MAX_TERMS} words and at most {MAX_QUERY} characters")
        if not self._roots.paths:
            raise ServiceError("no documentation is configured; name directories in fallback.docs")
        limit = count_argument(given, "limit", "count", "max_results", default=10, most=100)
        return await in_thread(lambda stopped: self._search(query, terms, limit, stopped))

    def _search(self, query: str, terms: Sequence[str], limit: int, stopped: Stopped) -> dict[str, Any]:
        found = _Found(frequency=dict.fromkeys(terms, 0))
        phrase = query.casefold() if len(terms) > 1 else ""
        for place in self._files(found, stopped):
            content = self._content(place, found)
            if content is not None:
                _collect(place, content, phrase, found)
        if not found.hits:
            raise ServiceError(f"the {found.files:,} files of fallback.docs say nothing about {query!r}")
        scored = [(_score(hit, found), hit) for hit in found.hits]
        best = heapq.nsmallest(limit, scored, key=lambda pair: (-pair[0], pair[1].path, pair[1].line))
        return {
            "results": [
                {"file": hit.path, "line": hit.line, "text": hit.text, "score": round(score, 3)}
                for score, hit in best
            ],
            "files": found.files,
            "skipped": found.skipped,
            "truncated": found.truncated,
        }

    def _files(self, found: _Found, stopped: Stopped) -> Iterator[Place]:
        for root in self._roots.paths:
            try:
                for place, kind in walk(self._roots, Place(root, ())):
                    if stopped() or found.files >= MAX_FILES or len(found.hits) >= MAX_HITS:
                        found.truncated = True
                        return
                    if found.bytes >= MAX_TOTAL_BYTES:
                        found.truncated = True
                        return
                    if kind != "link" and _is_text(place.parts[-1].lower()):
                        yield place
            except ServiceError:
                found.skipped += 1

    def _content(self, place: Place, found: _Found) -> str | None:
        try:
            with self._roots.file(place) as descriptor:
                content = read_limited(descriptor, MAX_FILE_BYTES + 1)
        except (ServiceError, OSError):
            found.skipped += 1
            return None
        found.bytes += len(content)
        if len(content) > MAX_FILE_BYTES or b"\0" in content:
            found.skipped += 1
            return None
        found.files += 1
        return content.decode(errors="replace")


def _is_text(name: str) -> bool:
    return name.endswith(SUFFIXES) or name == "readme"


def _collect(place: Place, content: str, phrase: str, found: _Found) -> None:
    lines = content.split("\n")
    found.lines += len(lines)
    for number, line in enumerate(lines, 1):
        folded = line.casefold()
        if not any(term in folded for term in found.frequency):
            continue
        words = set(_TERM.findall(folded))
        terms = frozenset(term for term in found.frequency if term in words)
        if not terms:
            continue
        for term in terms:
            found.frequency[term] += 1
        text = " ".join(line.split())[:MAX_SHOWN]
        found.hits.append(
            _Hit(
                place.path,
                number,
                text,
                terms,
                bool(phrase) and phrase in folded,
                _HEADING.match(line) is not None,
            )
        )
        if len(found.hits) >= MAX_HITS:
            found.truncated = True
            return


def _score(hit: _Hit, found: _Found) -> float:
    rarity = sum(_rarity(term, found.frequency, found.lines) for term in hit.terms)
    return rarity * (1.5 if hit.phrase else 1.0) * (1.25 if hit.heading else 1.0)


def _rarity(term: str, frequency: Mapping[str, int], lines: int) -> float:
    return math.log1p(lines / frequency[term])
