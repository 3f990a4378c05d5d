"""The guardian: one small process that ends the monitor's children when the monitor is gone.

It reads process groups from a pipe that only the monitor holds open. Whatever ends the monitor,
SIGKILL included, closes the pipe; the guardian then sends SIGTERM to each group that is still held,
and SIGKILL a second later. A child begins as a shell that waits for a word on its input, which is
written when the guardian has the child's group: there is no moment at which a child runs unguarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

_GUARD = """
trap '' HUP INT QUIT TERM PIPE
groups=' '
while read -r word group; do
  case "$word$groups" in
    hold*) groups="$groups$group " ;;
    free*" $group "*) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
  esac
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -s TERM -- "-$group"; kill -s CONT -- "-$group"; done
sleep 1
for group in $groups; do kill -s KILL -- "-$group"; done
"""
_LAUNCH = 'read -r go && exec "$@"'
_LAUNCH_WITHOUT_INPUT = 'read -r go && exec "$@" </dev/null'


P = TypeVar("P", bound=asyncio.SubprocessProtocol)


class CannotStart(Exception):
    """The command cannot be started; the text says why."""


class Guardian:
    """Starts children in process groups of their own and sees to it that none outlives this process.

    Started with the first child, and again if it was killed. Used from one event loop.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    @property
    def pid(self) -> int | None:
        """The guardian's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def groups(self) -> frozenset[int]:
        """The process groups that are held now."""
        return frozenset(self._groups)

    async def spawn(
        self,
        protocol: Callable[[], P],
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        *,
        talks: bool,
    ) -> tuple[asyncio.SubprocessTransport, P]:
        """Start ``command``; its process group is its process id. With ``talks`` its input is the
        transport's pipe 0 and its error output pipe 2, else it has no input and both outputs are
        pipe 1. Raises ``CannotStart``."""
        program = find_program(command, env, cwd)
        loop = asyncio.get_running_loop()
        try:
            transport, child = await loop.subprocess_exec(
                protocol,
                "/bin/sh",
                "-c",
                _LAUNCH if talks else _LAUNCH_WITHOUT_INPUT,
                "sh",
                program,
                *command[1:],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if talks else subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CannotStart(f"{command[0]} cannot be started: {error}") from error
        try:
            self._hold(transport.get_pid())
            pipe = transport.get_pipe_transport(0)
            assert isinstance(pipe, asyncio.WriteTransport)
            pipe.write(b"go\n")
        except OSError as error:
            transport.close()
            self._groups.discard(transport.get_pid())
            raise CannotStart(f"{command[0]} is not started, for nothing would guard it: {error}") from error
        return transport, child

    def release(self, group: int) -> None:
        """The group has ended and its number may be given to others."""
        if group in self._groups:
            self._groups.discard(group)
            # Where no guardian can be started now, the next child's start tries again.
            with contextlib.suppress(OSError):
                self._tell(f"free {group}\n")

    async def close(self) -> None:
        """End the guardian, and with it every group that is still held. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.shield(asyncio.to_thread(process.wait))
        self._groups.clear()

    def _hold(self, group: int) -> None:
        self._groups.add(group)
        if self.pid is None:
            self._begin()
        else:
            self._tell(f"hold {group}\n")

    def _tell(self, line: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            os.write(process.stdin.fileno(), line.encode())
        except OSError:
            # Killed, or stopped for so long that its pipe is full: another takes its place.
            process.kill()
            self._begin()

    def _begin(self) -> None:
        if self._process is not None:
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
        process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._process = process
        os.write(process.stdin.fileno(), "".join(f"hold {group}\n" for group in self._groups).encode())


def find_program(command: Sequence[str], env: Mapping[str, str], cwd: str | None) -> str:
    """The program's path. Raises ``CannotStart`` if the command, or where it should run, does not exist."""
    if cwd is not None and not os.path.isdir(cwd):
        raise CannotStart(f"its working directory {cwd} does not exist: correct cwd")
    name = command[0]
    if os.sep in name:
        path = os.path.join(cwd or "", os.path.expanduser(name))
        if not os.path.exists(path):
            raise CannotStart(f"the command {name} does not exist: correct its path, or install it")
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            raise CannotStart(f"the command {name} may not be executed: correct its path or its mode")
        return os.path.abspath(path)
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    if found is None:
        raise CannotStart(f"the command {name} was not found on PATH: install it, or write its whole path")
    return os.path.abspath(found)
