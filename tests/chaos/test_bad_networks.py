"""Services and clients behind a bad network, in a real runtime over real sockets."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import msgspec
import pytest

from event_monitor import messages as m
from event_monitor.chaos.proxy import Faults, FaultyProxy
from event_monitor.config import BreakerSettings, RetrySettings, ServiceSettings, Settings, StoreSettings
from event_monitor.paths import HomePaths
from event_monitor.resilience.breaker import CircuitOpenError
from event_monitor.resilience.retry import RetriesExhausted
from event_monitor.resilience.timeouts import DeadlineExceeded, TimeoutManager
from event_monitor.runtime import Runtime
from event_monitor.services.base import ServiceError

pytestmark = pytest.mark.slow
CRITICAL_PATH = 5.0
PATIENT = BreakerSettings(failure_threshold=1_000, failure_rate=None)
TEXT = "a sentence that is long enough to be cut anywhere. " * 40


class WebServer:
    """Answers GET with a long text and POST as an MCP server, each on a connection of its own. What
    reached it whole is in ``heard``."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if head.startswith("get"):
                await self._say(writer, TEXT.encode(), "text/plain")
                return
            size = int(head.partition("content-length:")[2].split()[0])
            message = json.loads(await reader.readexactly(size))
            self.heard.append(message)
            answer = {"jsonrpc": "2.0", "id": message.get("id"), "result": self._result(message)}
            await self._say(writer, json.dumps(answer).encode(), "application/json")
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["method"] == "tools/call":
            return {"content": [{"type": "text", "text": TEXT}], "isError": False}
        return {"supportedVersions": ["2026-07-28"], "serverInfo": {"name": "web"}}

    async def _say(self, writer: asyncio.StreamWriter, body: bytes, kind: str) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


@asynccontextmanager
async def web_server() -> AsyncIterator[tuple[WebServer, int]]:
    web = WebServer()
    async with await asyncio.start_server(web.serve, "127.0.0.1", 0) as server:
        yield web, server.sockets[0].getsockname()[1]


@asynccontextmanager
async def running(home: Path, *services: ServiceSettings) -> AsyncIterator[Runtime]:
    settings = Settings(store=StoreSettings(durability="normal"), services=services)
    runtime = await Runtime.start(HomePaths(str(home)), settings)
    try:
        yield runtime
    finally:
        await runtime.stop()


def web_service(name: str, port: int, **given: Any) -> ServiceSettings:
    retry = RetrySettings(max_retries=0)
    return ServiceSettings(
        **{"name": name, "kind": "http", "url": f"http://127.0.0.1:{port}/", "retry": retry, **given}
    )


