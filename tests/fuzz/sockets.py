"""The control socket before a whole runtime: frames cut, mixed and damaged over many connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from event_monitor.config import Settings, SocketSettings, StoreSettings
from event_monitor.messages import GetStats, Publish
from event_monitor.paths import HomePaths
from event_monitor.runtime import Runtime
from tests.fuzz.harness import Check, Target
from tests.fuzz.mutation import FRAGMENTS, damaged

MAX_FRAME = 4_096
_FRAMES = [
    b'{"do":"ping"}',
    b'{"do":"get_state","history":3}',
    b'{"do":"get_stats"}',
    b'{"do":"get_event","event_id":1}',
    b'{"do":"publish","event_type":"fuzz.one","payload":{"a":[1,"\xc3\xbc",null]},"priority":"LOW","ttl":5}',
    b'{"do":"publish_text","event_type":"fuzz.two","payload":"{\\"a\\":1}","key":"k"}',
    b'{"do":"publish_lines","lines":"{\\"event_type\\":\\"fuzz.three\\"}"}',
    b'{"do":"publish_hook","text":"{\\"hook_event_name\\":\\"Stop\\"}"}',
    b'{"do":"query_events","type":"fuzz.#","filter":"a+","since":"-5m","limit":5}',
    b'{"do":"query_dead_letters","limit":2,"newest_first":true}',
    b'{"do":"query_dead_groups","event_type":"fuzz.#","words":["a"]}',
    b'{"do":"start_retry_run","all":true,"rate":3.5}',
    b'{"do":"control_retry_run","run_id":1,"action":"stop"}',
    b'{"do":"correct_dead_letter","event_id":1,"payload":{"a":1}}',
    b'{"do":"resolve_route","event_type":"a.b"}',
    b'{"do":"query_breakers"}',
    b'{"do":"query_services"}',
    b'{"do":"query_alerts"}',
    b'{"do":"get_snapshot"}',
    b'{"do":"set_breaker","service":"log","action":"reset"}',
    b'{"do":"plan_replay","since":"-1h","type":"fuzz.#","filter":"a","speed":2.5}',
    b'{"do":"start_replay","since":"-1s","type":"fuzz.one","targets":["log"],"paused":true}',
    b'{"do":"control_replay","replay_id":1,"action":"step","count":2}',
    b'{"do":"query_replays"}',
    b'{"do":"get_histogram","since":"-1h","buckets":7}',
    b'{"do":"subscribe","pattern":"fuzz.#"}',
    b"",
]

Step = tuple[int, bytes]
"""A connection's number, and what it says."""


def _steps(rng: random.Random) -> list[Step]:
    said: list[list[bytes]] = []
    for _ in range(rng.randint(1, 4)):
        text = b"".join(
            damaged(rng, rng.choice(_FRAMES), [*_FRAMES, *FRAGMENTS], rng.choice((0, 1, 3)))
            + (b"\n" if rng.random() < 0.95 else b"")
            for _ in range(rng.randint(0, 4))
        )
        cuts = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(0, 3)))
        said.append([text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)])
    order = [number for number, pieces in enumerate(said) for _ in pieces]
    rng.shuffle(order)
    return [(number, said[number].pop(0)) for number in order]


@dataclass
class _World:
    """A runtime that serves a socket, for as long as the cases last."""

    runtime: Runtime
    path: str

    async def play(self, steps: list[Step]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            visitors: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
            said: dict[int, bytes] = {}
            for number, piece in steps:
                if number not in visitors:
                    visitors[number] = await asyncio.open_unix_connection(self.path, limit=1 << 24)
                    stack.callback(visitors[number][1].transport.abort)
                visitors[number][1].write(piece)
                said[number] = said.get(number, b"") + piece
                await asyncio.sleep(0)
            for number, (reader, writer) in visitors.items():
                with contextlib.suppress(OSError):
                    writer.write_eof()
                async with asyncio.timeout(30):
                    heard = await _until_the_end(reader)
                _judge(said[number], heard)

    async def still_works(self) -> None:
        # What the cases published may be on its way to the disk still.
        await self.runtime.bus.store.flush()
        before = (await self.runtime.handle(GetStats())).published
        await self.runtime.handle(Publish(event_type="fuzz.over"))
        assert (await self.runtime.handle(GetStats())).published == before + 1
        await self.play([(0, b'{"do":"ping"}\n')])
        async with asyncio.timeout(30):
            while self.runtime.server.connections:  # noqa: ASYNC110 - no event crosses a socket
                await asyncio.sleep(0.002)
        left = [task for task in asyncio.all_tasks() if task.get_name() == "control-connection"]
        assert not left, left


async def _until_the_end(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(1 << 20):
            heard += chunk
    return heard


def _judge(said: bytes, heard: bytes) -> None:
    """Each complete frame has one reply, in order; nothing after one that is too large."""
    *frames, rest = said.split(b"\n")
    replies: list[Any] = [json.loads(line) for line in heard.splitlines()]
    assert all("error" not in reply or "internal" not in reply["error"]["message"] for reply in replies)
    if max(map(len, [*frames, rest])) > MAX_FRAME:
        assert len(replies) <= len(frames) + 1
    elif {"ok": True, "result": {"stream": True}} not in replies:
        assert len(replies) == len(frames), (len(replies), len(frames))
        assert all(set(reply) in ({"ok", "result"}, {"ok", "error"}) for reply in replies)


@contextlib.contextmanager
def _serving() -> Iterator[Check]:
    with tempfile.TemporaryDirectory(prefix="em") as home, asyncio.Runner() as runner:
        paths = HomePaths(home)
        settings = Settings(
            socket=SocketSettings(max_frame_bytes=MAX_FRAME), store=StoreSettings(durability="normal")
        )
        runtime = runner.run(Runtime.start(paths, settings))
        world = _World(runtime, paths.socket)
        try:
            yield lambda steps: runner.run(world.play(steps))
            runner.run(world.still_works())
        finally:
            runner.run(runtime.stop())


SOCKET = Target("socket", _steps, _serving, 20)
