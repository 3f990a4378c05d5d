"""Groups of dead letters and, where unfolded, their letters: what is shown and what is selected. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from event_monitor.replies.dead_letters import DeadGroup, DeadGroups
from event_monitor.replies.general import DeadLetter


class Key(NamedTuple):
    """What a row is about, whatever row it stands in: a group, or a letter of it."""

    group: int
    event_id: int | None = None


@dataclass(slots=True)
class Members:
    """The letters of an unfolded group that were read so far, the newest first. ``asked`` counts the
    questions, so that an old answer never replaces a newer one; ``read_for`` is the count and the time of
    the last letter that the group had when it was asked."""

    letters: list[DeadLetter] = field(default_factory=list)
    more: bool = True
    asked: int = 0
    waiting: bool = False
    read_for: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list; without a letter it is its group's."""

    key: Key
    group: DeadGroup
    letter: DeadLetter | None = None


class DeadTree:
    """The selection stays on what it is about while others come and go."""

    def __init__(self) -> None:
        self.found: DeadGroups | None = None
        self.members: dict[int, Members] = {}
        self._selected: Key | None = None
        self._place = 0
        self._rows: list[Row] = []

    # --- what is shown ----------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[Row]:
        """All rows, in order."""
        return self._rows

    def take(self, found: DeadGroups) -> None:
        """Show these groups. One that is gone is folded."""
        self.found = found
        known = {group.id for group in found.groups}
        self.members = {number: members for number, members in self.members.items() if number in known}
        self._lay_out()

    def take_letters(self, number: int, letters: Sequence[DeadLetter], more: bool, *, begin: bool) -> None:
        """Show these letters of an unfolded group: all anew with ``begin``, else after those before."""
        members = self.members[number]
        members.letters = list(letters) if begin else [*members.letters, *letters]
        members.more = more
        self._lay_out()

    def unfold(self, number: int) -> Members:
        """Show a group's letters, which are to be read."""
        members = self.members.setdefault(number, Members())
        self._lay_out()
        return members

    def fold(self, number: int) -> None:
        """Hide a group's letters; the selection goes to the group."""
        self.members.pop(number, None)
        if self._selected is not None and self._selected.group == number:
            self._selected = Key(number)
        self._lay_out()

    def _lay_out(self) -> None:
        rows: list[Row] = []
        for group in self.found.groups if self.found is not None else ():
            rows.append(Row(Key(group.id), group))
            members = self.members.get(group.id)
            if members is not None:
                rows += [Row(Key(group.id, letter.id), group, letter) for letter in members.letters]
        self._rows = rows
        self._select(self._find(self._selected) if self._selected is not None else None)

    def _find(self, key: Key | None) -> int | None:
        return next((place for place, row in enumerate(self._rows) if row.key == key), None)

    # --- selection --------------------------------------------------------------------------

    @property
    def selected(self) -> Row | None:
        """The selected row; the first if none was chosen."""
        place = self.place
        return None if place is None else self._rows[place]

    @property
    def place(self) -> int | None:
        """Where the selected row stands."""
        if not self._rows:
            return None
        return min(self._place, len(self._rows) - 1)

    def select(self, place: int) -> None:
        """Select a row, the nearest if there is none at ``place``."""
        if self._rows:
            self._select(min(max(place, 0), len(self._rows) - 1))

    def _select(self, place: int | None) -> None:
        if not self._rows:
            self._place, self._selected = 0, None
            return
        self._place = self._nearest() if place is None else place
        self._selected = self._rows[self._place].key

    def _nearest(self) -> int:
        """Where to go when what was selected is settled: the letter after it, else its group."""
        place = min(self._place, len(self._rows) - 1)
        if self._selected is None or self._rows[place].key.group == self._selected.group:
            return place
        group = self._find(Key(self._selected.group))
        return place if group is None else group

    def near_end(self) -> int | None:
        """The group whose next letters are to be read, because the selection comes near their end."""
        row = self.selected
        if row is None or (members := self.members.get(row.key.group)) is None:
            return None
        if not members.more or members.waiting:
            return None
        last = self._find(Key(row.key.group))
        assert last is not None
        return row.key.group if last + len(members.letters) - self._place < 20 else None
