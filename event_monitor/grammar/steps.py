"""How commands of more than one message are carried out, apart from how messages travel and where
results are shown.

A command is a generator of steps. Who drives it does what a step says and sends back what it asks for;
an ``EventMonitorError`` of the bus is thrown into it. Its value is the exit status.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from event_monitor.errors import EventMonitorError, InvalidRequest, NotFound
from event_monitor.grammar.decode import payload_from_text
from event_monitor.grammar.json_lines import history_json, render_json
from event_monitor.grammar.parser import to_message
from event_monitor.grammar.shared import user
from event_monitor.grammar.spec import Invocation
from event_monitor.grammar.undelivered import letters_messages
from event_monitor.messages import (
    AdoptService,
    CorrectDeadLetter,
    DropDeadLetters,
    Message,
    QueryDeadLetters,
    QueryEvents,
    ResolveRoute,
    RetryDeadLetters,
    StartRetryRun,
)
from event_monitor.model import Event
from event_monitor.replies.general import DeadLetter, DeadLetterPage, Done, EventPage

_PAGE = 500


class Send(msgspec.Struct, frozen=True):
    """Send a message; the step's value is the reply."""

    message: Message


class Show(msgspec.Struct, frozen=True):
    """Show a result. ``view`` is another one than its kind usually has."""

    reply: Any
    view: Literal["", "history", "detail"] = ""


class Say(msgspec.Struct, frozen=True):
    """Tell a person something that is no result."""

    text: str


class Complain(msgspec.Struct, frozen=True):
    """Tell of a refusal that does not end the command; the step's value is its exit status."""

    error: EventMonitorError


class Confirm(msgspec.Struct, frozen=True):
    """Ask a person, after having shown them ``shown``; the step's value is the answer. ``needed`` says
    that nobody to ask means no."""

    question: str
    shown: Any = None
    needed: bool = False


class Edit(msgspec.Struct, frozen=True):
    """Let a person edit ``text``, which ``mistake`` says what is wrong with; the step's value is what they
    made of it, ``None`` where nobody can."""

    text: str
    mistake: str = ""


class Input(msgspec.Struct, frozen=True):
    """Read what was piped in to its end; the step's value is the text, ``None`` where nothing can be."""


Step = Send | Show | Say | Complain | Confirm | Edit | Input
Steps = Generator[Step, Any, int]


def steps_of(invocation: Invocation) -> Steps:
    """The steps of a command that ends by itself."""
    return _STEPS.get(invocation.command.path, _one_message)(invocation)


def json_of(shown: Show) -> Sequence[bytes]:
    """A result as JSON lines for programs."""
    return list(history_json(shown.reply) if shown.view == "history" else render_json(shown.reply))


def text_of(shown: Show, width: int, mask: Sequence[str] | None = None) -> str:
    """A result as text for people."""
    # Programs, which want JSON, do not wait for the tables.
    from event_monitor.grammar.render import MASK, dead_letter_detail, render_table

    mask = MASK if mask is None else mask
    if shown.view == "detail":
        return "\n\n".join(dead_letter_detail(one, width, mask) for one in shown.reply.dead_letters)
    return render_table(shown.reply, width, mask)


def _one_message(invocation: Invocation) -> Steps:
    yield Show((yield Send(to_message(invocation))))
    return 0


def newest_events(query: QueryEvents, limit: int) -> Generator[Send, EventPage, list[Event]]:
    """The newest ``limit`` recorded events that match, the oldest first."""
    newest: list[Event] = []
    before = query.before_id
    while len(newest) < limit:
        size = min(_PAGE, limit - len(newest))
        page = yield Send(
            msgspec.structs.replace(query, newest_first=True, before_id=before, after_id=None, limit=size)
        )
        newest += page.events
        before = page.cursor
        if before is None:
            break
    return newest[::-1]


def _events(invocation: Invocation) -> Steps:
    query = to_message(invocation)
    assert isinstance(query, QueryEvents)
    yield Show(EventPage(events=(yield from newest_events(query, invocation.values["limit"]))))
    return 0


def _state(invocation: Invocation) -> Steps:
    reply = yield Send(to_message(invocation))
    yield Show(reply, "history" if invocation.values["history"] else "")
    return 0


def _list_letters(invocation: Invocation) -> Steps:
    limit, query = invocation.values["limit"], to_message(invocation)
    letters: list[Any] = []
    while not limit or len(letters) < limit:
        size = min(_PAGE, limit - len(letters)) if limit else _PAGE
        page = yield Send(msgspec.structs.replace(query, limit=size))
        letters += page.dead_letters
        if not page.more or not page.dead_letters:
            break
        query = msgspec.structs.replace(query, after=(letters[-1].id, letters[-1].target))
    yield Show(DeadLetterPage(dead_letters=letters, more=False))
    return 0


