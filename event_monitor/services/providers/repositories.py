"""Which configured repository a call means, and where git keeps its files there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.confined import read_regular
from event_monitor.services.providers.provider import text_argument

MAX_LOG = 1_000
MAX_TEXT_BYTES = 1_000_000
_CONFIG_BYTES = 1_000_000
_URL = re.compile(r"^\s*url\s*=\s*(\S+)\s*$", re.MULTILINE)
_REFERENCE = re.compile(r"\w[\w./@+#-]{0,254}")


@dataclass(frozen=True, slots=True)
class GitLayout:
    """``git_dir`` holds HEAD, ``common_dir`` the objects and branches; they differ in a worktree."""

    git_dir: str
    common_dir: str


class Repositories:
    """The repositories that may be used."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(dict.fromkeys(os.path.abspath(os.path.expanduser(path)) for path in paths))

    def find(self, arguments: Mapping[str, Any]) -> str:
        """The path of the repository that ``repository`` (a path) or ``owner`` and ``repo`` name; the
        only one there is if nothing names it. Reads files. Raises ``CallerError`` if none fits."""
        if not self.paths:
            raise CallerError("no repository may be used; name some in fallback.repositories")
        wanted = text_argument(arguments, "repository", "repo_path", default="")
        repo = text_argument(arguments, "repo", default="")
        owner = text_argument(arguments, "owner", default="")
        if wanted:
            path = os.path.abspath(os.path.expanduser(wanted)) if "\0" not in wanted else ""
            fitting = [path] if path in self.paths else []
        elif repo:
            fitting = [path for path in self.paths if _is_of(path, owner, repo)]
        else:
            fitting = list(self.paths)
        if len(fitting) == 1:
            return fitting[0]
        told = wanted or "/".join(filter(None, (owner, repo))) or "the call"
        raise CallerError(
            f"{told!r} names {'more than one' if fitting else 'none'} of fallback.repositories: "
            f"{', '.join(self.paths)}"
        )


def git_layout(path: str) -> GitLayout:
    """Where a work tree, a linked work tree or a bare repository keeps its files. Raises
    ``ServiceError`` for a directory that is none of these."""
    git = os.path.join(path, ".git")
    if os.path.isdir(git):
        return GitLayout(git, git)
    if os.path.isfile(os.path.join(path, "HEAD")) and os.path.isdir(os.path.join(path, "objects")):
        return GitLayout(path, path)
    try:
        pointer = read_regular(git, 4_096).decode(errors="surrogateescape").strip()
    except OSError:
        pointer = ""
    if not pointer.startswith("gitdir: "):
        raise ServiceError(f"{path!r} is not a git repository")
    directory = os.path.join(path, pointer.removeprefix("gitdir: "))
    try:
        common = read_regular(os.path.join(directory, "commondir"), 4_096)
    except OSError:
        return GitLayout(directory, directory)
    return GitLayout(directory, os.path.join(directory, os.fsdecode(common).strip()))


def reference_argument(arguments: Mapping[str, Any], *names: str) -> str:
    """A branch, tag or commit that a call names, ``HEAD`` without one. Raises ``CallerError`` for what
    could be an option, a range or a path."""
    value = text_argument(arguments, *(names or ("ref", "sha", "branch")), default="HEAD")
    components = value.split("/")
    odd = ".." in value or "@{" in value or any(part.startswith(".") or not part for part in components)
    if odd or not _REFERENCE.fullmatch(value):
        raise CallerError(f"{value[:60]!r} is not the name of a branch, tag or commit")
    return value


def path_argument(arguments: Mapping[str, Any]) -> str:
    """A path inside a repository, relative and without ``..``. Raises ``CallerError``."""
    value = text_argument(arguments, "path").strip("/")
    if not value or "\0" in value or any(part in ("..", ".", "") for part in value.split("/")):
        raise CallerError(f"{value[:80]!r} is not a path inside a repository")
    return value


def _is_of(path: str, owner: str, repo: str) -> bool:
    """Whether a remote's address ends with ``owner/repo``; without an owner the directory's name will do."""
    if not owner and os.path.basename(path).removesuffix(".git").lower() == repo.lower():
        return True
    try:
        content = read_regular(os.path.join(git_layout(path).common_dir, "config"), _CONFIG_BYTES)
    except (OSError, ServiceError):
        return False
    wanted = f"{owner}/{repo}".lstrip("/").lower()
    for url in _URL.findall(content.decode(errors="replace")):
        address = url.lower().rstrip("/").removesuffix(".git")
        if re.split(r"[:/]", address)[-len(wanted.split("/")) :] == wanted.split("/"):
            return True
    return False
