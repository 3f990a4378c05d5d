"""Who may connect to the control socket, and what may stand at its path."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from event_monitor.config import SocketSettings
from event_monitor.control import server as server_module
from event_monitor.control.server import ControlServer
from event_monitor.errors import AlreadyRunning
from tests.control.peers import PING, Backend, peer, serving, still_serves

# --- who may connect ------------------------------------------------------------------------


async def test_46_a_peer_of_another_user_is_cut_off_unread(
    path: str, backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "peer_uid", lambda connection: os.getuid() + 4_711)
    async with serving(path, backend) as server, peer(path) as stranger:
        await stranger.say(PING)
        assert await stranger.hear() is None
        assert backend.asked == []
        assert not server.connections
    assert str(os.getuid() + 4_711) in caplog.text


async def test_a_peer_that_the_kernel_does_not_name_is_cut_off(
    path: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(connection: socket.socket) -> int:
        raise OSError("no credentials")

    monkeypatch.setattr(server_module, "peer_uid", unknown)
    async with serving(path, backend), peer(path) as stranger:
        await stranger.say(PING)
        assert await stranger.hear() is None
        assert backend.asked == []


async def test_44_the_socket_is_the_owner_s_alone_under_every_umask(tmp_path: Path, backend: Backend) -> None:
    for umask in range(0o100):
        path = str(tmp_path / f"{umask:o}" / "bus.sock")
        before = os.umask(umask)
        try:
            async with serving(path, backend):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
                assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
        finally:
            os.umask(before)


@pytest.mark.parametrize("existing", [False, True])
async def test_44_no_moment_leaves_the_socket_open_to_others(
    path: str, backend: Backend, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(path).parent
    if existing:
        directory.mkdir()
        directory.chmod(0o777)
    seen: list[int] = []

    class Watched(socket.socket):
        def bind(self, address: str) -> None:  # type: ignore[override]
            seen.append(stat.S_IMODE(directory.stat().st_mode))
            super().bind(address)

        def listen(self, backlog: int = 0) -> None:
            if not seen[1:]:
                seen.append(stat.S_IMODE(os.lstat(str(self.getsockname())).st_mode))
            super().listen(backlog)

    before = os.umask(0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(server_module.socket, "socket", Watched)
            async with serving(path, backend):
                assert seen == [0o700, 0o600]
    finally:
        os.umask(before)


async def test_44_an_open_directory_is_closed_to_others(path: str, backend: Backend) -> None:
    directory = Path(path).parent
    directory.mkdir()
    directory.chmod(0o777)
    async with serving(path, backend):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


# --- what stands at the path ----------------------------------------------------------------


async def test_45_a_dead_owner_s_socket_is_taken_over(path: str, backend: Backend) -> None:
    os.makedirs(os.path.dirname(path))
    for leftover in (path, f"{path}~"):
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(leftover)
        dead.close()
    async with serving(path, backend):
        await still_serves(path)
        assert os.listdir(os.path.dirname(path)) == ["bus.sock"]


@pytest.mark.parametrize("kind", ["file", "symlink", "dangling", "directory", "fifo"])
async def test_45_anything_else_at_the_path_is_left_alone(path: str, backend: Backend, kind: str) -> None:
    directory = Path(path).parent
    directory.mkdir()
    other = directory / "precious"
    match kind:
        case "file":
            Path(path).write_text("precious")
        case "symlink":
            other.write_text("precious")
            os.symlink(other, path)
        case "dangling":
            os.symlink(other, path)
        case "directory":
            os.mkdir(path)
        case "fifo":
            os.mkfifo(path)
    before = os.lstat(path)
    server = ControlServer(path, backend.handle, SocketSettings())
    with pytest.raises(AlreadyRunning, match="is not a socket"):
        await server.start()
    await server.stop()
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


async def test_45_a_live_socket_is_left_to_its_owner(path: str, backend: Backend) -> None:
    async with serving(path, backend):
        thief = ControlServer(path, Backend().handle, SocketSettings())
        with pytest.raises(AlreadyRunning, match="another process listens"):
            await thief.start()
        await thief.stop()
        await still_serves(path)
    assert len(backend.asked) == 1


async def test_45_a_live_owner_too_busy_to_accept_is_left_alone(path: str, backend: Backend) -> None:
    os.makedirs(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        before = os.lstat(path).st_ino
        with pytest.raises(AlreadyRunning, match="another process listens"):
            await ControlServer(path, backend.handle, SocketSettings()).start()
        assert os.lstat(path).st_ino == before


@pytest.mark.parametrize("kind", ["file", "symlink", "directory"])
async def test_45_what_has_the_temporary_name_is_left_alone(path: str, backend: Backend, kind: str) -> None:
    directory = Path(path).parent
    directory.mkdir()
    other = Path(f"{path}~")
    match kind:
        case "file":
            other.write_text("precious")
        case "symlink":
            other.symlink_to(directory / "nothing")
        case "directory":
            other.mkdir()
    with pytest.raises(AlreadyRunning, match="is not a socket"):
        await ControlServer(path, backend.handle, SocketSettings()).start()
    assert os.path.lexists(other) and not os.path.lexists(path)


async def test_45_what_took_the_socket_s_place_outlives_the_stop(path: str, backend: Backend) -> None:
    async with serving(path, backend):
        os.unlink(path)
        Path(path).write_text("precious")
    assert os.path.lexists(path)
    assert Path(path).read_text() == "precious"


async def test_stopping_twice_and_without_a_start_is_harmless(path: str, backend: Backend) -> None:
    server = ControlServer(path, backend.handle, SocketSettings())
    await server.start()
    await server.stop()
    await server.stop()
    assert not os.path.lexists(path)
