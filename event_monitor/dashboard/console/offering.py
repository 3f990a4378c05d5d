"""Completion at the console's prompt: what can stand at the cursor, and which of it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from event_monitor.dashboard.console.prompt import PromptArea
from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError
from event_monitor.grammar.known import Offer
from event_monitor.grammar.repl.offers import Place, common_start, offers_at, place_at
from event_monitor.messages import Message

_KEPT_SECONDS = 5.0


class Offering:
    """Keeps the offers for what is typed now. An answer that comes late, when the text is another one
    already, changes nothing."""

    def __init__(self, prompt: PromptArea, link: BusLink, changed: Callable[[], None]) -> None:
        self._prompt = prompt
        self._link = link
        self._changed = changed
        self._known: dict[Message, tuple[float, Any]] = {}
        self._seen: tuple[str, int] = ("", 0)
        self.place: Place | None = None
        self.offers: list[Offer] = []
        self.chosen: int | None = None
        self.waiting = False
        """Whether the bus was asked for more."""
        self._wanted = 0
        """The step that was asked for meanwhile."""

    def look(self, *, eager: bool = False) -> None:
        """See what can stand at the cursor. Where nothing is typed nothing is offered, unless ``eager``."""
        seen = (self._prompt.text, self._prompt.cursor_index)
        if seen == self._seen and not eager:
            return
        self._seen = seen
        self._choose(None)
        self.place = place_at(*seen)
        if self.place is None or not (seen[0].strip() or eager):
            self._show([])
            return
        missing = [message for message in self.place.asks if self._answer(message) is None]
        self._show(self._from(self.place))
        if missing:
            self.waiting = True
            self._link.work(self._ask(seen, self.place, missing))

    def put_away(self) -> bool:
        """Offer nothing until something else is typed; whether anything was offered."""
        shown = bool(self.offers)
        self._choose(None)
        self._show([])
        return shown

    def step(self, step: int) -> None:
        """Take the only offer, type what all of them begin with, or choose the next one."""
        if not self.offers:
            self.look(eager=True)
        place, offers = self.place, self.offers
        if place is None or (self.waiting and self.chosen is None):
            self._wanted = step
            return
        if not offers:
            return
        if self.chosen is not None:
            self._insert(offers[(self.chosen + step) % len(offers)].text, (self.chosen + step) % len(offers))
        elif len(offers) == 1 and _bare(offers[0].text).startswith(_bare(place.typed)):
            self._insert(offers[0].text, 0)
            self.take()
        else:
            common = common_start(offers)
            if len(common) > len(place.typed) and common.startswith(place.typed):
                self._insert(common, None)
                self.look()
            else:
                self._insert(offers[0 if step > 0 else -1].text, 0 if step > 0 else len(offers) - 1)

    def take(self) -> None:
        """Keep the chosen offer and go on behind it."""
        text = self._prompt.text[: self._prompt.cursor_index]
        if not text.endswith((" ", ":", "{}")):
            self._prompt.replace_before_cursor(len(text), " ")
        self._choose(None)
        self.look(eager=True)

    def _insert(self, text: str, chosen: int | None) -> None:
        assert self.place is not None
        start = self.place.start
        self._prompt.replace_before_cursor(start, text)
        self._seen = (self._prompt.text, self._prompt.cursor_index) if chosen is not None else ("", -1)
        self._choose(chosen)

    def _choose(self, chosen: int | None) -> None:
        self.chosen = chosen
        self._prompt.engaged = chosen is not None
        self._changed()

    def _show(self, offers: list[Offer]) -> None:
        self.waiting, self._wanted = False, 0
        self.offers = offers
        self._changed()

    # --- the bus ----------------------------------------------------------------------------

    async def _ask(self, seen: tuple[str, int], place: Place, messages: list[Message]) -> None:
        for message in messages:
            try:
                reply = await self._link.request(message)
            except EventMonitorError:
                # Without an answer the grammar's own offers stay; what is wrong shows at the next command.
                break
            self._known[message] = (self._link.now().timestamp(), reply)
        if seen == self._seen and self.chosen is None:
            wanted = self._wanted
            self._show(self._from(place))
            if wanted:
                self.step(wanted)

    def _from(self, place: Place) -> list[Offer]:
        answers = [reply for ask in place.asks if (reply := self._answer(ask)) is not None]
        offers = offers_at(place, answers, self._link.mask)
        whole = len(offers) == 1 and offers[0].text == place.typed
        return [] if whole else offers

    def _answer(self, message: Message) -> Any:
        now = self._link.now().timestamp()
        self._known = {m: (at, reply) for m, (at, reply) in self._known.items() if now - at < _KEPT_SECONDS}
        known = self._known.get(message)
        return known[1] if known is not None else None


def _bare(text: str) -> str:
    """A text as it is meant, whether its quote is typed already or not."""
    return text.lstrip("\"'").lower()
