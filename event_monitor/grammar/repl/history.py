"""What was typed before, kept in a file of the home that the console and ``event-cli repl`` share.

A line of the file is one entry as a JSON text, so that an entry may have several lines. Entries are
appended in one write under a lock; a file that has grown is written anew with the newest of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence

import msgspec

from event_monitor.grammar.render import MASK
from event_monitor.grammar.repl.words import LineError, split
from event_monitor.redaction import redact

MAX_ENTRIES = 1_000
MAX_ENTRY = 16_384
_MAX_BYTES = 1_048_576
_ASSIGNS = frozenset("=: \t\n")

_LEFT_OUT = "(a line that may hold a secret)"

_decoder = msgspec.json.Decoder(str)


class History:
    """The entries, the oldest first. Without a path, or where it cannot be used, they last as long as
    this object; ``trouble`` says then why."""

    def __init__(self, path: str | None, mask: Sequence[str] = MASK) -> None:
        self.entries: list[str] = []
        self.trouble: str | None = None
        self._path = path
        self._mask = mask

    def load(self) -> None:
        """Read what is in the file now."""
        if self._path is None:
            return
        try:
            self.entries = _entries(_tail(self._path))
        except FileNotFoundError:
            self.entries = []
        except OSError as error:
            self._note(error)

    def add(self, line: str) -> None:
        """Remember a line, unless it begins with a space or is the last one again. In the file its
        secrets are masked; a line in which they cannot be told apart is not written there."""
        line = line.rstrip()
        if not line or line[0].isspace() or len(line) > MAX_ENTRY:
            return
        if self.entries and self.entries[-1] == line:
            return
        self.entries.append(line)
        del self.entries[:-MAX_ENTRIES]
        safe = without_secrets(line, self._mask)
        if safe is None or self._path is None:
            return
        try:
            _append(self._path, msgspec.json.encode(safe) + b"\n")
        except OSError as error:
            self._note(error)
        except UnicodeEncodeError:
            self.trouble = "the history was not kept: a line is not valid Unicode"

    def shown(self, count: int) -> list[str]:
        """The last entries as a screen may show them."""
        return [without_secrets(entry, self._mask) or _LEFT_OUT for entry in self.entries[-count:]]

    def _note(self, error: OSError) -> None:
        self.trouble = f"the history is not kept: {error.strerror or error}"


def without_secrets(line: str, mask: Sequence[str] = MASK) -> str | None:
    """A line with the secrets in its payloads masked; ``None`` where it may hold some that cannot be."""
    try:
        words = split(line)
    except LineError:
        return None if _speaks_of(line, mask) else line
    for word in reversed(words):
        if not word.text.startswith("{"):
            if _speaks_of(word.text, mask) and _ASSIGNS & set(word.text):
                return None
            continue
        try:
            value = msgspec.json.decode(word.text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            if _speaks_of(word.text, mask):
                return None
            continue
        masked = redact(value, mask)
        if masked != value:
            line = line[: word.start] + msgspec.json.encode(masked).decode() + line[word.end :]
    return line


def _speaks_of(text: str, mask: Sequence[str]) -> bool:
    flat = text.lower().replace("_", "").replace("-", "")
    return any(word.lower().replace("_", "").replace("-", "") in flat for word in mask)


def _tail(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with open(fd, "rb") as file:
        size = os.fstat(fd).st_size
        file.seek(max(0, size - 2 * _MAX_BYTES))
        return file.read(2 * _MAX_BYTES)


def _entries(data: bytes) -> list[str]:
    found: list[str] = []
    for line in data.split(b"\n")[-2 * MAX_ENTRIES :]:
        # A line that was damaged, or cut at the front, is none.
        with contextlib.suppress(msgspec.DecodeError, UnicodeError):
            found.append(_decoder.decode(line))
    return found[-MAX_ENTRIES:]


def _newest(entries: Sequence[str]) -> list[bytes]:
    """As many of the newest entries as fill half of the file."""
    kept: list[bytes] = []
    room = _MAX_BYTES // 2
    for entry in reversed(entries):
        line = msgspec.json.encode(entry) + b"\n"
        room -= len(line)
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _append(path: str, line: bytes) -> None:
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, 0o700, exist_ok=True)
    with _locked(path) as fd:
        os.write(fd, line)
        if os.fstat(fd).st_size > _MAX_BYTES:
            kept = _newest(_entries(_tail(path)))
            draft = f"{path}.new"
            with open(os.open(draft, _FLAGS | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(kept)
            os.rename(draft, path)


_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextlib.contextmanager
def _locked(path: str) -> Iterator[int]:
    """The file, opened for its owner alone and locked. One that was replaced meanwhile is opened again."""
    while True:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_still(path, fd):
                os.fchmod(fd, 0o600)
                yield fd
                return
        finally:
            os.close(fd)


def _is_still(path: str, fd: int) -> bool:
    try:
        return os.stat(path).st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False
