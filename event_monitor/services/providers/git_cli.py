"""``git_cli``: the repository questions of a code host, answered by git from a local clone.

Git is told to run nothing on a repository's behalf: no hook, filter, pager, external diff, text
conversion, file system monitor, credential helper or transport.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from event_monitor.clock import to_iso
from event_monitor.process_group import signal_group, start_group
from event_monitor.services.base import CallerError, ServiceError
from event_monitor.services.providers.provider import (
    count_argument,
    decoded,
    in_thread,
    refuse_operation,
    text_argument,
    unwrapped,
)
from event_monitor.services.providers.repositories import (
    MAX_LOG,
    MAX_TEXT_BYTES,
    Repositories,
    path_argument,
    reference_argument,
)

TIMEOUT = 10.0
MAX_OUTPUT_BYTES = 4_000_000
MAX_FOUND = 500
_ERROR_BYTES = 4_096
_REAP_AFTER = 2.0
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "color.ui": "false",
    "log.showSignature": "false",
    "protocol.allow": "never",
    "credential.helper": "",
}
_COMMIT = "%H%x00%an%x00%at%x00%s"

_Operation = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


class GitCli:
    """Asks git, without a shell. Each run may take ``timeout`` seconds, then its group is killed."""

    name = "git_cli"

    def __init__(self, repositories: Sequence[str], *, timeout: float = TIMEOUT) -> None:
        self._repositories = Repositories(repositories)
        self._timeout = timeout
        self._operations: dict[str, _Operation] = {
            "list_branches": self._branches,
            "branches": self._branches,
            "list_commits": self._log,
            "log": self._log,
            "get_commit": self._show,
            "show": self._show,
            "get_file_contents": self._contents,
            "read_file": self._contents,
            "search_code": self._grep,
            "grep": self._grep,
            "status": self._status,
            "diff": self._diff,
        }

    async def call(self, operation: str, /, **arguments: Any) -> Any:
        """Answers as ``LocalGit`` does, and knows ``status``, ``diff`` and ``search_code`` besides.
        Raises ``CallerError``, and ``ServiceError`` with git's own words."""
        wanted, given = unwrapped(operation, arguments)
        work = self._operations.get(wanted)
        if work is None:
            raise refuse_operation(self.name, wanted, self._operations)
        repository = await in_thread(lambda stopped: self._repositories.find(given))
        return await work(repository, given)

    async def _branches(self, repository: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        listing = "--format=%(HEAD)%00%(objectname)%00%(refname:lstrip=2)"
        lines = (await self._git(repository, "for-each-ref", listing, "refs/heads/")).splitlines()
        rows = [line.split(b"\0") for line in lines]
        current = next((_text(name) for mark, _, name in rows if mark == b"*"), None)
        return {
            "current": current,
            "branches": [{"name": _text(name), "sha": _text(sha)} for _, sha, name in rows],
        }

    async def _log(self, repository: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        count = count_argument(arguments, "limit", "perPage", "per_page", default=30, most=MAX_LOG)
        reference = reference_argument(arguments)
        paths = ["--", path_argument(arguments)] if arguments.get("path") else ["--"]
        log = await self._git(
            repository, "log", "-z", f"--max-count={count}", f"--format={_COMMIT}", reference, *paths
        )
        fields = log.removesuffix(b"\0").split(b"\0") if log else []
        return [_commit(fields[start : start + 4]) for start in range(0, len(fields), 4)]

    async def _show(self, repository: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        reference = reference_argument(arguments)
        shown = await self._git(
            repository, "log", "-z", "--max-count=1", f"--format={_COMMIT}%x00%P%x00%B", reference, "--"
        )
        fields = shown.removesuffix(b"\0").split(b"\0")
        parents = _text(fields[4]).split()
        return {**_commit(fields[:4]), "parents": parents, "message": _text(fields[5]).strip("\n")}

    async def _contents(self, repository: str, arguments: Mapping[str, Any]) -> str:
        path = path_argument(arguments)
        content = await self._git(repository, "cat-file", "blob", f"{reference_argument(arguments)}:{path}")
        if len(content) > MAX_TEXT_BYTES:
            raise ServiceError(f"{path!r} is larger than {MAX_TEXT_BYTES:,} bytes")
        return decoded(content, path)

    async def _grep(self, repository: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        query = text_argument(arguments, "query", "q", "pattern")
        if not query or len(query) > 500 or set(query) & {"\0", "\n"}:
            raise CallerError("query must be one line of 1 to 500 characters")
        reference = reference_argument(arguments)
        found = await self._git(
            repository, "grep", "-n", "-I", "-z", "-F", "--no-color", "--full-name", "-e", query, reference,
            "--", fine=(0, 1),
        )  # fmt: skip
        rows = [line.split(b"\0", 2) for line in found.split(b"\n") if line.count(b"\0") >= 2]
        return [
            {"file": _text(name).partition(":")[2], "line": int(line), "text": _text(text)[:300]}
            for name, line, text in rows[:MAX_FOUND]
        ]

    async def _status(self, repository: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        filters = await self._git(
            repository, "config", "-z", "--name-only", "--get-regexp", r"^filter\.", fine=(0, 1)
        )
        off = {
            name: "false" if name.endswith(".required") else "" for name in _text(filters).split("\0") if name
        }
        if any("=" in name for name in off):
            raise ServiceError("a filter of this repository has a name that cannot be turned off safely")
        options = ("--porcelain=v1", "-z", "--branch", "--no-renames", "--ignore-submodules=all")
        lines = _text(await self._git(repository, "status", *options, settings=off)).split("\0")
        changes = [{"status": line[:2].strip(), "path": line[3:]} for line in lines[1:] if line]
        return {"branch": lines[0].removeprefix("## "), "changes": changes}

    async def _diff(self, repository: str, arguments: Mapping[str, Any]) -> str:
        base, head = reference_argument(arguments, "base"), reference_argument(arguments, "head")
        options = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")
        difference = await self._git(repository, "diff", *options, base, head, "--")
        return difference.decode(errors="replace")

    async def _git(
        self,
        repository: str,
        *arguments: str,
        fine: Sequence[int] = (0,),
        settings: Mapping[str, str] | None = None,
    ) -> bytes:
        """Git's output. Raises ``ServiceError`` for an exit status that is not ``fine``."""
        program = shutil.which("git")
        if program is None:
            raise ServiceError("git is not installed")
        pairs = {**_SETTINGS, **(settings or {})}.items()
        options = [word for name, value in pairs for word in ("-c", f"{name}={value}")]
        command = [program, "-C", repository, "--no-pager", "--literal-pathspecs", *options, *arguments]
        try:
            process = await start_group(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(repository),
            )
        except OSError as error:
            raise ServiceError(f"git could not be started: {error.strerror}") from error
        output, errors = await self._finished(process)
        if process.returncode not in fine:
            words = " ".join(_text(errors).split()) or f"exit status {process.returncode}"
            raise ServiceError(f"git {arguments[0]}: {words[:500]}")
        return output

    async def _finished(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        assert process.stdout is not None and process.stderr is not None
        limit = asyncio.timeout_at(asyncio.get_running_loop().time() + self._timeout)
        try:
            async with limit, asyncio.TaskGroup() as group:
                output = group.create_task(_drained(process.stdout, MAX_OUTPUT_BYTES, end_at_limit=True))
                errors = group.create_task(_drained(process.stderr, _ERROR_BYTES, end_at_limit=False))
                group.create_task(process.wait())
        except TimeoutError:
            if limit.expired():
                raise ServiceError(f"git gave no answer within {self._timeout:g} s") from None
            raise
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            if process.returncode is None:
                await _kill_group(process)
        return output.result(), errors.result()


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """SIGKILL to the whole group: what only reads has nothing to put in order."""
    signal_group(process, signal.SIGKILL)
    # The end of a process is told only once its pipes were read to their end.
    await asyncio.wait([asyncio.ensure_future(process.communicate())], timeout=_REAP_AFTER)


async def _drained(stream: asyncio.StreamReader, limit: int, *, end_at_limit: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(65_536):
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
        elif end_at_limit:
            raise ServiceError(f"git answered more than {limit:,} bytes; ask for less")
    return b"".join(pieces)


def _environment(repository: str) -> dict[str, str]:
    """Nothing of ours: the user's configuration and variables could have git run other programs."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CEILING_DIRECTORIES": os.path.dirname(repository),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PAGER": "cat",
    }


def _commit(fields: Sequence[bytes]) -> dict[str, Any]:
    sha, author, seconds, subject = map(_text, fields)
    return {"sha": sha, "author": author, "date": to_iso(max(int(seconds), 0)), "subject": subject}


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
