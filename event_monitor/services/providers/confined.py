"""Files below configured directories, and nothing else.

A path is walked from an open directory, one component at a time, and no symbolic link is followed on
the way: what is swapped for a link between two steps is refused by the kernel, not by a check that
came too early.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from event_monitor.services.base import CallerError, ServiceError

MAX_PATH_BYTES = 4_096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK keeps a pipe that was put in the file's place from blocking the thread.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """A path inside a root. ``parts`` are the components below it, none of them ``..``."""

    root: str
    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        return os.path.join(self.root, *self.parts)


class Roots:
    """The directories that may be used. A root itself may be reached through links: it is the user's."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.paths = tuple(dict.fromkeys(os.path.abspath(os.path.expanduser(root)) for root in roots))

    def locate(self, path: str) -> Place:
        """Where ``path`` lies; a relative one is below the first root. Raises ``CallerError`` for a
        path outside all roots, or one that no file can have."""
        if not self.paths:
            raise CallerError("no directory may be used; name some in fallback.roots")
        _check_text(path)
        wanted = os.path.normpath(os.path.join(self.paths[0], path))
        # normpath keeps the two slashes that POSIX allows at the start.
        wanted = "/" + wanted.lstrip("/")
        for root in self.paths:
            for spelling in (root, os.path.realpath(root)):
                if wanted == spelling:
                    return Place(root, ())
                if wanted.startswith(spelling.rstrip("/") + "/"):
                    below = wanted[len(spelling.rstrip("/")) + 1 :]
                    return Place(root, tuple(below.split("/")))
        raise CallerError(f"{path!r} is outside the directories of fallback.roots: {', '.join(self.paths)}")

    @contextlib.contextmanager
    def directory(self, place: Place) -> Iterator[int]:
        """A descriptor of the directory ``place``, closed at the end. Raises ``ServiceError``."""
        with told(place):
            descriptor = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in place.parts:
                with told(place):
                    inner = os.open(part, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def parent(self, place: Place) -> Iterator[tuple[int, str]]:
        """A descriptor of the directory that holds ``place``, and its name there."""
        if not place.parts:
            raise CallerError(f"{place.path!r} is a directory")
        with self.directory(Place(place.root, place.parts[:-1])) as descriptor:
            yield descriptor, place.parts[-1]

    @contextlib.contextmanager
    def file(self, place: Place) -> Iterator[int]:
        """A descriptor of the regular file ``place``, open for reading. Raises ``ServiceError``."""
        with self.parent(place) as (parent, name):
            descriptor = open_regular(parent, name, place)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def open_regular(parent: int, name: str, place: Place) -> int:
    """Open a regular file of a directory for reading. A device is not even opened, for that alone may
    do something. Raises ``ServiceError``."""
    with told(place):
        _check_regular(os.stat(name, dir_fd=parent, follow_symlinks=False), place)
        descriptor = os.open(name, _FILE, dir_fd=parent)
    try:
        _check_regular(os.fstat(descriptor), place)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_limited(descriptor: int, limit: int) -> bytes:
    """At most ``limit`` bytes from where the descriptor stands, whatever size the file claims."""
    pieces: list[bytes] = []
    left = limit
    while left and (piece := os.read(descriptor, min(left, 262_144))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def read_regular(path: str, limit: int) -> bytes:
    """The content of a file that need not be confined, at most ``limit`` bytes of it; a pipe or device
    is not waited for. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return read_limited(descriptor, limit)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def told(place: Place) -> Iterator[None]:
    """Turns the system's errors about ``place`` into ``ServiceError`` that says what is wrong."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = "is a symbolic link or passes through one or through a file; links are not followed"
        else:
            reason = f"cannot be used: {error.strerror}"
        raise ServiceError(f"{place.path!r} {reason}") from error


def _check_regular(status: os.stat_result, place: Place) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise ServiceError(f"{place.path!r} is a symbolic link; links are not followed")
    if not stat.S_ISREG(status.st_mode):
        raise ServiceError(f"{place.path!r} is not a regular file")


def _check_text(path: str) -> None:
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise CallerError(f"{path!r} cannot be the name of a file") from None
    if not path or b"\0" in encoded or len(encoded) > MAX_PATH_BYTES:
        raise CallerError(f"{path[:80]!r} cannot be the name of a file")
