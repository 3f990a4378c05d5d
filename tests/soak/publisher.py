"""One of the publishers: mixed traffic until stdin ends, through every death of the bus.

Run as ``python -m tests.soak.publisher SOCKET HOME NAME LEDGER RATE SEED``. Whatever the bus (or, while
there is none, the spool) has taken is a line of the ledger, written after the answer came and before the
next request. An answer that does not come is asked for again under the same idempotency keys.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 10.0
AGAIN = 0.1
TTL = 3.0
# Type of the events, how many of a hundred requests, and of how many events one is.
MIX = (
    ("soak.order.new", 40, 1),
    ("soak.order.batch", 6, 40),
    ("soak.flaky", 12, 3),
    ("soak.slow", 12, 2),
    ("soak.brief", 10, 2),
    ("soak.chain", 4, 1),
    ("soak.much", 8, 6),
    ("soak.tool", 1, 1),
    ("hook", 7, 1),
)
PRIORITIES = ("CRITICAL", "HIGH", "NORMAL", "NORMAL", "NORMAL", "LOW", None)
# Of a hundred requests, how many are made by a process of their own: event-cli, as scripts and hooks do.
BY_PROCESS = 1
# Of the events for the flaky target, the share that it can hardly take.
POISONED = 0.01
# How many requests follow each other without a pause now and then, and how often that is.
FLOOD, FLOODS = 40, 0.001


class Entry(NamedTuple):
    """One accepted event. ``way`` is how it came in, ``took`` the seconds until the answer was there."""

    name: str
    event_type: str
    way: str
    at: float
    took: float


class Publisher:
    """Makes requests at a rate and writes down what was accepted."""

    def __init__(self, path: str, home: str, name: str, ledger: Path, rate: float, seed: int) -> None:
        self._path = path
        self._home = home
        self._name = name
        self._rng = random.Random(f"{seed}-{name}")
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._connection: socket.socket | None = None
        self._number = 0
        mean = sum(share * (count + 1) / 2 for _, share, count in MIX) / 100
        self._pause = mean / rate
        # A publisher that was killed begins anew with names that nobody had.
        self._run = f"{name}.{os.getpid()}"

    def run(self) -> None:
        """Publish until stdin ends."""
        due = time.monotonic()
        flood = 0
        while not _told_to_stop(max(0.0, due - time.monotonic())):
            kind, _, most = self._rng.choices(MIX, [share for _, share, _ in MIX])[0]
            self._request(kind, self._rng.randint(1, most))
            flood = flood - 1 if flood else FLOOD * (self._rng.random() < FLOODS)
            due = max(due + self._rng.uniform(0, 2) * self._pause, time.monotonic() - 1.0)
            if flood:
                due = time.monotonic()

    def _request(self, kind: str, count: int) -> None:
        events = [self._event(kind) for _ in range(count)]
        if self._rng.random() * 100 < BY_PROCESS:
            self._by_process(events[0])
        elif kind == "hook":
            text = json.dumps(events[0]["payload"])
            self._send([events[0]], {"do": "publish_hook", "text": text, "key": events[0]["key"]})
        elif count == 1:
            self._send(events, {"do": "publish", **events[0]})
        else:
            self._send(events, {"do": "publish_lines", "lines": [json.dumps(one) for one in events]})

    def _event(self, kind: str) -> dict[str, Any]:
        self._number += 1
        name = f"{self._run}-{self._number}"
        payload: dict[str, Any] = {"name": name, "at": time.time(), "text": "x" * self._rng.randint(0, 400)}
        if kind == "hook":
            payload |= {
                "hook_event_name": "PostToolUse",
                "session_id": self._run,
                "tool_name": "Bash",
                "tool_input": {"command": self._rng.choice(("git add .", "git commit", "make", "pytest"))},
                "tool_response": {"exit_code": 0},
            }
            return {"event_type": "command.executed", "payload": payload, "key": name}
        if kind == "soak.flaky" and self._rng.random() < POISONED:
            payload["poison"] = True
        event = {"event_type": kind, "payload": payload, "key": name, "source": self._name}
        priority = self._rng.choice(PRIORITIES)
        if priority is not None and kind != "soak.much":
            event["priority"] = priority
        if kind == "soak.brief":
            event["ttl"] = TTL
        return event

    # --- over a connection of its own -------------------------------------------------------

    def _send(self, events: list[dict[str, Any]], request: dict[str, Any]) -> None:
        """Ask until there is an answer, or nobody wants to know any more."""
        begun = time.monotonic()
        while True:
            try:
                reply = self._exchange(request)
            except OSError:
                self._hang_up()
                if _told_to_stop(AGAIN):
                    return
                continue
            if not reply["ok"]:
                if reply["error"]["code"] in ("bus_closed", "store_unavailable", "busy"):
                    if _told_to_stop(AGAIN):
                        return
                    continue
                self._refused(str(reply["error"]))
                return
            errors = reply["result"].get("errors", [])
            if errors:
                self._refused(str(errors[0]))
                return
            self._note(events, request["do"], time.monotonic() - begun)
            return

    def _exchange(self, request: dict[str, Any]) -> Any:
        if self._connection is None:
            self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._connection.settimeout(PATIENCE)
            self._connection.connect(self._path)
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            chunk = self._connection.recv(65_536)
            if not chunk:
                raise ConnectionResetError
            reply += chunk
        return json.loads(reply)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- by a process -----------------------------------------------------------------------

    def _by_process(self, event: dict[str, Any]) -> None:
        """As a script or an assistant's hook: it succeeds whether or not there is a bus."""
        command = [sys.executable, "-m", "event_monitor.cli", "--home", self._home]
        payload = json.dumps(event["payload"])
        begun = time.monotonic()
        if event["event_type"] == "command.executed":
            command += ["hook"]
            given = payload
        else:
            given = ""
            command += ["publish", event["event_type"], payload, "--key", event["key"]]
            if "ttl" in event:
                command += ["--ttl", str(event["ttl"])]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            self._refused(f"event-cli {command[5]}: exit {done.returncode}: {done.stderr.strip()}")
            return
        self._note([event], f"event-cli {command[5]}", time.monotonic() - begun)

    # --- the ledger -------------------------------------------------------------------------

    def _note(self, events: list[dict[str, Any]], way: str, took: float) -> None:
        now = time.time()
        lines = [
            json.dumps(Entry(one["payload"]["name"], one["event_type"], way, now, round(took, 6)))
            for one in events
        ]
        os.write(self._ledger, "".join(f"{line}\n" for line in lines).encode())

    def _refused(self, why: str) -> None:
        print(f"{self._name}: refused: {why}", file=sys.stderr, flush=True)


def read_ledger(path: Path) -> list[Entry]:
    """What a publisher was told is accepted."""
    return [Entry(*json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _told_to_stop(seconds: float) -> bool:
    """Wait; whether stdin has ended meanwhile."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    _path, _home, _name, _ledger, _rate, _seed = sys.argv[1:]
    Publisher(_path, _home, _name, Path(_ledger), float(_rate), int(_seed)).run()
