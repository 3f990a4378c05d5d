"""Commands that go on until they are interrupted: ``subscribe``, ``events --follow``, ``stats --live``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

import msgspec

from event_monitor.cli.connection import Connection, Item
from event_monitor.cli.output import Printer
from event_monitor.grammar.steps import newest_events
from event_monitor.messages import GetStats, QueryEvents, Subscribe
from event_monitor.model import Event
from event_monitor.paths import HomePaths
from event_monitor.replies.general import EventPage

PAGE = 500


class _Id(msgspec.Struct):
    id: int


_event_decoder = msgspec.json.Decoder(Event)
_id_decoder = msgspec.json.Decoder(_Id)


def subscribe(paths: HomePaths, message: Subscribe, printer: Printer, count: int | None) -> None:
    """Print events as they are published, ``count`` of them or until nobody reads."""
    with Connection(paths) as connection:
        connection.open_stream(message)
        for item in connection.items(_pipe(1)):
            if count is not None and count <= 0:
                return
            _print_item(item, printer)
            if count is not None and not item.gap:
                count -= 1
                if count == 0:
                    return


def follow(paths: HomePaths, query: QueryEvents, limit: int, printer: Printer) -> None:
    """Print recorded events, then new ones as they are published, until nobody reads."""
    with Connection(paths) as stream:
        # Subscribed before history is read: what is published meanwhile waits in the stream.
        stream.open_stream(Subscribe(pattern=query.type or "#", filter=query.filter))
        last = -1
        for page in history(paths, query, limit):
            printer.lines(map(msgspec.json.encode, page)) if printer.json else _print_events(page, printer)
            last = page[-1].id
        for item in stream.items(_pipe(1)):
            if item.gap or _id_decoder.decode(item.event).id > last:
                _print_item(item, printer)


def history(paths: HomePaths, query: QueryEvents, limit: int) -> Iterator[list[Event]]:
    """Recorded events that match, the oldest first, in pages that are not empty: the newest ``limit``
    of them, or all if it is 0."""
    with Connection(paths) as connection:
        if limit == 0:
            yield from pages_upwards(connection, query)
            return
        newest = _newest(connection, query, limit)
    if newest:
        yield newest


def live_stats(paths: HomePaths, printer: Printer, tick: Callable[[], object]) -> None:
    """Print figures each time that ``tick`` returns, until the bus or the reader is gone."""
    with Connection(paths) as connection:
        while True:
            stats = connection.request(GetStats())
            if not printer.json and printer.terminal:
                printer.clear()
            printer.reply(stats)
            tick()


def _newest(connection: Connection, query: QueryEvents, limit: int) -> list[Event]:
    steps = newest_events(query, limit)
    try:
        step = next(steps)
        while True:
            step = steps.send(connection.request(step.message))
    except StopIteration as end:
        found: list[Event] = end.value
        return found


def pages_upwards(connection: Connection, query: QueryEvents) -> Iterator[list[Event]]:
    """All recorded events that match, the oldest first, in pages that are not empty."""
    after = query.after_id
    while True:
        page: EventPage = connection.request(
            msgspec.structs.replace(query, newest_first=False, limit=PAGE, before_id=None, after_id=after)
        )
        if page.events:
            yield page.events
        after = page.cursor
        if after is None:
            return


def _print_item(item: Item, printer: Printer) -> None:
    if printer.json:
        printer.lines([b'{"gap":%d}' % item.gap if item.gap else bytes(item.event)])
    elif item.gap:
        printer.text(f"… {item.gap:,} events were skipped: they came faster than they were read")
    else:
        _print_events([_event_decoder.decode(item.event)], printer)


def _print_events(events: list[Event], printer: Printer) -> None:
    from event_monitor.grammar.render import event_line

    for event in events:
        printer.text(event_line(event, printer.width))


def _pipe(fd: int) -> int | None:
    """``fd`` if it is a pipe whose reader can go away while nothing is written."""
    return fd if stat.S_ISFIFO(os.fstat(fd).st_mode) else None
