"""Real MCP servers from the registries, installed once into a cache directory.

``EVENT_MONITOR_PEERS`` names the directory; without it one in the system's temporary directory is used.
What cannot be installed is skipped, but with ``CI=true`` it fails.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL_LIMIT = 240
PYTHON_PEER = "mcp-server-time==2026.10.19"
NODE_PEERS = (
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
)


def time_server() -> list[str]:
    """The command of ``mcp-server-time``. Skips the test if it cannot be installed."""
    place = _installed("python", _install_python)
    return [str(place / "venv" / "bin" / "mcp-server-time"), "--local-timezone", "UTC"]


def node_server(name: str) -> list[str]:
    """The command of ``server-everything`` or ``server-filesystem``. Skips the test likewise."""
    place = _installed("node", _install_node)
    return [str(place / "node_modules" / ".bin" / f"mcp-{name}")]


def _install_python(place: Path) -> None:
    _run(sys.executable, "-m", "venv", str(place / "venv"))
    _run(str(place / "venv" / "bin" / "pip"), "install", "--quiet", PYTHON_PEER)


def _install_node(place: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    _run(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), *NODE_PEERS)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_LIMIT)


def _give_up(why: str) -> NoReturn:
    """Skip the test; where nothing may be skipped unseen, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def _said(error: OSError | subprocess.SubprocessError) -> str:
    output = getattr(error, "stderr", None) or b""
    return f"{error} {output.decode(errors='replace')[-500:]}".strip()


def _installed(name: str, install: Callable[[Path], None]) -> Path:
    default = Path(tempfile.gettempdir()) / f"event-monitor-peers-{os.getuid()}"
    place = Path(os.environ.get("EVENT_MONITOR_PEERS", default)) / name
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = place / "installed"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            try:
                install(place)
            except (OSError, subprocess.SubprocessError) as error:
                _give_up(f"the {name} servers cannot be installed here: {_said(error)}")
            done.touch()
    return place