async def timed(call: Any) -> tuple[float, BaseException | None]:
    """How long it took, and what it raised."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        await call
    except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
        return loop.time() - started, error
    return loop.time() - started, None


async def p95_of(runtime: Runtime, name: str, calls: int) -> float:
    """The 95th percentile of so many calls, a few at a time, in seconds."""
    times = []
    for _ in range(calls // 4):
        for seconds, error in await asyncio.gather(
            *(timed(runtime.services[name].call("get")) for _ in range(4))
        ):
            assert error is None, error
            times.append(seconds)
    return quantiles(times, n=20)[18]


async def test_scenario_11_a_hanging_service_costs_its_callers_their_tier_and_nobody_else_anything(
    home: Path,
) -> None:
    """Not only those whose call hangs: those who wait for a place behind them are told as soon."""
    async with web_server() as (_, port), FaultyProxy(("127.0.0.1", port)) as proxy:
        hanging = ServiceSettings(name="hanging", kind="http", url=f"http://127.0.0.1:{proxy.port}/")
        async with running(home, hanging, web_service("other", port)) as runtime:
            guard = runtime.services["hanging"]
            await guard.call("get")
            before = await p95_of(runtime, "other", 200)
            proxy.spoil(Faults(hang=True))
            tiers = TimeoutManager()
            callers = [
                asyncio.create_task(timed(tiers.run(lambda: guard.call("get"), "critical_path")))
                for _ in range(40)
            ]
            await asyncio.sleep(0.2)
            assert (guard.bulkhead.busy, guard.bulkhead.waiting) == (10, 30)
            during = await p95_of(runtime, "other", 200)
            assert guard.bulkhead.busy == 10, "the callers gave up before the others were measured"
            outcomes = await asyncio.gather(*callers)
            for seconds, error in outcomes:
                assert isinstance(error, DeadlineExceeded | RetriesExhausted | CircuitOpenError), error
                assert CRITICAL_PATH / 1.2 <= seconds <= 1.1 * CRITICAL_PATH, seconds
            assert (guard.breaker.state, guard.bulkhead.busy) == ("OPEN", 0)
            assert during < 1.1 * before + 0.03, (before, during)
            at_once, error = await timed(guard.call("get"))
            assert isinstance(error, CircuitOpenError) and at_once < 0.1


BAD_LINES = {
    "reset within a frame": Faults(limit_bytes=700, reset=True),
    "ended within a frame": Faults(limit_bytes=700),
    "a byte at a time": Faults(slice_bytes=1),
    "3 s late, give or take one": Faults(latency=0.75, jitter=0.25),
}


@pytest.mark.parametrize("faults", BAD_LINES.values(), ids=BAD_LINES)
async def test_scenario_14_services_never_act_on_part_of_an_answer(home: Path, faults: Faults) -> None:
    cut = faults.limit_bytes is not None
    async with web_server() as (web, port), FaultyProxy(("127.0.0.1", port), rng=random.Random(14)) as proxy:
        tools = web_service("tools", proxy.port, kind="mcp", breaker=PATIENT)
        async with running(home, web_service("web", proxy.port, breaker=PATIENT), tools) as runtime:
            await runtime.services["tools"].call("read")
            proxy.downstream.faults = faults
            for name, operation in (("web", "get"), ("tools", "read")) * 3:
                seconds, error = await timed(call_whole(runtime, name, operation))
                assert isinstance(error, ServiceError) if cut else error is None, (name, error)
                assert seconds >= faults.latency - faults.jitter
            proxy.downstream.faults, proxy.upstream.faults = Faults(), faults
            for _ in range(3):
                _, error = await timed(runtime.services["tools"].call("read", text=TEXT))
                assert isinstance(error, ServiceError) if cut else error is None, error
            proxy.heal()
            assert (await runtime.services["tools"].call("read")).value["isError"] is False
        calls = [one for one in web.heard if one["method"] == "tools/call"]
        assert len(calls) == 1 + 3 + (0 if cut else 3) + 1


async def call_whole(runtime: Runtime, name: str, operation: str) -> None:
    """A call whose answer must be whole if there is one."""
    value = (await runtime.services[name].call(operation)).value
    assert value["body" if name == "web" else "content"] in (TEXT, [{"type": "text", "text": TEXT}])


async def publish_over(path: str, number: int) -> bool:
    """Publish one event on a connection of its own; answers whether it was acknowledged."""
    message = m.Publish(event_type="order.placed", payload={"number": number, "text": TEXT})
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(msgspec.json.encode(message) + b"\n")
        line = await reader.readline()
        writer.close()
    except OSError:
        return False
    return line.endswith(b"\n") and json.loads(line)["ok"]


async def test_scenario_14_the_bus_never_acts_on_part_of_a_request(home: Path, tmp_path: Path) -> None:
    rng = random.Random(14)
    async with running(home) as runtime:
        path = str(tmp_path / "spoilt")
        async with FaultyProxy(runtime.paths.socket, listen=path, rng=rng) as proxy:
            acknowledged = set()
            number = 0
            for _ in range(60):
                proxy.heal()
                way = rng.choice((proxy.upstream, proxy.downstream))
                way.faults = Faults(limit_bytes=rng.randrange(2_400), reset=rng.random() < 0.5)
                numbers = range(number, number + 4)
                number += 4
                answers = await asyncio.gather(*(publish_over(path, one) for one in numbers))
                acknowledged |= {one for one, answer in zip(numbers, answers, strict=True) if answer}
            proxy.spoil(Faults(slice_bytes=1))
            assert await publish_over(path, number)
            acknowledged.add(number)
        await runtime.bus.settled()
        page = await runtime.handle(m.QueryEvents(type="order.placed", limit=1_000))
        stored = Counter(event.payload["number"] for event in page.events)
        assert all(event.payload["text"] == TEXT for event in page.events)
        assert acknowledged <= set(stored), "an acknowledged event is not there"
        assert set(stored.values()) == {1}
        assert 0 < len(stored) < number, "no request was cut"
        counters = runtime.bus.store.counters
        assert counters["accepted"] == counters["delivered"]
