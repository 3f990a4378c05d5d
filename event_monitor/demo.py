"""Invented traffic for ``event-monitor --demo``: plausible, varied, and never on a real home.

The services that it calls are real servers, so their calls, failures, breakers and states are too.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from event_monitor.demo_services import NAMES, InventedServices
from event_monitor.messages import Publish
from event_monitor.model import Priority
from event_monitor.resilience import (
    BulkheadFull,
    BulkheadTimeout,
    CircuitOpenError,
    DeadlineExceeded,
    FallbacksExhausted,
    RetriesExhausted,
)
from event_monitor.runtime import Runtime
from event_monitor.services.base import ServiceError

_FAILURES = (
    *(ServiceError, CircuitOpenError, RetriesExhausted, FallbacksExhausted),
    *(BulkheadFull, BulkheadTimeout, DeadlineExceeded, OSError),
)
SOURCE = "demo"
_COMMANDS = (
    "git status",
    "git diff --stat",
    "pytest -q",
    "npm test",
    "ls -la src",
    "rg TODO",
    "make build",
    "docker ps",
)
_FILES = ("src/app.py", "README.md", "tests/test_app.py", "package.json", "docs/guide.md")
_PROMPTS = (
    "fix the failing test",
    "add a command line flag",
    "why is the build slow?",
    "write the changelog",
)


class Demo:
    """Publishes invented events and calls ``services`` until it is cancelled: calm, with a burst or a
    failure now and then."""

    def __init__(
        self, runtime: Runtime, services: InventedServices, rng: random.Random | None = None
    ) -> None:
        self._runtime = runtime
        self._services = services
        self._random = rng or random.Random()

    async def run(self) -> None:
        """Publish and call for ever."""
        async with asyncio.TaskGroup() as together:
            together.create_task(self._services.run())
            for name in NAMES:
                together.create_task(self._call_often(name))
            async for publish, pause in self._script():
                await self._runtime.handle(publish)
                await asyncio.sleep(pause)

    async def _call_often(self, name: str) -> None:
        """What an assistant does: call, and tell the bus how it went."""
        rng = self._random
        while True:
            await asyncio.sleep(rng.expovariate(0.7))
            guard = self._runtime.services.get(name)
            if guard is None:
                continue
            started = asyncio.get_running_loop().time()
            error = ""
            try:
                await guard.call("get")
            except _FAILURES as failure:
                error = str(failure)
            seconds = asyncio.get_running_loop().time() - started
            await self._runtime.handle(self._called(name, seconds, error))

    async def _script(self) -> AsyncIterator[tuple[Publish, float]]:
        rng = self._random
        yield _event("session.started", {"source": "startup", "cwd": "/home/demo/project"}), 0.3
        while True:
            kinds: list[Callable[[], Publish]] = [self._command, self._tool, self._prompt]
            mood = rng.random()
            if mood < 0.02:
                for _ in range(rng.randint(60, 160)):
                    yield self._tool(), 0.004
            elif mood < 0.03:
                yield _event("user.needed", {"message": "the assistant waits for your permission"}), 0.5
            elif mood < 0.04:
                yield _event("backup.completed", await asyncio.to_thread(self._backup)), 0.3
            elif mood < 0.05:
                yield _event("pattern.learned", self._pattern()), 0.3
            else:
                yield rng.choices(kinds, (5, 4, 1))[0](), rng.expovariate(4.0)

    def _pattern(self) -> dict[str, Any]:
        support = self._random.randint(3, 20)
        return {"name": "edit-test-commit", "support": support, "confidence": 0.8, "lift": 3.0}

    def _backup(self) -> dict[str, Any]:
        """A real file in the throw-away home, so that its verification has something to verify."""
        path = Path(self._runtime.paths.home) / "backup.tar"
        content = self._random.randbytes(4_096)
        path.write_bytes(content)
        return {"path": str(path), "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def _command(self) -> Publish:
        rng = self._random
        command = rng.choice(_COMMANDS)
        payload: dict[str, Any] = {
            "tool_name": "Bash",
            "tool_input": {"command": command},
            "duration_ms": round(rng.lognormvariate(4.5, 1.0)),
        }
        if rng.random() < 0.08:
            return _event("command.failed", {**payload, "error": f"Exit code {rng.randint(1, 2)}"})
        return _event("command.executed", payload)

    def _tool(self) -> Publish:
        rng = self._random
        name = rng.choice(("Read", "Edit", "Grep"))
        path = rng.choice(_FILES)
        return _event(
            "tool.executed",
            {"tool_name": name, "tool_input": {"file_path": path}, "duration_ms": rng.randint(1, 40)},
        )

    def _called(self, server: str, seconds: float, error: str) -> Publish:
        payload: dict[str, Any] = {
            "tool_name": f"mcp__{server}__query",
            "tool_input": {"query": self._random.choice(_PROMPTS)},
            "mcp_server": {"name": server, "source": "user"},
            "duration_ms": round(seconds * 1_000),
        }
        if error:
            return _event("mcp.call.failed", {**payload, "error": error})
        return _event("mcp.call.ok", payload)

    def _prompt(self) -> Publish:
        return _event("prompt.submitted", {"prompt": self._random.choice(_PROMPTS)}, Priority.HIGH)


def _event(event_type: str, payload: dict[str, Any], priority: Priority | None = None) -> Publish:
    return Publish(event_type=event_type, payload=payload, priority=priority, source=SOURCE)
