"""Where a home keeps its files, and where its socket goes when the path is too long for one."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from event_monitor.control.client import SocketClient
from event_monitor.messages import Ping
from event_monitor.paths import MAX_SOCKET_PATH, HomePaths
from event_monitor.runtime import Runtime
from tests.bus.helpers import settings


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"EVENT_MONITOR_HOME": "/e", "CLAUDE_CONFIG_DIR": "/c"}, "/e"),
        ({"CLAUDE_CONFIG_DIR": "/c"}, "/c"),
        ({"EVENT_MONITOR_HOME": "", "CLAUDE_CONFIG_DIR": ""}, "/user/.claude"),
        ({}, "/user/.claude"),
        ({"EVENT_MONITOR_HOME": "~/x"}, "/user/x"),
    ],
)
def test_the_home_is_the_first_that_is_named(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], home: str
) -> None:
    monkeypatch.setenv("HOME", "/user")
    for name in ("EVENT_MONITOR_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert HomePaths().home == home
    assert HomePaths("/named").home == "/named"


def test_asking_for_a_path_makes_nothing(tmp_path: Path) -> None:
    paths = HomePaths(str(tmp_path / "home"))
    assert paths.socket and paths.database
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("letter", ["x", "é"])
def test_44_a_path_too_long_for_a_socket_gets_one_in_the_runtime_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    room = MAX_SOCKET_PATH - len("//event-bus/bus.sock")
    fits = "/" + letter * (room // len(letter.encode()))
    assert HomePaths(fits).socket == f"{fits}/event-bus/bus.sock"
    long, other = (HomePaths("/" + letter * 100 + end).socket for end in ("a", "b"))
    assert os.path.dirname(long) == str(tmp_path)
    assert long != other
    assert long == HomePaths("/" + letter * 100 + "a").socket
    assert len(os.path.basename(long)) < 50


def test_without_a_runtime_directory_there_is_one_of_the_user_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert os.path.dirname(HomePaths("/" + "x" * 100).socket) == str(
        tmp_path / f"event-monitor-{os.getuid()}"
    )


async def test_44_a_bus_whose_home_has_a_long_path_is_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    short = tmp_path_factory.mktemp("t")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(short))
    paths = HomePaths(str(tmp_path / ("long" * 30)))
    runtime = await Runtime.start(paths, settings())
    try:
        directory = Path(paths.socket).parent
        assert directory.parent == short
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        client = SocketClient(paths.socket)
        async with asyncio.timeout(10):
            assert (await client.request(Ping())).home == paths.home
        await client.close()
    finally:
        await runtime.stop()
    assert not os.path.lexists(paths.socket)
