"""The peers, each installed in a venv of its own below a cache directory, never beside our code."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS = {
    "bubus": ("bubus",),
    "persist-queue": ("persist-queue",),
    "litequeue": ("litequeue<0.10",),
    "huey": ("huey",),
    "anyio": ("anyio",),
    "pybreaker": ("pybreaker", "tornado"),
    "purgatory": ("purgatory",),
    "aiobreaker": ("aiobreaker",),
    "circuitbreaker": ("circuitbreaker",),
    "hyx": ("hyx",),
    "pyresilience": ("pyresilience",),
    "fluxgate": ("fluxgate",),
    "redress": ("redress",),
    "aioresilience": ("aioresilience",),
    "tenacity": ("tenacity",),
    "stamina": ("stamina",),
    "tenacity+aiobreaker": ("tenacity", "aiobreaker"),
    "textual": ("textual>=8.2.8,<9",),
    "toolong": ("toolong",),
    "posting": ("posting",),
    "memray": ("memray",),
}


class NotInstalled(Exception):
    """The peer could not be installed; the message is pip's last line."""


@dataclass(frozen=True)
class Peers:
    """Venvs below ``directory``, made when first asked for."""

    directory: Path

    def python(self, name: str) -> str:
        """The interpreter of the venv that holds the peer. Raises ``NotInstalled``."""
        venv = self.directory / name
        python = venv / "bin" / "python"
        complete = venv / "installed"
        if not complete.exists():
            print(f"installing {name} in {venv}", file=sys.stderr, flush=True)
            _run(sys.executable, "-m", "venv", "--clear", str(venv))
            _run(str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name])
            complete.touch()
        return str(python)

    def program(self, name: str) -> str:
        """The peer's console script. Raises ``NotInstalled``."""
        return str(Path(self.python(name)).with_name({"toolong": "tl"}.get(name, name)))

    def version(self, name: str) -> str:
        """The installed version, as pip's metadata says it."""
        code = f"from importlib.metadata import version; print(version({name!r}))"
        done = subprocess.run([self.python(name), "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()


def default_directory() -> Path:
    """``$XDG_CACHE_HOME/event-monitor-bench``, else the same below ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "event-monitor-bench"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(lines[-1] if lines else f"{command[0]}: exit {done.returncode}")
