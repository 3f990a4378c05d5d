"""The client over the socket: replies, errors, losses, time limits and read-only views."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import pkgutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, get_args

import msgspec
import pytest

from event_monitor import messages
from event_monitor.config import SocketSettings
from event_monitor.control.client import SocketClient
from event_monitor.control.server import ControlServer
from event_monitor.errors import BusFull, EventMonitorError, NoBus, ReadOnly, error_from_code
from event_monitor.messages import (
    AcknowledgeAlerts,
    GetEvent,
    GetSnapshot,
    GetState,
    Message,
    Ping,
    ReloadRules,
)
from event_monitor.messages.catalogue import COMMANDS, REPLY_OF, AnyMessage
from event_monitor.model import Snapshot
from event_monitor.replies.general import Done, Pong
from tests.dashboard import scene

PONG = Pong(pid=1, version="0", home="/h")


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="em") as directory:
        yield os.path.join(directory, "bus.sock")


@contextlib.asynccontextmanager
async def serving(path: str, handle: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, handle, SocketSettings())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def saying(path: str, answer: bytes, hang_up: bool = True) -> AsyncIterator[None]:
    """A server that is not ours: it answers the same bytes to everything."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            if not hang_up:
                await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(talk, path)
    try:
        yield
    finally:
        server.close()


async def pong(message: Any) -> Any:
    return PONG


async def test_a_reply_arrives_as_its_type(path: str) -> None:
    async with serving(path, pong):
        client = SocketClient(path)
        assert await client.request(Ping()) == PONG
        await client.close()
        await client.close()
        assert await client.request(Ping()) == PONG
        await client.close()


async def test_requests_at_the_same_time_get_each_its_own_reply(path: str) -> None:
    async def handle(message: AcknowledgeAlerts) -> Done:
        await asyncio.sleep(0)
        return Done(count=message.alert_id or 0)

    async with serving(path, handle) as server:
        client = SocketClient(path)
        replies = await asyncio.gather(*(client.request(AcknowledgeAlerts(alert_id=n)) for n in range(100)))
        assert [reply.count for reply in replies] == list(range(100))
        assert len(server.connections) == 3
        await client.close()


async def test_a_slow_answer_holds_up_neither_the_picture_nor_the_next_question(path: str) -> None:
    entered = asyncio.Event()
    release = asyncio.Event()

    async def handle(message: Message) -> Any:
        if isinstance(message, GetEvent):
            entered.set()
            await release.wait()
        return scene.snapshot() if isinstance(message, GetSnapshot) else PONG

    async with serving(path, handle) as server:
        client = SocketClient(path)
        slow = asyncio.create_task(client.request(GetEvent(event_id=1)))
        await entered.wait()
        assert await client.request(Ping()) == PONG
        for _ in range(3):
            assert isinstance(await client.request(GetSnapshot()), Snapshot)
        assert [connection.viewing for connection in server.connections].count(True) == 1
        assert not slow.done()
        release.set()
        await asyncio.gather(slow, return_exceptions=True)
        await client.close()


async def test_the_runtime_s_error_is_raised_here(path: str) -> None:
    async def handle(message: Any) -> Any:
        raise BusFull("the backlog is at its limit", "wait")

    async with serving(path, handle):
        client = SocketClient(path)
        with pytest.raises(BusFull) as caught:
            await client.request(Ping())
        assert (caught.value.message, caught.value.advice) == ("the backlog is at its limit", "wait")
        await client.close()


def test_an_error_of_a_newer_bus_is_still_an_error() -> None:
    error = error_from_code("from_the_future", "text", "advice")
    assert type(error) is EventMonitorError
    assert str(error) == "text (advice)"


async def test_without_a_bus_it_says_so_and_what_to_do(path: str) -> None:
    client = SocketClient(path)
    with pytest.raises(NoBus, match=path) as caught:
        await client.request(Ping())
    assert "start event-monitor" in caught.value.advice


async def test_it_connects_again_after_a_restart(path: str) -> None:
    client = SocketClient(path)
    async with serving(path, pong):
        assert await client.request(Ping()) == PONG
    with pytest.raises(NoBus):
        await client.request(Ping())
    async with serving(path, pong):
        assert await client.request(Ping()) == PONG
        await client.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b'{"ok":true',
        b"\n",
        b"[]\n",
        b"hello\n",
        b'{"ok":true,"result":{"pid":"x"}}\n',
        b"\xff\n",
        b"{}\n",
    ],
)
async def test_an_answer_that_is_none_of_ours_is_no_bus(path: str, answer: bytes) -> None:
    async with saying(path, answer):
        client = SocketClient(path)
        with pytest.raises(NoBus):
            await client.request(Ping())
        await client.close()


async def test_no_answer_in_time_is_no_bus_and_the_late_reply_is_nobody_s(path: str) -> None:
    release = asyncio.Event()

    async def handle(message: Any) -> Any:
        if isinstance(message, GetEvent):
            await release.wait()
        return PONG

    async with serving(path, handle):
        client = SocketClient(path, timeout=0.05)
        with pytest.raises(NoBus, match="timed out"):
            await client.request(GetEvent(event_id=1))
        release.set()
        assert await client.request(Ping()) == PONG
        await client.close()


async def test_a_cancelled_request_does_not_shift_the_replies(path: str) -> None:
    entered = asyncio.Event()
    release = asyncio.Event()

    async def handle(message: AcknowledgeAlerts) -> Done:
        if message.alert_id == 1:
            entered.set()
            await release.wait()
        return Done(count=message.alert_id or 0)

    async with serving(path, handle):
        client = SocketClient(path)
        first = asyncio.create_task(client.request(AcknowledgeAlerts(alert_id=1)))
        await entered.wait()
        first.cancel()
        second = asyncio.create_task(client.request(AcknowledgeAlerts(alert_id=2)))
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError)
        release.set()
        assert (await second).count == 2
        await client.close()


async def test_a_read_only_view_sends_queries_only(path: str) -> None:
    asked: list[Message] = []

    async def handle(message: Message) -> Any:
        asked.append(message)
        return PONG

    async with serving(path, handle):
        client = SocketClient(path, read_only=True)
        with pytest.raises(ReadOnly):
            await client.request(ReloadRules())
        assert await client.request(Ping()) == PONG
        assert asked == [Ping()]
        await client.close()


def leaves(kind: type[Message]) -> set[type[Message]]:
    """The messages below ``kind`` that are no base of others."""
    if not kind.__module__.startswith("event_monitor.messages"):
        return set()
    return set().union(*map(leaves, kind.__subclasses__())) or {kind}


def test_every_message_is_a_command_or_a_query_and_has_its_reply() -> None:
    for module in pkgutil.iter_modules(messages.__path__, "event_monitor.messages."):
        importlib.import_module(module.name)
    kinds = leaves(Message)
    assert set(get_args(AnyMessage)) == kinds
    assert set(REPLY_OF) == kinds
    assert set(COMMANDS) < kinds
    tags = [msgspec.inspect.type_info(kind).tag for kind in kinds]  # type: ignore[union-attr]
    assert len(set(tags)) == len(kinds)
    assert GetState not in COMMANDS
