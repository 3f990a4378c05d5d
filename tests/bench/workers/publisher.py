"""Publishes one event after the other over the control socket, each when it is due.

``python -m tests.bench.workers.publisher SOCKET RATE SECONDS``. Prints percentiles of the time from
sending a request to its reply, which comes when the event is on disk, and of the time since it was due.
"""

from __future__ import annotations

import json
import sys
import time

from tests.bench.measure import PAYLOAD, percentiles
from tests.processes import connect, exchange


def main(path: str, rate: int, seconds: float) -> None:
    took: list[float] = []
    late: list[float] = []
    with connect(path) as connection:
        begun = time.monotonic() + 0.05
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            if (ahead := due - time.monotonic()) > 0:
                time.sleep(ahead)
            sent = time.monotonic()
            reply = exchange(connection, {"do": "publish", "event_type": "bench.event", "payload": PAYLOAD})
            done = time.monotonic()
            if not reply["ok"]:
                raise RuntimeError(f"refused: {reply}")
            took.append(done - sent)
            late.append(done - due)
    print(
        json.dumps({**percentiles(took), "due_p99_ms": percentiles(late)["p99_ms"], "events": len(took)}),
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
