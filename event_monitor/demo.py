"""Invented traffic for ``event-monitor --demo``: plausible, varied, and never on a real home."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from event_monitor.messages import Publish
from event_monitor.model import Priority
from event_monitor.runtime import Runtime

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
_SERVERS = ("filesystem", "github", "memory", "web_search")
_PROMPTS = (
    "fix the failing test",
    "add a command line flag",
    "why is the build slow?",
    "write the changelog",
)


class Demo:
    """Publishes invented events until it is cancelled: calm, with a burst or a failure now and then."""

    def __init__(self, runtime: Runtime, rng: random.Random | None = None) -> None:
        self._runtime = runtime
        self._random = rng or random.Random()

    async def run(self) -> None:
        """Publish for ever."""
        async for publish, pause in self._script():
            await self._runtime.handle(publish)
            await asyncio.sleep(pause)

    async def _script(self) -> AsyncIterator[tuple[Publish, float]]:
        rng = self._random
        yield _event("session.started", {"source": "startup", "cwd": "/home/demo/project"}), 0.3
        while True:
            kinds: list[Callable[[], Publish]] = [self._command, self._tool, self._call, self._prompt]
            mood = rng.random()
            if mood < 0.02:
                for _ in range(rng.randint(60, 160)):
                    yield self._tool(), 0.004
            elif mood < 0.035:
                server = rng.choice(_SERVERS)
                yield _event("mcp.server.down", {"service": server, "error": "connection closed"}), 0.6
                yield _event("mcp.server.up", {"service": server, "message": "answers again"}), 0.4
            elif mood < 0.045:
                yield _event("user.needed", {"message": "the assistant waits for your permission"}), 0.5
            elif mood < 0.055:
                yield _event("backup.completed", await asyncio.to_thread(self._backup)), 0.3
            elif mood < 0.06:
                yield _event("pattern.learned", self._pattern()), 0.3
            else:
                yield rng.choices(kinds, (5, 4, 4, 1))[0](), rng.expovariate(6.0)

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

    def _call(self) -> Publish:
        rng = self._random
        server = rng.choice(_SERVERS)
        payload: dict[str, Any] = {
            "tool_name": f"mcp__{server}__query",
            "tool_input": {"query": rng.choice(_PROMPTS)},
            "mcp_server": {"name": server, "source": "user"},
            "duration_ms": round(rng.lognormvariate(3.5, 0.8)),
        }
        if rng.random() < 0.05:
            return _event(
                "mcp.call.failed", {**payload, "error": f'MCP server "{server}" timed out after 3s'}
            )
        return _event("mcp.call.ok", payload)

    def _prompt(self) -> Publish:
        return _event("prompt.submitted", {"prompt": self._random.choice(_PROMPTS)}, Priority.HIGH)


def _event(event_type: str, payload: dict[str, Any], priority: Priority | None = None) -> Publish:
    return Publish(event_type=event_type, payload=payload, priority=priority, source=SOURCE)
