"""What a chaos run says on stderr: a line a scenario, and on a terminal what is being done just now."""

from __future__ import annotations

import shutil
import sys
import time

from event_monitor.chaos.results import CascadeResult, ScenarioResult
from event_monitor.grammar.text import clip, plain

_OFTEN = 0.1
_NAMES = 22


class Progress:
    """``step`` is called as often as one likes, ``done`` once a scenario."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._name = ""
        self._live = sys.stderr.isatty()
        self._shown = 0.0

    def begin(self, name: str) -> None:
        """The next scenario begins."""
        self._number += 1
        self._name = name
        self._shown = 0.0

    def step(self, what: str, left: float) -> None:
        """Show what is being done, and how many seconds are left."""
        now = time.monotonic()
        if not self._live or now - self._shown < _OFTEN:
            return
        self._shown = now
        remaining = f"{left:3.0f} s left" if left else ""
        width = shutil.get_terminal_size().columns - 1
        self._write(clip(f"{self._head}  {remaining:10}  {what}", width), end="")

    def done(self, result: ScenarioResult) -> None:
        """A scenario has ended."""
        account = result.account
        if result.failures:
            said = f"FAILED  {result.failures[0]}"
        else:
            slowest = max(result.recoveries, default=0.0)
            said = f"passed  {account.delivered:,} of {account.accepted:,}, well in {slowest:.1f} s"
        self._write(plain(f"{self._head}  {result.seconds:4.1f} s  {said}"))

    def compared(self, result: CascadeResult) -> None:
        """The comparison has ended."""
        off, on, ratio = result.off.cascaded, result.on.cascaded, result.ratio
        share = f", {ratio:.0%}" if ratio is not None else ""
        verdict = "passed" if ratio is not None and ratio <= 0.5 else "FAILED"
        text = f"{off:,} failures spread without the layer, {on:,} with it{share}"
        self._write(plain(f"{self._head}  {result.seconds:4.1f} s  {verdict}  {text}"))

    def say(self, text: str) -> None:
        """A line of its own."""
        self._write(plain(text))

    @property
    def _head(self) -> str:
        return f"{self._number:2}/{self._total}  {self._name:{_NAMES}}"

    def _write(self, text: str, end: str = "\n") -> None:
        lead = "\r\x1b[K" if self._live else ""
        sys.stderr.write(f"{lead}{text}{end}")
        sys.stderr.flush()
