"""persist-queue's SQLiteAckQueue: put, get, handle, ack. As shipped SQLite syncs each commit."""

import persistqueue
from common import PAYLOAD, arguments, loop
from persistqueue.serializers import json as as_json

directory, durability, seconds = arguments()
queue = persistqueue.SQLiteAckQueue(str(directory), multithreading=True, serializer=as_json)
if durability == "normal":
    for connection in {queue._putter, queue._getter}:
        connection.execute("PRAGMA synchronous = NORMAL")
handled = 0


def step(number):
    global handled
    queue.put(PAYLOAD)
    item = queue.get(block=False)
    handled += item["order"] > 0
    queue.ack(item)


loop(step, seconds)
assert handled > 0
queue.close()