def _show_letters(invocation: Invocation) -> Steps:
    message = to_message(invocation)
    assert isinstance(message, QueryDeadLetters)
    page = yield Send(message)
    if not page.dead_letters:
        raise NotFound(f"event {message.event_id} has no dead letters", "event-cli dlq list shows which have")
    yield Show(page, "detail")
    return 0


def _retry_letters(invocation: Invocation) -> Steps:
    messages = letters_messages(RetryDeadLetters, invocation.values)
    if isinstance(messages[0], StartRetryRun):
        yield Show((yield Send(messages[0])))
        return 0
    return (yield from _send_all(messages))


def _drop_letters(invocation: Invocation) -> Steps:
    values = invocation.values
    messages = letters_messages(DropDeadLetters, values)
    many = values["all"] or values["group"]
    if many and not values["yes"] and not (yield Confirm("Drop all dead letters that match?")):
        yield Say("nothing was dropped")
        return 1
    return (yield from _send_all(messages))


def _edit_letter(invocation: Invocation) -> Steps:
    """Take the payload that is given, or have it edited and shown where it goes; then publish it."""
    values = invocation.values
    number, target, rerouted = values["id"], values["target"], values["rerouted"]
    page = yield Send(QueryDeadLetters(event_id=number, target=target))
    if not page.dead_letters:
        raise NotFound(f"event {number} has no dead letters", "event-cli dlq list shows which have")
    letter = page.dead_letters[0]
    given = values["payload"]
    if given == "-" and (given := (yield Input())) is None:
        raise InvalidRequest("nothing can be read from stdin here", "give the payload as JSON")
    if given is not None:
        payload = payload_from_text(given)
    elif (edited := (yield from _edited(letter))) is None:
        return 1
    else:
        payload = edited
        targets = [one.target for one in page.dead_letters]
        if rerouted:
            route = yield Send(ResolveRoute(event_type=letter.event_type, payload=payload))
            targets = route.targets
        to = ", ".join(targets) or "no target"
        if not values["yes"] and not (yield Confirm(f"Publish the corrected {letter.event_type} to {to}?")):
            yield Say("nothing was published")
            return 1
    message = CorrectDeadLetter(event_id=number, payload=payload, target=target, rerouted=rerouted)
    yield Show((yield Send(message)))
    return 0


def _edited(letter: DeadLetter) -> Generator[Step, Any, dict[str, Any] | None]:
    """The payload as a person made it; ``None`` if they thought better."""
    from event_monitor.grammar.payload_text import Mistake, PayloadText
    from event_monitor.grammar.render import MASK

    text = PayloadText(letter.payload, MASK)
    now, mistake = text.text, ""
    while True:
        made = yield Edit(now, mistake)
        if made is None:
            raise InvalidRequest(
                "nobody can edit here", "give the payload as JSON, or - to read it from stdin"
            )
        if made == text.text:
            yield Say("nothing was changed, nothing was published")
            return None
        payload = text.read(made)
        if not isinstance(payload, Mistake):
            return payload
        now, mistake = made, str(payload)
        if not (yield Confirm(f"{mistake}. Edit again?", needed=True)):
            yield Say("nothing was published")
            return None


def _send_all(messages: Sequence[Message]) -> Steps:
    """Send each message; one that is refused does not keep the others back."""
    status, replies = 0, []
    for message in messages:
        try:
            replies.append((yield Send(message)))
        except NotFound as error:
            status = max(status, (yield Complain(error)))
    if replies:
        text = replies[0].message if len(replies) == 1 else ""
        yield Show(Done(count=sum(reply.count for reply in replies), message=text))
    return status


def _adopt(invocation: Invocation) -> Steps:
    """Show what would be started, and do it on a person's word."""
    plan = yield Send(to_message(invocation))
    question = Confirm(f"Start {plan.service} and keep it running?", plan, needed=True)
    if not invocation.values["yes"] and not (yield question):
        yield Say("nothing was started")
        return 1
    message = AdoptService(
        name=plan.server.name,
        scope=plan.server.scope,
        project=plan.server.project,
        service=plan.service,
        fingerprint=plan.fingerprint,
        by=user(),
    )
    yield Show((yield Send(message)))
    return 0


_STEPS: Mapping[tuple[str, ...], Callable[[Invocation], Steps]] = {
    ("events",): _events,
    ("state",): _state,
    ("dlq", "list"): _list_letters,
    ("dlq", "show"): _show_letters,
    ("dlq", "retry"): _retry_letters,
    ("dlq", "drop"): _drop_letters,
    ("dlq", "edit"): _edit_letter,
    ("services", "adopt"): _adopt,
}
