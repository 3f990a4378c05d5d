"""Makes real git repositories for tests, with fixed dates and no configuration of the user's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

START = 1_700_000_000


class Repository:
    """A repository below a test's directory. Each commit is a minute later than the one before."""

    def __init__(self, path: Path, *init: str) -> None:
        self.path = path
        self._minute = 0
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *init)

    def git(self, *arguments: str) -> str:
        moment = f"{START + 60 * self._minute} +0200"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_DATE": moment,
            "GIT_COMMITTER_DATE": moment,
        }
        who = ("-c", "user.name=Ada Example", "-c", "user.email=ada@example.org")
        done = subprocess.run(
            ["git", "-C", str(self.path), *who, *arguments], env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, subject: str, **files: str | bytes) -> str:
        """Write ``files`` (``__`` in a name is a ``/``, ``_`` before the last word a dot) and commit."""
        for name, content in files.items():
            path = self.path / ".".join(name.replace("__", "/").rsplit("_", 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self._minute += 1
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", subject)
        return self.git("rev-parse", "HEAD")
