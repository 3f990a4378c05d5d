"""What the commands and queries about dead letters answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from event_monitor import messages as m
from event_monitor.bus.corrections import correct
from event_monitor.bus.dead_groups import Letters
from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.retry_runs import RetryDesk, letters_of
from event_monitor.errors import InvalidRequest
from event_monitor.replies import dead_letters as d
from event_monitor.replies import general as r
from event_monitor.topics import TopicPattern

_MAX_LIMIT = 1_000


class DeadLetterAnswers:
    """Answers messages with the bus's dead letter queue and a desk of retries."""

    def __init__(self, bus: EventBus, desk: RetryDesk) -> None:
        self._bus = bus
        self._desk = desk
        self.handlers: dict[type[m.Message], Callable[[Any], Awaitable[Any]]] = {
            m.RetryDeadLetters: self._retry,
            m.DropDeadLetters: self._drop,
            m.StartRetryRun: self._begin,
            m.ControlRetryRun: desk.control,
            m.CorrectDeadLetter: self._correct,
            m.QueryDeadLetters: self._letters,
            m.QueryDeadGroups: self._groups,
            m.QueryRetryRuns: self._runs,
        }

    async def _retry(self, message: m.RetryDeadLetters) -> r.Done:
        count = await self._bus.dead_letter_queue.retry(_chosen(message))
        return r.Done(count=count, message=f"{_letters(count)} queued again")

    async def _drop(self, message: m.DropDeadLetters) -> r.Done:
        count = await self._bus.dead_letter_queue.drop(_chosen(message))
        return r.Done(count=count, message=f"{_letters(count)} dropped")

    async def _begin(self, message: m.StartRetryRun) -> d.RetryRun:
        _chosen(message)
        return await self._desk.begin(message)

    async def _correct(self, message: m.CorrectDeadLetter) -> d.Corrected:
        return await correct(
            self._bus,
            message.event_id,
            message.payload,
            target=message.target,
            rerouted=message.rerouted,
        )

    async def _letters(self, message: m.QueryDeadLetters) -> r.DeadLetterPage:
        letters, more = await self._bus.dead_letter_queue.page(
            Letters(
                pattern=TopicPattern(message.event_type) if message.event_type else None,
                target=message.target,
                event_id=message.event_id,
                groups=() if message.group is None else (message.group,),
            ),
            after=message.after,
            newest_first=message.newest_first,
            limit=_limit(message.limit),
        )
        return r.DeadLetterPage(dead_letters=letters, more=more)

    async def _groups(self, message: m.QueryDeadGroups) -> d.DeadGroups:
        pattern = TopicPattern(message.event_type) if message.event_type else None
        words = [word.casefold() for word in message.words]

        def fits(event_type: str, target: str, error: str) -> bool:
            if pattern is not None and not pattern.matches(event_type):
                return False
            if message.target is not None and target != message.target:
                return False
            text = f"{event_type}\n{target}\n{error}".casefold()
            return all(word in text for word in words)

        return await self._bus.dead_letter_queue.groups(fits, _limit(message.limit))

    async def _runs(self, message: m.QueryRetryRuns) -> d.RetryRuns:
        return d.RetryRuns(runs=self._desk.reports(message.run_id))


def _chosen(message: m.DeadLetterSelection) -> Letters:
    """What is meant. Raises ``InvalidRequest`` if nothing is named."""
    named = message.event_id is not None or message.groups or message.target or message.event_type
    if not named and not message.all:
        raise InvalidRequest(
            "no dead letter was named", "give an event's number, a group, a target, a type, or all"
        )
    return letters_of(message, until=message.until)


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _limit(limit: int) -> int:
    if limit < 1:
        raise InvalidRequest(f"limit {limit} is below 1", f"choose 1 to {_MAX_LIMIT}")
    return min(limit, _MAX_LIMIT)
