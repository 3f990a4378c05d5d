"""Publishes until it is told to stop, through every death of the bus, and notes what was accepted.

Run as ``python publisher.py SOCKET NAME ACKNOWLEDGED_FILE``; stops when stdin ends.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time


def main(path: str, name: str, acknowledged: str) -> None:
    number = 0
    with open(acknowledged, "a", buffering=1) as notes:
        while not _told_to_stop():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    connection.settimeout(5)
                    connection.connect(path)
                    while not _told_to_stop():
                        number += 1
                        size = number % 7
                        lines = [
                            json.dumps(
                                {
                                    "event_type": f"kill.{name}.t{number % 3}",
                                    "payload": {"name": f"{name}-{number}-{place}", "pid": os.getpid()},
                                    "priority": ("CRITICAL", "HIGH", "NORMAL", "LOW")[(number + place) % 4],
                                }
                            )
                            for place in range(size + 1)
                        ]
                        request = {"do": "publish_lines", "lines": lines}
                        connection.sendall(json.dumps(request).encode() + b"\n")
                        reply = b""
                        while not reply.endswith(b"\n"):
                            chunk = connection.recv(65_536)
                            if not chunk:
                                raise ConnectionResetError
                            reply += chunk
                        result = json.loads(reply)
                        if result["ok"] and not result["result"]["errors"]:
                            notes.write("".join(f"{name}-{number}-{place}\n" for place in range(size + 1)))
            except OSError:
                time.sleep(0.02)


def _told_to_stop() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
