"""What the Dead letters tab asks the bus: a slow answer is waited for, not asked for again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from event_monitor.dashboard.dead_letters.reading import Reader
from event_monitor.dashboard.dead_letters.tree import DeadTree
from event_monitor.dashboard.link import BusLink
from event_monitor.messages import Message, QueryDeadGroups, QueryDeadLetters
from tests.dashboard.dead_letters_scene import DeadClient


class SlowLink:
    """Answers from fixed data, each kind of question only when its gate is open."""

    def __init__(self) -> None:
        self.gates = {kind: asyncio.Event() for kind in (QueryDeadGroups, QueryDeadLetters)}
        self.asked: list[Message] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._client = DeadClient()

    async def request(self, message: Message) -> Any:
        self.asked.append(message)
        gate = self.gates.get(type(message))  # type: ignore[call-overload]
        if gate is not None:
            await gate.wait()
        return await self._client.request(message)

    ask = request

    def work(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def rest(self) -> None:
        """Let everything run until it waits for a gate."""
        for _ in range(20):
            await asyncio.sleep(0)


async def test_a_slow_page_of_letters_is_asked_for_once() -> None:
    link, tree = SlowLink(), DeadTree()
    reader = Reader(cast(BusLink, link), tree, lambda: None)
    link.gates[QueryDeadGroups].set()
    reader.look()
    await link.rest()
    tree.unfold(1)
    for _ in range(5):
        reader.look()
        await link.rest()
    assert sum(isinstance(message, QueryDeadLetters) for message in link.asked) == 1
    link.gates[QueryDeadLetters].set()
    await asyncio.gather(*link.tasks)
    assert len(tree.members[1].letters) == 50


async def test_groups_are_shown_although_a_further_look_is_asked_for_but_none_of_another_filter() -> None:
    link, tree = SlowLink(), DeadTree()
    shown: list[int] = []
    reader = Reader(
        cast(BusLink, link), tree, lambda: shown.append(tree.found.total if tree.found is not None else 0)
    )
    reader.look()
    await link.rest()
    reader.look()
    link.gates[QueryDeadGroups].set()
    await asyncio.gather(*link.tasks)
    assert shown == [3, 3], "both looks, the second after the first"
    link.gates[QueryDeadGroups].clear()
    reader.filter("backup")
    await link.rest()
    reader.filter("command")
    link.gates[QueryDeadGroups].set()
    await asyncio.gather(*link.tasks)
    assert [message.words for message in link.asked if isinstance(message, QueryDeadGroups)] == [
        (),
        (),
        ("backup",),
        ("command",),
    ]
    assert shown == [3, 3, 1], "what passed the older filter was never shown"
