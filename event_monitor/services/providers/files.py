"""``local_fs`` and ``readonly_fs``: files below the configured roots, without the file service."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from event_monitor.clock import to_iso
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.confined import (
    Place,
    Roots,
    open_regular,
    read_limited,
    told,
)
from event_monitor.services.providers.provider import (
    Stopped,
    count_argument,
    decoded,
    in_thread,
    refuse_operation,
    text_argument,
    unwrapped,
)

MAX_FILE_BYTES = 1_000_000
MAX_FILES_READ = 20
MAX_ENTRIES = 10_000
MAX_WALKED = 100_000
MAX_DEPTH = 64
MAX_MATCHES = 1_000
MAX_PATTERN = 200

_KINDS = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISLNK, "link"))

_Operation = Callable[[Mapping[str, Any], Stopped], Any]


class LocalFiles:
    """Reads below ``roots``, and writes there if ``writable``. Answers are text for one file, else
    JSON values; nothing larger than ``MAX_FILE_BYTES`` is read or written at once."""

    def __init__(self, roots: Sequence[str], *, writable: bool, name: str = "local_fs") -> None:
        self.name = name
        self._roots = Roots(roots)
        self._operations: dict[str, _Operation] = {
            "read_file": self._read,
            "read_text_file": self._read,
            "read_multiple_files": self._read_many,
            "list_directory": self._list,
            "search_files": self._search,
            "get_file_info": self._info,
            "list_allowed_directories": lambda arguments, stopped: list(self._roots.paths),
        }
        self._writes: dict[str, _Operation] = {
            "write_file": self._write,
            "create_directory": self._create_directory,
        }
        self._writable = writable

    async def call(self, operation: str, /, **arguments: Any) -> Any:
        """One of the file service's operations. Raises ``CallerError`` and ``ServiceError``."""
        wanted, given = unwrapped(operation, arguments)
        found = self._operations.get(wanted)
        if found is None and wanted in self._writes:
            if not self._writable:
                raise CallerError(f"{self.name} changes nothing: {wanted} is refused")
            found = self._writes[wanted]
        if found is None:
            known = {*self._operations, *(self._writes if self._writable else ())}
            raise refuse_operation(self.name, wanted, known)
        work = found
        return await in_thread(lambda stopped: work(given, stopped))

    def _place(self, arguments: Mapping[str, Any], default: str | None = None) -> Place:
        return self._roots.locate(text_argument(arguments, "path", default=default))

    def _read(self, arguments: Mapping[str, Any], stopped: Stopped) -> str:
        place = self._place(arguments)
        head = count_argument(arguments, "head", default=0, most=1_000_000)
        tail = count_argument(arguments, "tail", default=0, most=1_000_000)
        if head and tail:
            raise CallerError("head and tail cannot both be given")
        with self._roots.file(place) as descriptor, told(place):
            size = os.fstat(descriptor).st_size
            if tail and size > MAX_FILE_BYTES:
                os.lseek(descriptor, size - MAX_FILE_BYTES, os.SEEK_SET)
            content = read_limited(descriptor, MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES and not head and not tail:
            raise ServiceError(
                f"{place.path!r} is larger than {MAX_FILE_BYTES:,} bytes; ask for its head or tail lines"
            )
        cut = size > len(content) or len(content) > MAX_FILE_BYTES
        if cut:
            content = _whole_lines(content[:MAX_FILE_BYTES], drop_first=bool(tail))
        text = decoded(content, place.path)
        lines = list(io.StringIO(text))
        if cut and len(lines) < (head or tail):
            raise ServiceError(
                f"that many lines of {place.path!r} are larger than {MAX_FILE_BYTES:,} bytes; ask for fewer"
            )
        if head:
            return "".join(lines[:head])
        return "".join(lines[-tail:]) if tail else text

    def _read_many(self, arguments: Mapping[str, Any], stopped: Stopped) -> list[dict[str, str]]:
        paths = arguments.get("paths")
        if not isinstance(paths, list | tuple) or not all(isinstance(path, str) for path in paths):
            raise CallerError("paths must be a list of texts")
        if len(paths) > MAX_FILES_READ:
            raise CallerError(f"at most {MAX_FILES_READ} files are read at once")
        found = []
        for path in paths:
            try:
                found.append({"path": path, "text": self._read({"path": path}, stopped)})
            except (CallerError, ServiceError) as error:
                found.append({"path": path, "error": str(error)})
        return found

    def _list(self, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
        place = self._place(arguments, ".")
        entries: list[dict[str, str]] = []
        with self._roots.directory(place) as descriptor, told(place), os.scandir(descriptor) as found:
            for entry in found:
                if len(entries) == MAX_ENTRIES or stopped():
                    return {"entries": _by_name(entries), "truncated": True}
                entries.append({"name": entry.name, "type": _entry_kind(entry)})
        return {"entries": _by_name(entries), "truncated": False}

    def _search(self, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
        place = self._place(arguments, ".")
        pattern = text_argument(arguments, "pattern")
        if not pattern or len(pattern) > MAX_PATTERN:
            raise CallerError(f"pattern must have 1 to {MAX_PATTERN} characters")
        folded = pattern.casefold() if any(sign in pattern for sign in "*?[") else f"*{pattern.casefold()}*"
        matches: list[str] = []
        for count, (inner, _) in enumerate(walk(self._roots, place)):
            if count == MAX_WALKED or len(matches) == MAX_MATCHES or stopped():
                return {"matches": sorted(matches), "truncated": True}
            below = "/".join(inner.parts[len(place.parts) :]).casefold()
            if fnmatch.fnmatchcase(below, folded) or fnmatch.fnmatchcase(inner.parts[-1].casefold(), folded):
                matches.append(inner.path)
        return {"matches": sorted(matches), "truncated": False}

    def _info(self, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
        place = self._place(arguments)
        if not place.parts:
            with self._roots.directory(place) as descriptor:
                status = os.fstat(descriptor)
        else:
            with self._roots.parent(place) as (parent, name), told(place):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        return {
            "path": place.path,
            "type": _kind(status.st_mode),
            "size": status.st_size,
            "modified": to_iso(max(status.st_mtime, 0.0)),
            "permissions": f"{stat.S_IMODE(status.st_mode):03o}",
        }

    def _write(self, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
        place = self._place(arguments)
        try:
            content = text_argument(arguments, "content").encode()
        except UnicodeEncodeError:
            raise CallerError("content is not Unicode text") from None
        if len(content) > MAX_FILE_BYTES:
            raise CallerError(f"content is larger than {MAX_FILE_BYTES:,} bytes")
        with self._roots.parent(place) as (parent, name), told(place):
            _replace(parent, name, content, place, stopped)
        return {"path": place.path, "bytes": len(content)}

    def _create_directory(self, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
        place = self._place(arguments)
        for depth in range(1, len(place.parts) + 1):
            step = Place(place.root, place.parts[:depth])
            with self._roots.parent(step) as (parent, name), told(step), contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=parent)
        with self._roots.directory(place):
            return {"path": place.path}


def walk(roots: Roots, start: Place) -> Iterator[tuple[Place, str]]:
    """Everything below ``start`` with its kind, breadth first, in the order of names; links are shown,
    not followed.
    A directory that cannot be read, or lies deeper than ``MAX_DEPTH``, is passed over."""
    with roots.directory(start):
        pending = [start]
    for directory in pending:
        try:
            with roots.directory(directory) as descriptor, told(directory), os.scandir(descriptor) as found:
                entries = sorted((entry.name, _entry_kind(entry)) for entry in _some(found))
        except ServiceError:
            continue
        for name, kind in entries:
            place = Place(directory.root, (*directory.parts, name))
            yield place, kind
            if (
                kind == "directory"
                and len(place.parts) - len(start.parts) < MAX_DEPTH
                and len(pending) < MAX_WALKED
            ):
                pending.append(place)


def _some(found: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    for _, entry in zip(range(MAX_WALKED), found, strict=False):
        yield entry


def _replace(parent: int, name: str, content: bytes, place: Place, stopped: Stopped) -> None:
    """Write aside and rename: a reader sees the old or the new file, and a hard link keeps the old one."""
    mode = 0o644
    try:
        descriptor = open_regular(parent, name, place)
    except ServiceError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
    else:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777
        os.close(descriptor)
    temporary = f".event-monitor-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if stopped():
            raise ServiceError(f"{place.path!r} was not written: the caller has gone")
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        raise


def _whole_lines(content: bytes, drop_first: bool) -> bytes:
    if drop_first:
        return content.partition(b"\n")[2]
    return content[: content.rfind(b"\n") + 1]


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "special")


def _entry_kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "special"


def _by_name(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(entries, key=lambda entry: entry["name"])
