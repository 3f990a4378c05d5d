"""Unbuffered reading and writing of the standard streams."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1_048_576


def write(fd: int, data: bytes) -> bool:
    """Write all of ``data``; ``False`` if nobody reads it any more, or the stream is closed.

    Raises ``OSError`` for any other failure, such as a full disk."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        return False
    return True


def read_head(fd: int, limit: int) -> bytes:
    """Up to ``limit`` bytes, fewer only at the end of the stream."""
    parts = []
    while limit > 0 and (part := os.read(fd, min(limit, CHUNK))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def chunks(fd: int) -> Iterator[bytes]:
    """What is left of a stream, in pieces."""
    while part := os.read(fd, CHUNK):
        yield part
