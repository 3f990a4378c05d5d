"""JSON-RPC lines: matched by id, robust against noise, pieces and late answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from event_monitor.services import mcp_wire
from event_monitor.services.base import ServiceDown
from event_monitor.services.mcp_wire import RpcError, Wire


class Peer:
    """The other end: keeps what was sent and answers by hand."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.wire = Wire(self._take)

    async def _take(self, line: bytes) -> None:
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        self.sent.put_nowait(json.loads(line))

    def say(self, **message: Any) -> None:
        self.wire.feed(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


async def asked(peer: Peer, method: str) -> tuple[asyncio.Task[Any], int]:
    task = asyncio.create_task(peer.wire.request(method))
    message = await peer.sent.get()
    assert message["method"] == method
    return task, message["id"]


async def test_answers_find_their_requests_in_any_order() -> None:
    peer = Peer()
    first, first_id = await asked(peer, "a")
    second, second_id = await asked(peer, "b")
    assert peer.wire.in_flight == 2
    peer.say(id=second_id, result=2)
    peer.say(id=first_id, result=1)
    assert (await first, await second) == (1, 2)
    assert peer.wire.in_flight == 0


async def test_bytes_may_come_in_any_pieces() -> None:
    peer = Peer()
    task, number = await asked(peer, "a")
    line = json.dumps({"jsonrpc": "2.0", "id": number, "result": "ü" * 10}).encode() + b"\n"
    for byte in line:
        peer.wire.feed(bytes([byte]))
    assert await task == "ü" * 10


async def test_noise_is_counted_and_passed_over() -> None:
    peer = Peer()
    task, number = await asked(peer, "a")
    noise = [
        b"Server listening...",
        b"{}",
        b"[]",
        b'{"id": 1, "result": 2}',
        b'{"jsonrpc": "2.0", "id": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"jsonrpc": "2.0", "id": [1], "method": 3}',
    ]
    peer.wire.feed(b"\n".join(noise) + b"\n\n  \n")
    peer.say(id=number, result="well")
    assert await task == "well"
    assert peer.wire.counters.noise == len(noise)


async def test_a_late_answer_is_dropped_and_the_server_told_of_the_timeout() -> None:
    peer = Peer()
    task, number = await asked(peer, "slow")
    task.cancel()
    await asyncio.wait([task])
    told = await peer.sent.get()
    assert (told["method"], told["params"]["requestId"]) == ("notifications/cancelled", number)
    peer.say(id=number, result="too late")
    assert peer.wire.counters.late == 1
    again, next_id = await asked(peer, "slow")
    assert next_id != number
    peer.say(id=next_id, result="in time")
    assert await again == "in time"


async def test_an_error_answer_is_the_servers_word() -> None:
    peer = Peer()
    task, number = await asked(peer, "server/discover")
    peer.say(id=number, error={"code": -32601, "message": "Method not found"})
    with pytest.raises(RpcError, match="Method not found") as raised:
        await task
    assert raised.value.code == -32601


async def test_the_end_of_the_connection_reaches_every_caller() -> None:
    peer = Peer()
    tasks = [(await asked(peer, name))[0] for name in "abc"]
    peer.wire.close("its process has ended")
    for task in tasks:
        with pytest.raises(ServiceDown, match="has ended"):
            await task
    with pytest.raises(ServiceDown, match="has ended"):
        await peer.wire.request("d")
    assert peer.wire.in_flight == 0


async def test_true_is_not_the_number_one() -> None:
    peer = Peer()
    task, number = await asked(peer, "a")
    assert number == 1
    peer.say(id=True, result="of nobody")
    peer.say(id=1, result="of a")
    assert await task == "of a"
    assert peer.wire.counters.late == 1


async def test_the_servers_own_requests_are_answered() -> None:
    peer = Peer()
    peer.say(id="s-1", method="ping")
    peer.say(id="s-2", method="roots/list")
    peer.say(method="notifications/tools/list_changed")
    first, second = await peer.sent.get(), await peer.sent.get()
    assert (first["id"], first["result"]) == ("s-1", {})
    assert (second["id"], second["error"]["code"]) == ("s-2", -32601)
    assert peer.wire.counters.notifications == 1


async def test_an_answer_of_megabytes_passes_and_one_without_end_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = Peer()
    task, number = await asked(peer, "big")
    peer.say(id=number, result="x" * 5_000_000)
    assert len(await task) == 5_000_000
    monkeypatch.setattr(mcp_wire, "MAX_LINE", 1_000)
    for _ in range(10):
        peer.wire.feed(b"y" * 400)
    peer.wire.feed(b"end\n" + b"z" * 2_000 + b"\n")
    assert peer.wire.counters.oversized == 2
    task, number = await asked(peer, "after")
    peer.say(id=number, result=True)
    assert await task is True
