"""What the dashboard keeps over a restart: the last tab, filters, columns. Losing it costs nothing else."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from typing import Any

import msgspec

logger = logging.getLogger(__name__)

_MOST_BYTES = 1_000_000


class Memory:
    """Named JSON values, kept in a file of the home; without ``path`` only until the program ends.

    ``set`` takes effect at once and writes nothing: ``save`` does, from any thread, as a whole file or
    not at all. A file that cannot be read counts as empty."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._values = _read(path) if path is not None else {}
        self._saved = dict(self._values)

    def get(self, key: str, default: Any) -> Any:
        """What was kept under ``key``, if it is of the default's kind."""
        value = self._values.get(key, default)
        return value if default is None or isinstance(value, type(default)) else default

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value."""
        self._values[key] = value

    def beside(self, name: str) -> str | None:
        """The path of another file that is kept in the same place; ``None`` where nothing is kept."""
        return os.path.join(os.path.dirname(self._path), name) if self._path is not None else None

    @property
    def unsaved(self) -> bool:
        """Whether ``save`` has something to write."""
        return self._path is not None and self._values != self._saved

    def save(self) -> None:
        """Write what is new. A home that cannot be written is no reason to stop: it is logged."""
        if self._path is None or not self.unsaved:
            return
        values = dict(self._values)
        try:
            _write(self._path, msgspec.json.format(msgspec.json.encode(values)))
        except OSError as error:
            logger.warning("what the dashboard should remember cannot be written: %s", error)
        self._saved = values


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        logger.warning("%s cannot be read: %s", path, error)
        return {}


def _write(path: str, content: bytes) -> None:
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".dashboard.", dir=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
