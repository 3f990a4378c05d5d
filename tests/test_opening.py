"""A view that is on the screen before its bus runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from event_monitor.errors import NoBus
from event_monitor.host import BusThread, LocalClient, OpeningClient
from event_monitor.messages import GetStats, Message, Ping
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime


class Answering:
    """A client that answers with its own name."""

    def __init__(self, name: str = "bus") -> None:
        self.name = name
        self.closed = False

    async def request(self, message: Message) -> Any:
        return f"{self.name}: {type(message).__name__}"

    def silence(self) -> str | None:
        return f"{self.name} is busy"

    def apart(self, timeout: float) -> Answering:
        return Answering(f"{self.name} apart for {timeout:g}")

    async def close(self) -> None:
        self.closed = True


async def test_what_is_asked_early_waits_for_one_opening() -> None:
    opened, times, bus = asyncio.Event(), [], Answering()

    async def opening() -> Answering:
        times.append(1)
        await opened.wait()
        return bus

    client = OpeningClient(opening)
    apart = client.apart(5)
    assert client.silence() == apart.silence() == "it is starting"
    asked = [asyncio.create_task(one.request(Ping())) for one in (client, client, apart)]
    asked.append(asyncio.create_task(client.request(GetStats())))
    await asyncio.sleep(0)
    asked[0].cancel()
    opened.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError), "that one alone was given up"
    assert answers[1:] == ["bus: Ping", "bus apart for 5: Ping", "bus: GetStats"]
    # The first who asked had begun it and was cancelled in it; the next one began anew.
    assert len(times) == 2
    assert (client.silence(), await client.apart(1).request(Ping())) == (
        "bus is busy",
        "bus apart for 1: Ping",
    )
    await client.close()
    assert bus.closed


async def test_an_opening_that_fails_is_tried_again_with_the_next_request() -> None:
    results: list[Answering | None] = [None, Answering()]

    async def opening() -> Answering:
        found = results.pop(0)
        if found is None:
            raise NoBus("none yet", "wait")
        return found

    client = OpeningClient(opening)
    with pytest.raises(NoBus):
        await client.request(Ping())
    await client.close()
    assert await client.request(Ping()) == "bus: Ping"
    assert await client.request(Ping()) == "bus: Ping", "it is kept"


async def test_who_waits_for_the_start_and_gives_up_does_not_end_it(home: Any) -> None:
    thread = BusThread(lambda: Runtime.start(HomePaths(str(home))))
    waiting = asyncio.create_task(LocalClient(thread).request(Ping()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    thread.begin()
    assert (await LocalClient(thread).request(Ping())).pid
    await asyncio.to_thread(thread.stop)
