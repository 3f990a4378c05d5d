"""The writing end of the spool: what could not be handed to a running bus, kept for the next one.

Imports ``os`` and ``time`` only, for ``event-cli hook``. ``event_monitor.control.spool`` reads.

The layout is a maildir's: an entry is written to ``tmp/``, synced, and renamed into ``new/``, so a
reader sees whole entries only. A name is ``<nanoseconds:020d>-<pid>-<random hex>.<kind>``: names sort
by age. The kinds are ``event`` (a ``publish_text`` message as JSON), ``hook`` (an assistant's hook
input as it came) and ``lines`` (one JSON event a line).
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("event", "hook", "lines")


def entry_name(kind: str) -> str:
    """A fresh name for an entry. It also makes the idempotency key, so that the same input sent
    to a bus that died before it answered, and spooled then, is accepted once."""
    return f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(8).hex()}.{kind}"


def entry_key(name: str) -> str:
    """The idempotency key that belongs to an entry's name."""
    return f"spool:{name}"


def write_entry(directory: str, name: str, chunks: Iterable[bytes]) -> None:
    """Store one entry, on disk when this returns. Directories are made for their owner alone.

    Raises ``OSError`` if it cannot be written; nothing is left behind then.
    """
    new = os.path.join(directory, "new")
    tmp = os.path.join(directory, "tmp")
    _make_private(new)
    _make_private(tmp)
    draft = os.path.join(tmp, name)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            for chunk in chunks:
                _write_all(fd, chunk)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(draft, os.path.join(new, name))
    except BaseException:
        os.unlink(draft)
        raise
    _sync_directory(new)


def _make_private(path: str) -> None:
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent != path:
            _make_private(parent)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            # Another writer was first, unless something else stands in the way.
            if not os.path.isdir(path):
                raise


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
