"""litequeue: put, pop, handle, done. As shipped it sets synchronous = NORMAL."""

import json

from common import PAYLOAD, arguments, loop
from litequeue import LiteQueue

directory, durability, seconds = arguments()
queue = LiteQueue(str(directory / "queue.db"))
queue.conn.execute(f"PRAGMA synchronous = {durability.upper()}")
handled = 0


def step(number):
    global handled
    queue.put(json.dumps(PAYLOAD))
    message = queue.pop()
    handled += json.loads(message.data)["order"] > 0
    queue.done(message.message_id)


loop(step, seconds)
assert handled > 0
