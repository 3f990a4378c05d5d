"""What a person decides about dead letters: how many and of what is named before it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from event_monitor.dashboard.dead_letters.lines import letters_word, rate_word
from event_monitor.dashboard.dead_letters.questions import Question
from event_monitor.dashboard.dead_letters.reading import Reader
from event_monitor.dashboard.dead_letters.tree import DeadTree, Row
from event_monitor.dashboard.link import BusLink
from event_monitor.messages import (
    ControlRetryRun,
    DropDeadLetters,
    Message,
    RetryDeadLetters,
    StartRetryRun,
)
from event_monitor.replies.dead_letters import Corrected, DeadGroup, RetryRun, RetryState
from event_monitor.replies.general import DeadLetter

RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 0.0)
"""Letters a second that can be chosen; 0 is all at once."""
_USUAL = 10.0
_RATE = "dead_letters.rate"
# What is dropped is gone for good; what is retried comes back if it fails again.
_DROPPED = "Their events stay in the history with their errors; they are not delivered."
_GONE = "There is no dead letter to act on"


class Decisions:
    """Sends commands about what is selected in ``tree``; ``push`` opens a question over the tab."""

    def __init__(
        self,
        link: BusLink,
        tree: DeadTree,
        reader: Reader,
        push: Callable[[Question, Callable[[], None]], None],
    ) -> None:
        self._link = link
        self._tree = tree
        self._reader = reader
        self._push = push

    # --- the rate ---------------------------------------------------------------------------

    @property
    def rate(self) -> float:
        """Letters a second of a retry of many; 0 for all at once."""
        rate: float = self._link.memory.get(_RATE, _USUAL)
        return rate if rate in RATES else _USUAL

    def change_rate(self, steps: int) -> None:
        """Choose another rate, for the retry that is under way too, if there is one."""
        place = RATES.index(self.rate) + steps
        rate = RATES[min(max(place, 0), len(RATES) - 1)]
        self._link.memory.set(_RATE, rate)
        live = self._reader.live
        if live and rate:
            self._link.work(
                self._send(ControlRetryRun(run_id=live[0].id, action="rate", rate=rate), say=False)
            )

    def stop(self) -> None:
        """Stop the newest retry that is under way."""
        live = self._reader.live
        if not live:
            self._link.say("No retry is under way")
            return
        self._link.work(self._send(ControlRetryRun(run_id=live[0].id, action="stop")))

    # --- retry ------------------------------------------------------------------------------

    def retry(self, row: Row | None) -> None:
        """Retry what a row is about: one letter at once, a group at the chosen rate."""
        if row is None:
            self._link.say(_GONE)
        elif row.letter is not None:
            letter = row.letter
            self._link.work(self._send(RetryDeadLetters(event_id=letter.id, target=letter.target)))
        else:
            self.retry_groups([row.group])

    def retry_group(self, row: Row | None) -> None:
        """Retry the whole group of a row."""
        self.retry_groups([row.group] if row is not None else [])

    def retry_all(self) -> None:
        """Retry all that the filter leaves."""
        self.retry_groups(self._tree.found.groups if self._tree.found is not None else [])

    def retry_groups(self, groups: Sequence[DeadGroup]) -> None:
        """Ask, then retry at the chosen rate."""
        if not groups:
            self._link.say(_GONE)
            return
        numbers, at = tuple(group.id for group in groups), self._at()
        rate = self.rate
        message: Message
        if rate:
            message = StartRetryRun(groups=numbers, until=at, rate=rate, by=self._link.person)
            how = f"{rate_word(rate)}: about {_span(groups, rate)}. [ and ] choose the rate, x stops."
        else:
            message = RetryDeadLetters(groups=numbers, until=at)
            how = "All at once. [ and ] choose a rate."
        self._push(Question(f"Retry {_named(groups)}?", how), lambda: self._link.work(self._send(message)))

    # --- drop -------------------------------------------------------------------------------

    def drop(self, row: Row | None) -> None:
        """Give up what a row is about."""
        if row is None or row.letter is None:
            self.drop_groups([row.group] if row is not None else [])
            return
        letter = row.letter
        self._push(
            Question(
                f"Drop dead letter #{letter.id} {letter.event_type} → {letter.target}?",
                "Its event stays in the history with its errors; it is not delivered.",
            ),
            lambda: self._link.work(self._send(DropDeadLetters(event_id=letter.id, target=letter.target))),
        )

    def drop_group(self, row: Row | None) -> None:
        """Give the whole group of a row up."""
        self.drop_groups([row.group] if row is not None else [])

    def drop_all(self) -> None:
        """Give all up that the filter leaves."""
        self.drop_groups(self._tree.found.groups if self._tree.found is not None else [])

    def drop_groups(self, groups: Sequence[DeadGroup]) -> None:
        """Ask, naming how many of what, then drop what was there when they were counted."""
        if not groups:
            self._link.say(_GONE)
            return
        message = DropDeadLetters(groups=tuple(group.id for group in groups), until=self._at())
        self._push(
            Question(f"Drop {_named(groups)}?", _DROPPED), lambda: self._link.work(self._send(message))
        )

    # --- the bus ----------------------------------------------------------------------------

    def corrected(self, letter: DeadLetter, done: Corrected) -> None:
        """A correction was published."""
        self._link.say(f"Event {done.id} corrects #{letter.id}: to {', '.join(done.targets) or 'no target'}")
        self._reader.look()

    def _at(self) -> str | None:
        return self._tree.found.at if self._tree.found is not None else None

    async def _send(self, message: Message, *, say: bool = True) -> None:
        reply = await self._link.ask(message)
        if reply is None:
            return
        if say:
            self._link.say(_told(reply))
        self._reader.look()


def _named(groups: Sequence[DeadGroup]) -> str:
    """How many of what: ``12 dead letters of backup.completed → storage (OSError: …)``."""
    letters = letters_word(sum(group.letters for group in groups))
    if len(groups) > 1:
        return f"{letters} of {len(groups)} groups"
    (group,) = groups
    return f"{letters} of {group.event_type} → {group.target} ({group.error})"


def _span(groups: Sequence[DeadGroup], rate: float) -> str:
    from event_monitor.widgets.text import duration

    return duration(sum(group.letters for group in groups) / rate)


def _told(reply: object) -> str:
    if isinstance(reply, RetryRun):
        if not reply.id:
            return "There was nothing left to retry"
        if reply.state is RetryState.RUNNING:
            return f"Retry {reply.id} begun: {letters_word(reply.letters)}, {rate_word(reply.rate)}"
        return f"Retry {reply.id} {reply.state} after {reply.retried:,} of {reply.letters:,}"
    return str(getattr(reply, "message", ""))
