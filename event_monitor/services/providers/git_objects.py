"""Reads git's objects, loose and packed, without git. Nothing is written, every size is bounded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from bisect import bisect_left
from types import TracebackType
from typing import Self

from event_monitor.services.base import ServiceError
from event_monitor.services.providers.confined import read_regular

MAX_OBJECT_BYTES = 16_000_000
MAX_PACKS = 1_000
MAX_DELTAS = 4_096
MAX_ALTERNATES = 16
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_INDEX_MAGIC = b"\xfftOc\x00\x00\x00\x02"
_HEADER = 8 + 256 * 4


class MissingObject(ServiceError):
    """The object is not there: the clone is shallow, partial or damaged."""


class ObjectStore:
    """The objects of one repository, open for one call: ``with ObjectStore(directory) as objects``."""

    def __init__(self, objects: str) -> None:
        self._directories = _with_alternates(objects)
        self._files = contextlib.ExitStack()
        self._packs: list[_Pack] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def read(self, sha: str, wanted: str) -> bytes:
        """The content of an object of the kind ``wanted``. Raises ``MissingObject``, and ``ServiceError``
        for one that is damaged, of another kind or larger than ``MAX_OBJECT_BYTES``."""
        kind, content = self.read_any(sha)
        if kind != wanted:
            raise ServiceError(f"{sha} is a {kind}, not a {wanted}")
        return content

    def read_any(self, sha: str) -> tuple[str, bytes]:
        """The kind and content of an object, checked against its name."""
        try:
            found = self._loose(sha) or self._packed(bytes.fromhex(sha))
        except (zlib.error, struct.error, IndexError, ValueError, OSError) as error:
            raise ServiceError(f"the object {sha} cannot be read: {error}") from error
        if found is None:
            raise MissingObject(f"the object {sha} is not in this clone")
        kind, content = found
        digest = hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False)
        if digest.hexdigest() != sha:
            raise ServiceError(f"the object {sha} is damaged")
        return kind, content

    def _loose(self, sha: str) -> tuple[str, bytes] | None:
        for directory in self._directories:
            try:
                packed = read_regular(os.path.join(directory, sha[:2], sha[2:]), MAX_OBJECT_BYTES)
            except FileNotFoundError:
                continue
            header, _, content = _inflate(packed, MAX_OBJECT_BYTES + 64).partition(b"\0")
            return header.split(b" ")[0].decode(), content
        return None

    def _packed(self, name: bytes) -> tuple[str, bytes] | None:
        if self._packs is None:
            self._packs = self._open_packs()
        for pack in self._packs:
            offset = pack.find(name)
            if offset is not None:
                return self._resolve(pack, offset)
        return None

    def _resolve(self, pack: _Pack, offset: int) -> tuple[str, bytes]:
        """An object of a pack, its deltas applied from the base upwards."""
        deltas: list[bytes] = []
        while True:
            kind, base, content = pack.entry(offset)
            if kind in _KINDS:
                found = _KINDS[kind], content
                break
            if len(deltas) >= MAX_DELTAS or sum(map(len, deltas)) > MAX_OBJECT_BYTES:
                raise ValueError("too many deltas")
            deltas.append(content)
            if isinstance(base, int):
                offset = base
                continue
            inside = pack.find(base)
            if inside is None:
                raise ValueError("a delta has its base outside its pack")
            offset = inside
        name, content = found
        for delta in reversed(deltas):
            content = apply_delta(content, delta)
        return name, content

    def _open_packs(self) -> list[_Pack]:
        packs: list[_Pack] = []
        for directory in self._directories:
            folder = os.path.join(directory, "pack")
            with contextlib.suppress(FileNotFoundError):
                for name in sorted(os.listdir(folder)):
                    if name.endswith(".idx") and len(packs) < MAX_PACKS:
                        packs.append(_Pack(os.path.join(folder, name[:-4]), self._files))
        return packs


class _Pack:
    """One pack and its index (version 2), both open as long as ``files``."""

    def __init__(self, path: str, files: contextlib.ExitStack) -> None:
        self._index = _opened(f"{path}.idx", files)
        self._pack = _opened(f"{path}.pack", files)
        header = os.pread(self._index, _HEADER, 0)
        if header[:8] != _INDEX_MAGIC:
            raise ValueError("an index of an unknown version")
        self._fanout = struct.unpack(">256I", header[8:])

    def find(self, name: bytes) -> int | None:
        """Where an object begins, if it is in this pack."""
        low = self._fanout[name[0] - 1] if name[0] else 0
        high = self._fanout[name[0]]
        names = os.pread(self._index, (high - low) * 20, _HEADER + low * 20)
        place = bisect_left(range(high - low), name, key=lambda at: names[at * 20 : at * 20 + 20])
        if place == high - low or names[place * 20 : place * 20 + 20] != name:
            return None
        total = self._fanout[255]
        offsets = _HEADER + total * 24
        offset = int(struct.unpack(">I", os.pread(self._index, 4, offsets + (low + place) * 4))[0])
        if offset < 1 << 31:
            return offset
        large = offsets + total * 4 + (offset & 0x7FFFFFFF) * 8
        return int(struct.unpack(">Q", os.pread(self._index, 8, large))[0])

    def entry(self, offset: int) -> tuple[int, int | bytes, bytes]:
        """Kind, base of a delta (an offset or a name) and content of what begins at ``offset``."""
        header = os.pread(self._pack, 64, offset)
        kind, at = header[0] >> 4 & 7, 1
        size, shift = header[0] & 15, 4
        while header[at - 1] & 0x80:
            size |= (header[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
        if size > MAX_OBJECT_BYTES:
            raise ValueError(f"it has more than {MAX_OBJECT_BYTES:,} bytes")
        base: int | bytes = 0
        if kind == _OFFSET_DELTA:
            distance = header[at] & 0x7F
            while header[at] & 0x80:
                at += 1
                distance = (distance + 1) << 7 | header[at] & 0x7F
            at += 1
            base = offset - distance
            if distance <= 0 or base < 0:
                raise ValueError("a delta has a base that cannot be")
        elif kind == _REFERENCE_DELTA:
            base, at = header[at : at + 20], at + 20
        elif kind not in _KINDS:
            raise ValueError("an entry of an unknown kind")
        # Deflate makes data that cannot be compressed a little longer.
        content = _inflate(os.pread(self._pack, size + size // 100 + 256, offset + at), size)
        if len(content) != size:
            raise ValueError("an entry is cut short")
        return kind, base, content


def _opened(path: str, files: contextlib.ExitStack) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    files.callback(os.close, descriptor)
    return descriptor


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """``base`` changed as ``delta`` says. Raises ``ValueError`` or ``IndexError`` for a damaged one."""
    length, at = _size(delta, 0)
    target, at = _size(delta, at)
    if length != len(base) or target > MAX_OBJECT_BYTES:
        raise ValueError("a delta does not fit its base")
    pieces: list[bytes] = []
    made = 0
    while at < len(delta):
        order, at = delta[at], at + 1
        if order & 0x80:
            values = [0] * 7
            for bit in range(7):
                if order >> bit & 1:
                    values[bit], at = delta[at], at + 1
            start = int.from_bytes(values[:4], "little")
            piece = base[start : start + (int.from_bytes(values[4:], "little") or 0x10000)]
        else:
            piece, at = delta[at : at + order], at + order
        if not piece or made + len(piece) > target:
            raise ValueError("a delta is damaged")
        pieces.append(piece)
        made += len(piece)
    if made != target:
        raise ValueError("a delta is cut short")
    return b"".join(pieces)


def _size(delta: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        byte, at = delta[at], at + 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return size, at


def _inflate(packed: bytes, limit: int) -> bytes:
    """Inflate at most ``limit`` bytes: a small file may claim to be a huge one."""
    content = zlib.decompressobj().decompress(packed, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def _with_alternates(objects: str) -> tuple[str, ...]:
    """The object directory and those it borrows from."""
    found = [objects]
    for directory in found:
        try:
            listed = read_regular(os.path.join(directory, "info", "alternates"), 65_536)
        except OSError:
            continue
        for line in os.fsdecode(listed).splitlines():
            path = os.path.normpath(os.path.join(directory, line))
            if line and not line.startswith("#") and path not in found and len(found) < MAX_ALTERNATES:
                found.append(path)
    return tuple(found)
