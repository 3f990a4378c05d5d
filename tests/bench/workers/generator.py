"""Publishes at a fixed rate over the control socket, whatever the bus does (open loop).

``python -m tests.bench.workers.generator SOCKET RATE SECONDS RESULT``. Above 1,000 a second the
events of one millisecond are due together and go in one request; 32 connections keep requests from
waiting for each other. One second of warm-up is not measured. Prints how many events were measured,
once all were acknowledged.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

from tests.bench.measure import PAYLOAD
from tests.processes import connect, exchange, read_line

CONNECTIONS = 32
WARM_UP = 1.0


class Publisher:
    """A pool of connections, each with at most one request under way."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free = [connect(path) for _ in range(CONNECTIONS)]
        self._busy: set[socket.socket] = set()
        for connection in self._free:
            # The bus ends a connection that has not asked anything within five seconds.
            exchange(connection, {"do": "ping"})

    def publish(self, events: list[dict[str, object]]) -> None:
        """Send one request on a free connection; wait for one if there is none."""
        self.collect(0)
        while not self._free:
            self.collect(None)
        connection = self._free.pop()
        request = {"do": "publish_lines", "lines": [json.dumps(event) for event in events]}
        connection.sendall(json.dumps(request).encode() + b"\n")
        self._busy.add(connection)

    def collect(self, timeout: float | None) -> None:
        """Take the replies that have come."""
        ready, _, _ = select.select(list(self._busy), [], [], timeout) if self._busy else ([], [], [])
        for connection in ready:
            reply = json.loads(read_line(connection))
            if not reply["ok"] or reply["result"]["errors"]:
                raise RuntimeError(f"refused: {reply}")
            self._busy.remove(connection)
            self._free.append(connection)

    def finish(self) -> None:
        """Wait until everything is acknowledged."""
        while self._busy:
            self.collect(None)
        for connection in self._free:
            connection.close()


def main(path: str, rate: int, seconds: float, result: str) -> None:
    publisher = Publisher(path)
    burst = max(1, rate // 1_000)
    interval = burst * 1_000_000_000 // rate
    begun = time.monotonic_ns() + 50_000_000
    warm = int(rate * WARM_UP)
    bursts = int(rate * (WARM_UP + seconds)) // burst
    for number in range(bursts):
        due = begun + number * interval
        if (ahead := due - time.monotonic_ns()) > 0:
            time.sleep(ahead / 1_000_000_000)
        kind = "probe.warm" if number * burst < warm else "probe.event"
        payload = {**PAYLOAD, "due": due, "sent": time.monotonic_ns()}
        publisher.publish([{"event_type": kind, "payload": payload}] * burst)
    publisher.finish()
    last = connect(path)
    exchange(last, {"do": "publish", "event_type": "probe.end", "payload": {"path": result}})
    last.close()
    print(json.dumps({"sent": bursts * burst - warm}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
