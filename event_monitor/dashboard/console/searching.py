"""A search backwards through what was typed before: each letter narrows it."""

from __future__ import annotations

from collections.abc import Sequence


class Search:
    """What is looked for, the entries in which it stands, and the one of them that is shown.

    Capitals make no difference. Of equal entries the newest counts.
    """

    def __init__(self, entries: Sequence[str], draft: str) -> None:
        self._entries = list(entries)
        self._matches: list[int] = []
        self._place = 0
        self.draft = draft
        """What was typed before the search began."""
        self.wanted = ""

    @property
    def text(self) -> str:
        """The entry that is shown; without one what was typed before."""
        return self._entries[self._matches[self._place]] if self._matches else self.draft

    @property
    def age(self) -> int:
        """How many entries back the one that is shown is; 0 without one."""
        return len(self._entries) - self._matches[self._place] if self._matches else 0

    @property
    def failed(self) -> bool:
        """Whether no entry has what is looked for."""
        return bool(self.wanted) and not self._matches

    @property
    def told(self) -> str:
        """How far the search is, in words."""
        if not self.wanted:
            return "search backwards: type a part of the line"
        if self.failed:
            return f"search: {self.wanted}   no line has it"
        return f"search: {self.wanted}   {self._place + 1} of {len(self._matches)}"

    def narrow(self, text: str) -> None:
        """Look for more: the entry that is shown stays while it fits, then an older one is taken."""
        self._look_for(self.wanted + text, self._matches[self._place] if self._matches else None)

    def widen(self) -> None:
        """Look for a letter less, from the newest entry on."""
        self._look_for(self.wanted[:-1], None)

    def step(self, entries: int) -> None:
        """Go on to an older entry, or with a negative number to a newer one."""
        self._place = max(0, min(self._place + entries, len(self._matches) - 1))

    def _look_for(self, wanted: str, shown: int | None) -> None:
        self.wanted = wanted
        seen: set[str] = set()
        self._matches = []
        for number in range(len(self._entries) - 1, -1, -1):
            entry = self._entries[number]
            if wanted and wanted.lower() in entry.lower() and entry not in seen:
                seen.add(entry)
                self._matches.append(number)
        older = [place for place, number in enumerate(self._matches) if shown is None or number <= shown]
        self._place = older[0] if older else 0
