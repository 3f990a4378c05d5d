"""Looks through a long history: by bare SELECT, by message, and by key in the Events tab.

``python -m tests.bench.workers.explorer DIRECTORY COUNT``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from event_monitor.messages import HistoryFilter, QueryHistory
from event_monitor.model import Status
from tests.dashboard.events_bus import Explorer, explorer

PAGE = 100
TIMES = 100
_SELECT = (
    "SELECT id, timestamp, event_type, payload, status, priority, source FROM events "
    "WHERE id < ? ORDER BY id DESC LIMIT ?"
)


async def timed(times: int, work: Callable[[], Awaitable[Any]]) -> list[float]:
    """Seconds of each of so many calls, after one that warms up."""
    await work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - begun)
    return taken


def figures(name: str, taken: list[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {
        f"{name}_median": statistics.median(ordered),
        f"{name}_p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
    }


async def by_message(found: Explorer, count: int, rng: random.Random) -> dict[str, float]:
    database = found.thread.ready.result().paths.database
    connection = sqlite3.connect(database)
    client = found.app.client
    scanned: dict[str, int] = {}

    async def select() -> None:
        for row in connection.execute(_SELECT, (rng.randint(PAGE, count), PAGE)).fetchall():
            json.loads(row[3])

    def query(name: str, **options: Any) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            before = rng.randint(count // 2, count)
            page = await client.request(QueryHistory(before_id=before, limit=PAGE, **options))
            scanned[name] = page.scanned

        return ask

    results: dict[str, float] = {}
    for name, work in (
        ("select", select),
        ("query", query("query")),
        ("type", query("type", where=HistoryFilter(types=("rare.find",)))),
        ("dead", query("dead", where=HistoryFilter(statuses=(Status.DEAD,)))),
        ("word", query("word", where=HistoryFilter(words=("nowhere",)))),
        ("regex", query("regex", where=HistoryFilter(regexes=("no[w]here",)))),
    ):
        results |= figures(name, await timed(TIMES, work))
    connection.close()
    return results | {f"{name}_scanned": float(scanned[name]) for name in ("word", "regex")}


async def by_key(found: Explorer, count: int, rng: random.Random) -> dict[str, float]:
    tab, pilot = found.tab, found.pilot
    held = 0

    async def until(condition: Callable[[], bool]) -> None:
        nonlocal held
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - as a person who waits for the page
                await asyncio.sleep(0)
        held = max(held, len(tab.window.rows))

    async def page_down() -> None:
        before, last = tab.list.selected_id, tab.window.rows[-1].id
        if before == last:
            # Faster than pages come: this key waits for the next one.
            await until(lambda: tab.window.rows[-1].id != last)
        tab.run("events_page_down")
        await until(lambda: tab.list.selected_id != before)

    async def jump() -> None:
        wanted = rng.randint(PAGE, count - PAGE)
        tab.go_to(wanted)
        await until(lambda: tab.list.place is not None and len(tab.list.shown_rows()) >= tab.list.page_rows)

    ends = {"now": "events_oldest"}

    async def to_end() -> None:
        tab.run(ends["now"])
        oldest = ends["now"] == "events_oldest"
        ends["now"] = "events_newest" if oldest else "events_oldest"
        await until(lambda: bool(tab.window.rows) and (tab.window.rows[-1].id == 1) == oldest)

    results: dict[str, float] = {}
    for name, work in (("page_down", page_down), ("jump", jump), ("ends", to_end)):
        results |= figures(name, await timed(TIMES, work))
        await pilot.pause()
    return results | {"rows_held": float(held)}


async def run(directory: Path, count: int) -> dict[str, float]:
    rng = random.Random(1)
    async with explorer(directory / "home", recorded=count) as found:
        await found.press("f")
        return await by_message(found, count, rng) | await by_key(found, count, rng)


if __name__ == "__main__":
    _, where, events = sys.argv
    print(json.dumps(asyncio.run(run(Path(where), int(events)))))
