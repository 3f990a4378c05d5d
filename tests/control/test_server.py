"""The control socket over real connections: framing, limits, streams, noise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from event_monitor.messages import Ping
from tests.control.peers import PING, Backend, Peer, event, peer, serving, still_serves, until

# --- framing --------------------------------------------------------------------------------


async def test_replies_come_in_the_order_of_the_requests(path: str, backend: Backend) -> None:
    async with serving(path, backend), peer(path) as client:
        requests = b"".join(b'{"do":"get_event","event_id":%d}\n' % number for number in range(1_000, 1_500))
        await client.say(requests + PING)
        counts = [(await client.hear())["result"]["count"] for _ in range(501)]
        assert counts == list(range(1, 502))
        assert [message.event_id for message in backend.asked[:-1]] == list(range(1_000, 1_500))


async def test_a_frame_may_arrive_byte_by_byte(path: str, backend: Backend) -> None:
    async with serving(path, backend), peer(path) as client:
        for byte in PING + PING:
            await client.say(bytes([byte]))
        assert (await client.hear())["result"]["count"] == 1
        assert (await client.hear())["result"]["count"] == 2


async def test_a_client_that_has_said_all_is_still_answered(path: str, backend: Backend) -> None:
    async with serving(path, backend), peer(path) as client:
        client.writer.write(PING + PING + b'{"do":"pi')
        client.writer.write_eof()
        assert [(await client.hear())["ok"] for _ in range(2)] == [True, True]
        assert await client.hear() is None
        assert len(backend.asked) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"\0",
        b"hello",
        b"{",
        b"[]",
        b"null",
        b"42",
        b"{}",
        b'{"do":null}',
        b'{"do":"shutdown"}',
        b'{"do":"ping","extra":1}',
        b'{"do":"get_event"}',
        b'{"do":"get_event","event_id":"1"}',
        b'{"do":"get_event","event_id":NaN}',
        b'{"do":"get_event","event_id":' + b"9" * 5_000 + b"}",
        b'{"do":"get_event","event_id":1e999}',
        b'{"do":"publish","event_type":"a","payload":[]}',
        b'{"do":"publish","event_type":"\xff"}',
        b'{"do":"publish","event_type":"\\ud800"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"do":"publish","event_type":"a","payload":{"a":' + b"[" * 100_000,
        b'{"do":' * 50_000,
        b"GET / HTTP/1.1\r",
    ],
    ids=lambda line: repr(line[:40]),
)
async def test_48_what_cannot_be_understood_gets_one_error_and_harms_nothing(
    path: str, backend: Backend, line: bytes
) -> None:
    async with serving(path, backend), peer(path) as client:
        reply = await client.ask(line + b"\n")
        assert reply["ok"] is False
        assert reply["error"]["code"] == "invalid_request"
        assert reply["error"]["message"] and reply["error"]["advice"]
        assert "Traceback" not in json.dumps(reply)
        assert backend.asked == []
        assert (await client.ask(PING))["ok"] is True


async def test_a_refusal_and_a_crash_are_answered_without_a_stack(
    path: str, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path, backend), peer(path) as client:
        assert await client.ask(b'{"do":"get_event","event_id":404}\n') == {
            "ok": False,
            "error": {
                "code": "not_found",
                "message": "no event has the number 404",
                "advice": "look elsewhere",
            },
        }
        reply = await client.ask(b'{"do":"get_event","event_id":500}\n')
        assert reply["error"]["message"] == "internal error"
        assert "a secret stack" in caplog.text
        assert (await client.ask(PING))["ok"] is True


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 7])
async def test_47_nothing_after_an_oversize_frame_is_executed(
    path: str, backend: Backend, pieces: int
) -> None:
    limit = 4_096
    async with serving(path, backend, max_frame_bytes=limit), peer(path) as client:
        bomb = b'{"do":"ping","x":"' + b"x" * limit + b'"}\n' + b'{"do":"reload_rules"}\n' * 3
        step = len(bomb) // pieces + 1
        for start in range(0, len(bomb), step):
            await client.say(bomb[start : start + step])
            await asyncio.sleep(0)
        reply = await client.hear()
        assert reply["error"]["code"] == "invalid_request"
        assert "larger than 4,096 bytes" in reply["error"]["message"]
        assert await client.hear() is None
        await still_serves(path)
        assert [type(message) for message in backend.asked] == [Ping]


async def test_a_frame_of_exactly_the_limit_is_taken(path: str, backend: Backend) -> None:
    async with serving(path, backend, max_frame_bytes=4_096), peer(path) as client:
        frame = PING[:-1] + b" " * (4_096 - len(PING) + 1)
        assert len(frame) == 4_096
        assert (await client.ask(frame + b"\n"))["ok"] is True
        assert (await client.ask(frame + b" \n"))["ok"] is False


@pytest.mark.parametrize("line", [b"\n", b"{}\n", PING])
async def test_49_a_row_of_requests_lets_others_in_between(path: str, backend: Backend, line: bytes) -> None:
    async with serving(path, backend, max_unread_bytes=1 << 30) as server, peer(path) as honest:
        assert (await honest.ask(PING))["ok"] is True
        async with peer(path) as attacker:
            await attacker.say(line * 10_000)
            await until(lambda: any(connection._frames.waiting for connection in server.connections))
            assert (await honest.ask(PING))["ok"] is True
            assert any(connection._frames.waiting for connection in server.connections)


@pytest.mark.parametrize("start", [b"", b'{"do":"pi', PING + b"{"])
async def test_49_a_frame_that_does_not_arrive_ends_the_connection(
    path: str, backend: Backend, start: bytes
) -> None:
    async with serving(path, backend, half_frame_timeout=0.05) as server, peer(path) as client:
        await client.say(start)
        if start.startswith(PING):
            assert (await client.hear())["ok"] is True
        assert await client.hear() is None
        assert not server.connections
        await still_serves(path)


async def test_49_bytes_that_trickle_do_not_extend_the_time(path: str, backend: Backend) -> None:
    async with serving(path, backend, half_frame_timeout=0.2) as server, peer(path) as client:

        async def trickle() -> None:
            while True:
                await client.say(b" ")
                await asyncio.sleep(0.01)

        began = asyncio.get_running_loop().time()
        trickling = asyncio.create_task(trickle())
        assert await client.hear() is None
        trickling.cancel()
        assert asyncio.get_running_loop().time() - began > 0.1
        assert not server.connections


async def test_49_time_in_which_the_bus_itself_stood_still_is_held_against_nobody(
    path: str, backend: Backend
) -> None:
    async with serving(path, backend, half_frame_timeout=1) as server, peer(path) as client:
        await client.say(PING[:5])
        await until(lambda: any(connection._frames.begun for connection in server.connections))
        # More than a socket holds: it takes several reads after the standstill.
        client.writer.write(PING[5:-1] + b" " * 800_000 + b"\n")
        time.sleep(1.6)  # noqa: ASYNC251 - the standstill
        reply = await client.hear()
        assert reply is not None and reply["ok"]


async def test_a_client_that_has_asked_may_be_silent(path: str, backend: Backend) -> None:
    async with serving(path, backend, half_frame_timeout=0.02), peer(path) as client:
        assert (await client.ask(PING))["ok"] is True
        await asyncio.sleep(0.1)
        assert (await client.ask(PING))["ok"] is True


async def test_49_silent_connections_make_way_for_an_honest_one(path: str, backend: Backend) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(path, backend, max_connections=4))
        silent = [await stack.enter_async_context(peer(path)) for _ in range(40)]
        await still_serves(path)
        assert len(server.connections) <= 4
        assert await silent[0].hear() is None


async def test_too_many_busy_connections_are_told_so(path: str, backend: Backend) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(path, backend, max_connections=3))
        for _ in range(3):
            busy = await stack.enter_async_context(peer(path))
            assert (await busy.ask(PING))["ok"] is True
        late = await stack.enter_async_context(peer(path))
        reply = await late.hear()
        assert "too many connections" in reply["error"]["message"]
        assert await late.hear() is None
        assert (await busy.ask(PING))["ok"] is True
        busy.writer.close()
        await until(lambda: len(server.connections) < 3)
        await still_serves(path)


async def test_49_a_client_that_does_not_read_is_dropped(path: str, backend: Backend) -> None:
    async with serving(path, backend, max_unread_bytes=65_536) as server, peer(path) as client:
        client.reader._limit = 1  # type: ignore[attr-defined]
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.say(b'{"do":"publish_text","event_type":"a","payload":"50000"}\n' * 60)
        await until(lambda: backend.asked)
        await until(lambda: not server.connections)
        assert len(backend.asked) < 60
        await still_serves(path)


# --- streams --------------------------------------------------------------------------------


async def test_a_stream_answers_event_after_event(path: str, backend: Backend) -> None:
    async with serving(path, backend), peer(path) as client:
        assert await client.ask(b'{"do":"subscribe","pattern":"#"}\n') == {
            "ok": True,
            "result": {"stream": True},
        }
        (stream,) = backend.streams
        for number in range(3):
            stream.offer(event(number))
        assert [(await client.hear())["event"]["id"] for _ in range(3)] == [0, 1, 2]
        stream.close()
        assert (await client.ask(PING))["ok"] is True


async def test_a_slow_reader_of_a_stream_sees_a_counted_gap(path: str, backend: Backend) -> None:
    backend.stream_limit = 10
    async with serving(path, backend, max_unread_bytes=10_000_000) as server, peer(path) as client:
        await client.ask(b'{"do":"subscribe","pattern":"#"}\n')
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (stream,) = backend.streams
        for number in range(200):
            stream.offer(event(number, "x" * 20_000))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert server.connections
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen, missed = 0, 0
        while seen + missed < 200:
            item = await client.hear()
            if "gap" in item:
                missed += item["gap"]
            else:
                assert item["event"]["id"] == seen + missed
                seen += 1
        assert missed > 0
        assert seen + missed == 200


async def test_a_stream_ends_when_its_reader_goes(path: str, backend: Backend) -> None:
    async with serving(path, backend) as server:
        async with peer(path) as client:
            await client.ask(b'{"do":"subscribe","pattern":"#"}\n')
        await until(lambda: not server.connections)
        (stream,) = backend.streams
        assert [item async for item in stream] == []


async def test_stopping_ends_streams_and_running_requests(path: str, backend: Backend) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with serving(path, backend):
            streaming = await stack.enter_async_context(peer(path))
            await streaming.ask(b'{"do":"subscribe","pattern":"#"}\n')
            waiting = await stack.enter_async_context(peer(path))
            backend.gate.clear()
            await waiting.say(PING)
            await until(lambda: len(backend.asked) == 2)
        assert await streaming.hear() is None
        assert await waiting.hear() is None
        assert not os.path.lexists(path)


# --- noise ----------------------------------------------------------------------------------


def noise(rng: random.Random) -> bytes:
    """A valid frame, damaged in one of the ways that frames are damaged."""
    frame = bytearray(
        rng.choice(
            [
                PING[:-1],
                b'{"do":"get_event","event_id":%d}' % rng.randint(-5, 1 << 70),
                b'{"do":"publish","event_type":"a.b","payload":{"a":[1,2,{"b":null}]}}',
                b'{"do":"query_events","filter":"x","limit":3}',
                bytes(rng.randrange(256) for _ in range(rng.randint(0, 40))),
                json.dumps(
                    {"do": rng.choice(["ping", "get_state", 3, None, "ö"]), "x": rng.random()}
                ).encode(),
            ]
        )
    )
    for _ in range(rng.choice([0, 0, 1, 3])):
        if frame:
            place = rng.randrange(len(frame))
            match rng.randrange(3):
                case 0:
                    frame[place] = rng.randrange(256)
                case 1:
                    del frame[place]
                case 2:
                    frame[place:place] = frame[place : place + 5]
    return bytes(frame).replace(b"\n", b" ") + b"\n"


@pytest.mark.parametrize("seed", range(4))
async def test_50_every_frame_of_noise_gets_exactly_one_reply(
    path: str, backend: Backend, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    frames = [noise(rng) for _ in range(1_500)]
    async with serving(path, backend), peer(path) as client:
        stream = b"".join(frames)

        async def talk() -> None:
            place = 0
            while place < len(stream):
                size = rng.choice([1, 10, 100, 5_000])
                await client.say(stream[place : place + size])
                place += size

        talking = asyncio.create_task(talk())
        replies = [await client.hear() for _ in frames]
        await talking
        assert all(set(reply) in ({"ok", "result"}, {"ok", "error"}) for reply in replies)
        assert sum(reply["ok"] for reply in replies) <= len(backend.asked)
        assert (await client.ask(PING))["ok"] is True
    unexpected = [record for record in caplog.records if record.exc_info]
    assert {type(record.exc_info[1]) for record in unexpected if record.exc_info} <= {RuntimeError}


@pytest.mark.parametrize("seed", range(3))
async def test_50_clients_that_come_and_go_leave_nothing(path: str, backend: Backend, seed: int) -> None:
    rng = random.Random(seed)

    async def visit(behave: Callable[[Peer], Awaitable[None]]) -> None:
        with contextlib.suppress(ConnectionError):
            async with peer(path) as client:
                await behave(client)

    async def behaviour(client: Peer) -> None:
        for _ in range(rng.randint(0, 5)):
            await client.say(rng.choice([PING, noise(rng), b'{"do":"subscribe","pattern":"#"}\n', b"{", b""]))
            if rng.random() < 0.3:
                await asyncio.sleep(0)

    async with serving(path, backend, max_connections=10) as server:
        for _ in range(20):
            await asyncio.gather(*(visit(behaviour) for _ in range(15)))
        await until(lambda: not server.connections)
        await still_serves(path)


def test_a_reply_is_one_line_whatever_it_holds() -> None:
    encoded = msgspec.json.encode(event(1, "a\nb\r\u2028\x1b[31m"))
    assert b"\n" not in encoded and b"\x1b" not in encoded
