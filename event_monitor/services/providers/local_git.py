"""``local_git``: branches, history and files read from a repository's own files, without git."""

from __future__ import annotations

import contextlib
import heapq
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from event_monitor.clock import to_iso
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.confined import read_regular
from event_monitor.services.providers.git_objects import MissingObject, ObjectStore
from event_monitor.services.providers.provider import (
    Stopped,
    count_argument,
    decoded,
    in_thread,
    refuse_operation,
    unwrapped,
)
from event_monitor.services.providers.repositories import (
    MAX_LOG,
    MAX_TEXT_BYTES,
    GitLayout,
    Repositories,
    git_layout,
    path_argument,
    reference_argument,
)

MAX_BRANCHES = 10_000
MAX_SYMBOLIC = 5
_PACKED_BYTES = 16_000_000
_SHA = re.compile(r"[0-9a-f]{40}")
_UNREADABLE = re.compile(r"^\s*(objectformat\s*=\s*sha256|refstorage\s*=\s*reftable)", re.I | re.M)
_PERSON = re.compile(r"(.*?) ?<[^>]*> (-?\d{1,12})(?: .*)?")
_PREFIXES = ("refs/", "refs/tags/", "refs/heads/", "refs/remotes/")

_Operation = Callable[["_Reader", Mapping[str, Any], Stopped], Any]


@dataclass(frozen=True, slots=True)
class _Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    authored: int
    committed: int
    message: str

    def shown(self) -> dict[str, Any]:
        subject = " ".join(self.message.strip("\n").split("\n\n")[0].split("\n"))
        date = to_iso(max(self.authored, 0))
        return {"sha": self.sha, "author": self.author, "date": date, "subject": subject}


class LocalGit:
    """Answers from loose and packed objects and refs. SHA-256 repositories and reftables are refused."""

    name = "local_git"

    def __init__(self, repositories: Sequence[str]) -> None:
        self._repositories = Repositories(repositories)
        self._operations: dict[str, _Operation] = {
            "list_branches": _branches,
            "branches": _branches,
            "list_commits": _log,
            "log": _log,
            "get_commit": _show,
            "show": _show,
            "get_file_contents": _contents,
            "read_file": _contents,
        }

    async def call(self, operation: str, /, **arguments: Any) -> Any:
        """Branches ``{"current", "branches": [{"name", "sha"}]}``, a log ``[{"sha", "author", "date",
        "subject"}]``, one commit, or a file's text. Raises ``CallerError`` and ``ServiceError``."""
        wanted, given = unwrapped(operation, arguments)
        work = self._operations.get(wanted)
        if work is None:
            raise refuse_operation(self.name, wanted, self._operations)
        found = work
        return await in_thread(lambda stopped: self._run(found, given, stopped))

    def _run(self, work: _Operation, arguments: Mapping[str, Any], stopped: Stopped) -> Any:
        path = self._repositories.find(arguments)
        layout = git_layout(path)
        if _UNREADABLE.search(_file(layout.common_dir, "config", 1_000_000)):
            raise ServiceError(f"{path!r} is stored in a form that only git itself can read")
        with ObjectStore(os.path.join(layout.common_dir, "objects")) as objects:
            return work(_Reader(layout, objects), arguments, stopped)


class _Reader:
    """Refs and commits of one repository."""

    def __init__(self, layout: GitLayout, objects: ObjectStore) -> None:
        self.layout = layout
        self.objects = objects
        self.packed = dict(_packed_refs(_file(layout.common_dir, "packed-refs", _PACKED_BYTES)))

    def head(self) -> str:
        return _file(self.layout.git_dir, "HEAD", 4_096).strip()

    def resolve(self, name: str) -> str:
        """The commit that a ref or a full hash names. Raises ``ServiceError``."""
        if _SHA.fullmatch(name):
            return self._peeled(name)
        if name == "HEAD":
            found = self._followed(self.head())
        else:
            tried = ([name] if name.startswith("refs/") else []) + [prefix + name for prefix in _PREFIXES]
            found = next((sha for ref in tried if (sha := self.sha(ref))), None)
        if found is None:
            raise ServiceError(f"there is no branch, tag or commit {name!r} (give a commit's full hash)")
        return self._peeled(found)

    def sha(self, ref: str) -> str | None:
        """What a full ref name points at, loose before packed."""
        return self._followed(f"ref: {ref}")

    def _followed(self, value: str) -> str | None:
        for _ in range(MAX_SYMBOLIC):
            if _SHA.fullmatch(value):
                return value
            ref = value.removeprefix("ref:").strip()
            if not ref.startswith("refs/") or ".." in ref or "\0" in ref:
                return None
            value = _file(self.layout.common_dir, ref, 4_096).strip() or self.packed.get(ref, "")
        return None

    def _peeled(self, sha: str) -> str:
        for _ in range(MAX_SYMBOLIC):
            kind, content = self.objects.read_any(sha)
            if kind != "tag":
                return sha
            sha = content[7:47].decode("ascii", "replace")
            if not _SHA.fullmatch(sha):
                break
        raise ServiceError("a tag points at no commit")

    def commit(self, sha: str) -> _Commit:
        return _parsed(sha, self.objects.read(sha, "commit").decode(errors="replace"))

    def history(self, start: str) -> Iterator[_Commit]:
        """Commits from ``start`` on, the newest first; a shallow clone's ends where it ends."""
        shallow = set(_file(self.layout.common_dir, "shallow", _PACKED_BYTES).split())
        seen = {start}
        first = self.commit(start)
        waiting = [(-first.committed, 0, first)]
        while waiting:
            commit = heapq.heappop(waiting)[2]
            yield commit
            for parent in () if commit.sha in shallow else commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    with contextlib.suppress(MissingObject):
                        found = self.commit(parent)
                        heapq.heappush(waiting, (-found.committed, len(seen), found))


