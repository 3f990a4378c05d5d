"""Removes old files from directories that a person named. Runs on a thread.

Nothing here follows a symbolic link: a directory is opened once, must not be a link itself, and all
that happens in it goes through that open descriptor.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from event_monitor.config import BACKUPS

_DAY = 86_400.0
_ROTATED = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """Which backups may be removed: files directly inside ``directories`` whose names match one of
    ``patterns``, once they are ``min_age_days`` old, save for the ``keep_newest`` of each directory.

    Raises ``ValueError`` for a directory that is relative, the root or a home, and for figures that
    would leave nothing.
    """

    directories: tuple[Path, ...] = ()
    min_age_days: float = 30.0
    keep_newest: int = 5
    patterns: tuple[str, ...] = BACKUPS

    def __post_init__(self) -> None:
        forbidden = {Path("/"), Path("~").expanduser()}
        for directory in self.directories:
            if not directory.is_absolute() or ".." in directory.parts or directory in forbidden:
                raise ValueError(
                    f"{directory} cannot be cleaned: name a directory of backups by its full path"
                )
        if not self.min_age_days > 0:
            raise ValueError(f"min_age_days is {self.min_age_days}: choose more than 0 days")
        if self.keep_newest < 1:
            raise ValueError(f"keep_newest is {self.keep_newest}: choose 1 or more")
        if not all(self.patterns):
            raise ValueError("a pattern of backup names is empty: write one such as *.tar.zst")


@dataclass(frozen=True, slots=True)
class Removed:
    """The files that are gone, their size in bytes, and what could not be done, in words."""

    files: tuple[Path, ...] = ()
    size: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.files + other.files, self.size + other.size, self.problems + other.problems)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    found: os.stat_result

    @property
    def age_from(self) -> float:
        """A copy keeps the time of its content: it is as young as its arrival."""
        return max(self.found.st_mtime, self.found.st_ctime)


def remove_backups(policy: BackupPolicy, now: float, stop: Callable[[], bool]) -> Removed:
    """Remove what ``policy`` lets go at ``now`` (epoch seconds), until ``stop`` answers true."""
    removed = Removed()
    for directory in dict.fromkeys(policy.directories):
        if not stop():
            removed += _clean(directory, lambda files: _old_backups(files, policy, now), stop)
    return removed


def remove_rotated_logs(
    log: Path, now: float, stop: Callable[[], bool], *, max_age_days: float, keep: int
) -> Removed:
    """Remove the old files of ``log`` (``events.jsonl.1`` ...) that are older than ``max_age_days``
    or numbered above ``keep``. ``log`` itself stays."""
    prefix = f"{log.name}."

    def choose(files: Sequence[_File]) -> list[_File]:
        return [
            file
            for file in files
            if file.name.startswith(prefix)
            and _ROTATED.fullmatch(number := file.name.removeprefix(prefix))
            and (int(number) > keep or file.found.st_mtime < now - max_age_days * _DAY)
        ]

    return _clean(log.parent, choose, stop) if log.parent.exists() else Removed()


def _old_backups(files: Sequence[_File], policy: BackupPolicy, now: float) -> list[_File]:
    backups = [
        file
        for file in files
        if not file.name.startswith(".")
        and any(fnmatchcase(file.name, pattern) for pattern in policy.patterns)
    ]
    backups.sort(key=lambda file: (file.found.st_mtime, file.name), reverse=True)
    oldest_kept = now - policy.min_age_days * _DAY
    return [file for file in backups[policy.keep_newest :] if file.age_from < oldest_kept]


def _clean(
    directory: Path, choose: Callable[[Sequence[_File]], list[_File]], stop: Callable[[], bool]
) -> Removed:
    removed = Removed()
    try:
        with _opened(directory) as place:
            for file in choose(list(_files(place))):
                if stop():
                    break
                removed += _remove(directory, place, file)
    except OSError as error:
        return removed + Removed(problems=(f"{directory} was not cleaned: {_cause(error)}",))
    return removed


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    if directory.is_symlink():
        raise NotADirectoryError("it is a symbolic link: name the directory itself")
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield place
    finally:
        os.close(place)


def _files(place: int) -> Iterator[_File]:
    """The regular files directly inside an open directory."""
    with os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield _File(entry.name, found)


def _remove(directory: Path, place: int, file: _File) -> Removed:
    """Remove a file if it still is the one that was chosen."""
    try:
        now = os.stat(file.name, dir_fd=place, follow_symlinks=False)
        if (now.st_dev, now.st_ino, now.st_mtime_ns) != (
            file.found.st_dev,
            file.found.st_ino,
            file.found.st_mtime_ns,
        ):
            return Removed()
        os.unlink(file.name, dir_fd=place)
    except FileNotFoundError:
        return Removed()
    except OSError as error:
        return Removed(problems=(f"{directory / file.name} was not removed: {_cause(error)}",))
    return Removed((directory / file.name,), file.found.st_size)


def _cause(error: OSError) -> str:
    return error.strerror or str(error)
