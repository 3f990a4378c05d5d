"""huey's SqliteHuey: enqueue, dequeue, execute. The row is deleted before the task runs, so it is
at most once. ``full`` is as shipped; ``normal`` sets the pragma on its connection."""

import logging

from common import PAYLOAD, arguments, loop
from huey import SqliteHuey

logging.disable(logging.CRITICAL)
directory, durability, seconds = arguments()
huey = SqliteHuey("bench", filename=str(directory / "huey.db"), results=False)
if durability == "normal":
    huey.storage.conn.execute("PRAGMA synchronous = NORMAL")
handled = 0


@huey.task()
def on_event(payload):
    global handled
    handled += payload["order"] > 0


def step(number):
    on_event(PAYLOAD)
    huey.execute(huey.dequeue())


loop(step, seconds)
assert handled > 0
