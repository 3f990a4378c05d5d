"""Doing what a page says, as its reader would: files written, commands typed, beside a real bus."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.docs.pages import Block, Page
from tests.processes import Headless

LIMIT = 60.0
_PAUSE = 0.05


class Reader:
    """Goes through one page from top to bottom, in a directory of its own. The bus is started before the
    first command; Python modules in the directory can be named as handlers."""

    def __init__(self, page: Page, directory: Path) -> None:
        self._page = page
        self._directory = directory
        self._home = directory / "home"
        self._bus: Headless | None = None
        self._said = ""
        programs = Path(sys.executable).parent
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(directory),
            "EVENT_MONITOR_HOME": str(self._home),
        }

    def read(self) -> int:
        """Do everything that the page's marks say; answers how much that was."""
        done = 0
        try:
            for block in self._page.blocks:
                if block.mark is None or block.mark.startswith("not run"):
                    continue
                try:
                    self._do(block)
                except AssertionError as error:
                    raise AssertionError(f"{self._page.name}:{block.line}: {error}") from None
                done += 1
        finally:
            self._end()
        return done

    def _end(self) -> None:
        """End the bus; the next command starts it again."""
        if self._bus is not None:
            self._bus.stop()
            self._bus = None

    def _do(self, block: Block) -> None:
        what, _, rest = (block.mark or "").partition(" ")
        if what == "file":
            path = self._directory / rest
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(block.text)
            path.chmod(0o700)
        elif what == "run":
            self._said = self._shell(block.text)
        elif what == "python":
            self._said = self._run([sys.executable, "-c", block.text])
        elif what == "output":
            self._compare(block.text)
        elif what == "until":
            self._wait(rest)
        elif what == "restart":
            self._end()
        else:
            raise AssertionError(f"nobody knows what to do with {block.mark!r}")

    def _shell(self, script: str) -> str:
        if self._bus is None:
            self._bus = Headless(self._home, self._environment)
        return self._run(["bash", "-euo", "pipefail", "-c", script])

    def _run(self, command: list[str]) -> str:
        ended = subprocess.run(
            command,
            cwd=self._directory,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
        assert ended.returncode == 0, f"exit status {ended.returncode}: {ended.stdout}"
        return ended.stdout

    def _wait(self, condition: str) -> None:
        end = time.monotonic() + LIMIT
        while True:
            try:
                self._shell(condition)
                return
            except AssertionError as error:
                assert time.monotonic() < end, f"{condition} did not come true: {error}"
            time.sleep(_PAUSE)

    def _compare(self, wanted: str) -> None:
        """Each line in its order; others may stand between them."""
        at = 0
        for line in wanted.splitlines():
            pattern = ".*".join(map(re.escape, line.strip().split("...")))
            found = re.compile(pattern).search(self._said, at)
            assert found, f"{line!r} is missing in: {self._said}"
            at = found.end()