def _branches(reader: _Reader, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
    names = {ref for ref in reader.packed if ref.startswith("refs/heads/")}
    top = os.path.join(reader.layout.common_dir, "refs", "heads")
    for directory, _, files in os.walk(top):
        below = os.path.relpath(directory, reader.layout.common_dir)
        names.update(f"{below}/{name}" for name in files if not name.endswith(".lock"))
        if len(names) > MAX_BRANCHES or stopped():
            raise ServiceError(f"there are more than {MAX_BRANCHES:,} branches")
    head = reader.head()
    current = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None
    found = [(name, reader.sha(name)) for name in sorted(names)]
    branches = [{"name": name.removeprefix("refs/heads/"), "sha": sha} for name, sha in found if sha]
    return {"current": current, "branches": branches}


def _log(reader: _Reader, arguments: Mapping[str, Any], stopped: Stopped) -> list[dict[str, Any]]:
    if arguments.get("path"):
        raise CallerError("local_git cannot follow one file's history")
    count = count_argument(arguments, "limit", "perPage", "per_page", default=30, most=MAX_LOG)
    found: list[dict[str, Any]] = []
    for commit in reader.history(reader.resolve(reference_argument(arguments))):
        found.append(commit.shown())
        if len(found) == count or stopped():
            break
    return found


def _show(reader: _Reader, arguments: Mapping[str, Any], stopped: Stopped) -> dict[str, Any]:
    commit = reader.commit(reader.resolve(reference_argument(arguments)))
    return {**commit.shown(), "parents": list(commit.parents), "message": commit.message.strip("\n")}


def _contents(reader: _Reader, arguments: Mapping[str, Any], stopped: Stopped) -> str:
    path = path_argument(arguments)
    sha = reader.commit(reader.resolve(reference_argument(arguments))).tree
    *directories, name = path.split("/")
    for directory in directories:
        sha = _entry(reader.objects.read(sha, "tree"), directory, path, {b"40000"})
    content = reader.objects.read(
        _entry(reader.objects.read(sha, "tree"), name, path, {b"100644", b"100755"}), "blob"
    )
    if len(content) > MAX_TEXT_BYTES:
        raise ServiceError(f"{path!r} is larger than {MAX_TEXT_BYTES:,} bytes")
    return decoded(content, path)


def _entry(tree: bytes, name: str, path: str, modes: set[bytes]) -> str:
    """The hash of a tree's entry. Raises ``ServiceError`` if there is none, or one of another mode."""
    wanted = name.encode(errors="replace")
    at = 0
    while at < len(tree):
        end = tree.find(b"\0", at)
        mode, _, found = tree[at:end].partition(b" ")
        if end < 0 or len(tree) < end + 21:
            break
        if found == wanted:
            if mode not in modes:
                raise ServiceError(f"{path!r} is not a file, or passes through what is no directory")
            return tree[end + 1 : end + 21].hex()
        at = end + 21
    raise ServiceError(f"{path!r} is not in this commit")


def _parsed(sha: str, text: str) -> _Commit:
    head, _, message = text.partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.split("\n"):
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value)
    author = _PERSON.fullmatch(fields.get("author", [""])[0])
    committer = _PERSON.fullmatch(fields.get("committer", [""])[0])
    parents = tuple(fields.get("parent", ()))
    tree = fields.get("tree", [""])[0]
    if author is None or committer is None or not all(map(_SHA.fullmatch, (tree, *parents))):
        raise ServiceError(f"the commit {sha} is damaged")
    return _Commit(sha, tree, parents, author[1], int(author[2]), int(committer[2]), message)


def _packed_refs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        sha, _, ref = line.partition(" ")
        if _SHA.fullmatch(sha) and ref:
            yield ref, sha


def _file(directory: str, name: str, limit: int) -> str:
    """A small file of git's, empty if there is none."""
    try:
        return read_regular(os.path.join(directory, name), limit).decode(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        if os.path.isdir(os.path.join(directory, name)):
            return ""
        raise ServiceError(f"{os.path.join(directory, name)!r} cannot be read: {error.strerror}") from error
