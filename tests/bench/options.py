"""What the command line decides for all benches."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.installed import NotInstalled, Peers

PEER_LOOPS = Path(__file__).with_name("peers")


@dataclass(frozen=True)
class Options:
    """``scratch`` is on a real disk; ``quick`` asks for short runs that only show that all works."""

    peers: Peers
    scratch: Path
    quick: bool = False

    def rounds(self, normal: int) -> int:
        """How many interleaved rounds to run."""
        return 1 if self.quick else normal

    def worker(self, module: str, *arguments: object) -> list[str]:
        """The command of one of our own workers in a directory of its own."""
        return [sys.executable, "-m", f"tests.bench.workers.{module}", "{directory}", *map(str, arguments)]

    def peer(self, name: str, loop: str, *arguments: object) -> list[str]:
        """The command of a peer's loop, likewise. Raises ``NotInstalled``."""
        return [
            self.peers.python(name), str(PEER_LOOPS / f"{loop}.py"), "{directory}", *map(str, arguments)
        ]  # fmt: skip

    def have(self, name: str) -> str | None:
        """Why a peer is missing, ``None`` if it is there."""
        try:
            self.peers.python(name)
        except NotInstalled as error:
            return f"not installed: {error}"
        return None
