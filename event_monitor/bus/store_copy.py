"""Whole copies of a database: backups of a live one, putting one back, and writing it all anew.

A copy is made beside its place under a name of its own, checked, synced and then renamed, so that
whatever ends the process, at its place stands the old file or the new one, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from event_monitor.bus import schema
from event_monitor.bus.store_files import Moved, connect, looking_at, sync_directory
from event_monitor.errors import Conflict, InvalidRequest, StoreTooNew, StoreUnavailable

STEP_PAGES = 256
_CHUNK = 1_048_576


@dataclass(frozen=True, slots=True)
class Copied:
    """A finished copy: its size in bytes and SHA-256, and how many of its events wait for delivery."""

    size: int
    sha256: str
    pending: int


@dataclass(frozen=True, slots=True)
class Restored:
    """``aside`` is where the store went that stood there, ``None`` if none did."""

    pending: int
    events: int
    aside: Path | None


def back_up(source: Path, target: Path, moved: Moved) -> Copied:
    """Copy the database as it is at one moment. A writer may go on meanwhile; the write-ahead log grows
    until the copy is done. Raises ``Conflict`` if something stands at ``target``, ``InvalidRequest``,
    ``StoreUnavailable``, ``OSError``, and what ``moved`` raises; then there is no copy."""
    if not target.is_absolute() or not target.name:
        raise InvalidRequest(f"{target} is no full path of a file", "name the new file by its full path")
    if target.is_dir():
        raise InvalidRequest(f"{target} is a directory", "name the new file in it")
    if target.exists():
        raise _taken(target)
    with looking_at(source, any_version=True) as origin, _draft(target) as draft:
        _copy(origin, draft, moved)
        pending = _check_copy(draft)
        size, digest = _finish(draft)
        _place(draft, target)
    return Copied(size, digest, pending)


def restore(backup: Path, store: Path, moved: Moved) -> Restored:
    """Put a copy of ``backup`` in the store's place; what stood there is set aside. Nothing may have the
    store open. Raises as ``back_up`` does, ``StoreTooNew`` and ``InvalidRequest`` for what is no store."""
    if backup.exists() and store.exists() and backup.samefile(store):
        raise InvalidRequest(f"{backup} is the store itself", "name a backup of it")
    with looking_at(backup, any_version=True) as origin, _draft(store) as draft:
        _check_is_store(origin, backup)
        _copy(origin, draft, moved)
        pending = _check_copy(draft)
        with contextlib.closing(connect(draft)) as copy:
            schema.migrate_to_newest(copy)
            (events,) = copy.execute("SELECT COUNT(*) FROM events").fetchone()
            _keep_ids(copy, _highest_id(store))
        _finish(draft)
        # Also a log without its database must not stay: it would be taken for the new one's.
        aside = _set_aside(store) if store.exists() or Path(f"{store}-wal").exists() else None
        os.replace(draft, store)
        sync_directory(store.parent)
    return Restored(pending, events, aside)


def rewrite(store: Path, moved: Moved) -> tuple[int, int]:
    """Write the store anew without its free pages, and so that later ones can be given back bit by bit.
    Nothing else may have it open. Answers its size before and after, in bytes."""
    before = store.stat().st_size
    with _draft(store) as draft:
        draft.unlink()
        with contextlib.closing(connect(store)) as connection:
            schema.examine(connection, store)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.set_progress_handler(lambda: moved(0, 1), 1_000_000)
            connection.execute("VACUUM INTO ?", (str(draft),))
        os.chmod(draft, 0o600)
        _check_copy(draft)
        _finish(draft)
        if Path(f"{store}-wal").exists():
            raise Conflict(f"another process has {store} open", "end it, then try again")
        os.replace(draft, store)
        sync_directory(store.parent)
    return before, store.stat().st_size


# --- steps ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """An empty file of ours beside ``target`` that is gone afterwards, unless it was renamed. What a
    process that was killed left of the same target is removed first."""
    _remove_left_over(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}-{time.time_ns():x}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"{target} cannot be written: {error.strerror}", "name a file in a directory of yours with room"
        ) from error
    try:
        yield draft
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{draft}{suffix}").unlink(missing_ok=True)


def _remove_left_over(target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*-*.part*"):
        owner = left.name.removeprefix(f".{target.name}.").partition("-")[0]
        with contextlib.suppress(OSError):
            if owner.isdigit() and not _lives(int(owner)):
                left.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _copy(origin: sqlite3.Connection, draft: Path, moved: Moved) -> None:
    def progress(status: int, left: int, total: int) -> None:
        moved(total - left, total)

    # Without a transaction a copy would begin anew with each write of another connection.
    try:
        origin.execute("BEGIN")
        origin.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        with contextlib.closing(connect(draft)) as copy:
            copy.execute("PRAGMA synchronous = OFF")
            origin.backup(copy, pages=STEP_PAGES, progress=progress, sleep=0.0)
            # One file, whatever it is copied to next.
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        origin.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"the copy in {draft.parent} failed: {error}", "check the room there, and event-cli store check"
        ) from error


def _check_copy(draft: Path) -> int:
    """Raise ``StoreUnavailable`` unless the copy is sound; answer how many events it has pending."""
    with contextlib.closing(connect(draft)) as copy:
        (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StoreUnavailable(
                f"the copy is damaged, and so is what was copied: {verdict}", "see event-cli store check"
            )
        (pending,) = copy.execute("SELECT COUNT(*) FROM events WHERE status = 'pending'").fetchone()
    return int(pending)


def _check_is_store(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > schema.SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} has schema version {version}, this program knows {schema.SCHEMA_VERSION}",
            "restore it with the newer event-monitor",
        )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not version or not {"events", "deliveries", "counters"} <= tables:
        raise InvalidRequest(
            f"{path} is no backup of an event store", "name one made by event-cli store backup"
        )


def _finish(path: Path) -> tuple[int, str]:
    """Have a file reach the disk; answer its size and SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb+") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        os.fsync(file.fileno())
        return file.tell(), digest.hexdigest()


def _place(draft: Path, target: Path) -> None:
    """Rename without replacing anything."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        # A file system without links: somebody may be faster in this moment.
        if target.exists():
            raise _taken(target) from None
        os.rename(draft, target)
    sync_directory(target.parent)


def _taken(target: Path) -> Conflict:
    return Conflict(f"{target} exists already", "name a new file")


def _highest_id(store: Path) -> int:
    """The highest id that the store has given, 0 where it cannot be read."""
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect(store)) as connection:
        (newest,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()
        kept = connection.execute("SELECT value FROM counters WHERE name = 'highest_id'").fetchone()
        return max(int(newest), int(kept[0]) if kept else 0)
    return 0


def _keep_ids(copy: sqlite3.Connection, highest: int) -> None:
    """What the store gave an id since the backup was made keeps it for itself."""
    copy.execute(
        "INSERT INTO counters VALUES ('highest_id', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)",
        (highest,),
    )


def _set_aside(store: Path) -> Path:
    """Keep the present store under another name. Sound, it is one file that has both names until the
    other takes its place; else it goes with its companions."""
    if not store.exists():
        return schema.set_aside(store, "replaced")
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    aside = schema.aside_name(store, "replaced")
    try:
        if not Path(f"{store}-wal").exists():
            os.link(store, aside)
            return aside
    except OSError:
        pass
    return schema.set_aside(store, "replaced")
