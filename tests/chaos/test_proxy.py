"""The proxy's own faults, each seen from both ends of a real connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from event_monitor.chaos.proxy import Address, Faults, FaultyProxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what it reads, and keeps it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.reads: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65_536):
                self.received += chunk
                self.reads.append(len(chunk))
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def behind_proxy(seed: int = 1) -> AsyncIterator[tuple[FaultyProxy, Echo, Streams]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with server:
        target: Address = ("127.0.0.1", server.sockets[0].getsockname()[1])
        async with FaultyProxy(target, rng=random.Random(seed)) as proxy:
            streams = await asyncio.open_connection("127.0.0.1", proxy.port)
            try:
                yield proxy, echo, streams
            finally:
                streams[1].close()


async def said(streams: Streams, text: bytes) -> bytes:
    reader, writer = streams
    writer.write(text)
    async with asyncio.timeout(10):
        return await reader.readexactly(len(text))


async def nothing_comes(reader: asyncio.StreamReader, seconds: float = 0.1) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return not await reader.read(1)
    except TimeoutError:
        return True


async def test_without_faults_all_passes_with_its_end() -> None:
    async with behind_proxy() as (proxy, echo, streams):
        text = random.Random(7).randbytes(500_000)
        assert await said(streams, text) == text
        streams[1].write_eof()
        assert await streams[0].read() == b""
        assert (bytes(echo.received), proxy.upstream.carried, proxy.downstream.carried) == (
            text,
            len(text),
            len(text),
        )


async def test_a_hang_holds_all_back_until_it_ends() -> None:
    async with behind_proxy() as (proxy, echo, streams):
        assert await said(streams, b"one") == b"one"
        proxy.spoil(Faults(hang=True))
        streams[1].write(b"two")
        assert await nothing_comes(streams[0])
        assert bytes(echo.received) == b"one"
        proxy.heal()
        assert await streams[0].readexactly(3) == b"two"


async def test_one_way_lets_requests_arrive_and_no_reply_back() -> None:
    async with behind_proxy() as (proxy, echo, streams):
        proxy.downstream.faults = Faults(hang=True)
        streams[1].write(b"do it")
        assert await nothing_comes(streams[0])
        assert bytes(echo.received) == b"do it"


async def test_latency_delays_each_piece_within_its_jitter() -> None:
    async with behind_proxy() as (proxy, _, streams):
        proxy.upstream.faults = Faults(latency=0.2, jitter=0.05)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await said(streams, b"late")
        assert loop.time() - started >= 0.14


async def test_the_slicer_sends_single_bytes() -> None:
    async with behind_proxy() as (proxy, echo, streams):
        proxy.spoil(Faults(slice_bytes=1))
        assert await said(streams, b"abcdefgh" * 8) == b"abcdefgh" * 8
        assert proxy.upstream.carried == len(echo.received) == 64


async def test_a_limit_ends_the_connection_after_so_many_bytes() -> None:
    async with behind_proxy() as (proxy, _, streams):
        proxy.downstream.faults = Faults(limit_bytes=5)
        streams[1].write(b"0123456789")
        async with asyncio.timeout(10):
            assert await streams[0].read() == b"01234"


async def test_a_limit_with_reset_tears_it_down() -> None:
    async with behind_proxy() as (proxy, echo, streams):
        proxy.upstream.faults = Faults(limit_bytes=5, reset=True)
        streams[1].write(b"0123456789")
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(10):
                while await streams[0].read(1):
                    pass
        assert bytes(echo.received) in (b"", b"01234")


async def test_open_connections_are_reset_and_new_ones_refused() -> None:
    async with behind_proxy() as (proxy, _, streams):
        await said(streams, b"up")
        assert proxy.connections == 1
        proxy.refuse = True
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            await streams[0].read(1)
        with pytest.raises(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"x")
            if await reader.read(1) == b"":
                raise ConnectionResetError
        proxy.heal()
        again = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(again, b"up again") == b"up again"
        again[1].close()


async def test_a_server_that_is_gone_is_a_reset() -> None:
    async with FaultyProxy(("127.0.0.1", 1)) as proxy:
        reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)


async def test_it_stands_before_a_unix_socket_too(tmp_path: Path) -> None:
    echo = Echo()
    path = str(tmp_path / "server")
    server = await asyncio.start_unix_server(echo.serve, path)
    async with server, FaultyProxy(path, listen=str(tmp_path / "proxy")) as proxy:
        streams = await asyncio.open_unix_connection(str(tmp_path / "proxy"))
        proxy.spoil(Faults(slice_bytes=1))
        assert await said(streams, b"line\n") == b"line\n"
        streams[1].close()


@pytest.mark.parametrize("wrong", [{"latency": -1}, {"jitter": -1}, {"slice_bytes": 0}, {"limit_bytes": -1}])
def test_senseless_faults_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Faults(**wrong)  # type: ignore[arg-type]
