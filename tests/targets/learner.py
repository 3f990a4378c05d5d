"""A process that learns from commands until it is killed: ``learner.py DATABASE``.

Prints the id of each accepted event.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.targets.learning import BATCH, LearningTarget
from tests.bus.helpers import open_bus, rules

WORK = ("git add", "git commit", "git push")
ROUTES = {"command.executed": ["learning"], "pattern.learned": []}


def learn(bus: EventBus) -> None:
    bus.add_target("learning", LearningTarget(bus.store, bus.publish).handle, batch_size=BATCH)
    bus.add_target("log", _accept, batch_size=BATCH)


async def _accept(batch: object) -> None:
    assert batch


async def main(path: Path) -> None:
    async with open_bus(path, learn, rules=rules(ROUTES, "learning")) as bus:
        for text in itertools.cycle(WORK):
            receipt = await bus.publish("command.executed", {"command": text, "session_id": "s"})
            print(receipt.id, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
