"""The program's own log: ``logs/event-monitor.log``, rotated."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from collections.abc import Iterator
from pathlib import Path

from event_monitor.paths import HomePaths

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_BYTES = 1_048_576
_KEEP = 3


class _LogFile(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A line that the disk does not take is lost: on stderr it would tear the screen up."""


@contextlib.contextmanager
def log_to_file(paths: HomePaths) -> Iterator[None]:
    """Write the log to the home's file for the length of a block; nowhere while that cannot be
    written."""
    directory = Path(paths.logs)
    handler: logging.Handler = logging.NullHandler()
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _LogFile(
            directory / "event-monitor.log", maxBytes=_BYTES, backupCount=_KEEP, encoding="utf-8", delay=True
        )
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
