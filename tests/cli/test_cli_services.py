"""event-cli about services, against the real bus and an assistant that declares servers."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.scripted import Cli
from tests.processes import Headless, headless, wait_for

STUB = str(Path(__file__).parent.parent / "services" / "stub_server.py")


@pytest.fixture
def live(cli: Cli) -> Iterator[Headless]:
    declared = {"stub": {"command": sys.executable, "args": [STUB, "--token", "hunter2"]}}
    directory = Path(os.environ["CLAUDE_CONFIG_DIR"])
    directory.mkdir()
    (directory / ".claude.json").write_text(json.dumps({"mcpServers": declared}))
    with headless(cli.home) as running:
        yield running


def adopt_on_terminal(cli: Cli, answer: bytes) -> tuple[int, str]:
    """Adopt the stub with somebody at the terminal; the exit status and what was asked."""
    leader, follower = pty.openpty()
    os.write(leader, answer)
    with cli.start(
        "services", "adopt", "stub", stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _, err = process.communicate()
    os.close(leader)
    os.close(follower)
    return process.returncode, err.decode()


def rows(cli: Cli) -> list[dict[str, Any]]:
    return cli("services").lines


def test_declared_servers_are_listed_as_lines_and_as_a_table(cli: Cli, live: Headless) -> None:
    (server,) = cli("services", "discover").lines
    assert (server["name"], server["scope"], server["transport"], server["service"]) == (
        *("stub", "user", "stdio"),
        None,
    )
    assert server["shown"].endswith("stub_server.py --token [masked]")
    table = cli("services", "discover", "--output", "table").out
    assert table.splitlines()[0].split()[:3] == ["SERVER", "SCOPE", "TRANSPORT"]
    assert "stub: has no timeout: a call may hang without limit" in table
    assert "hunter2" not in table
    assert "no service is configured" in cli("services", "--output", "table").out
    assert rows(cli) == []


@pytest.mark.parametrize("answer", [b"\n", b"no\n"])
def test_nothing_is_started_without_a_yes(cli: Cli, live: Headless, answer: bytes) -> None:
    status, asked = adopt_on_terminal(cli, answer)
    assert status == 1
    assert "Start stub and keep it running? [y/N]" in asked
    assert "nothing was started" in asked
    assert (rows(cli), Path(cli.paths.settings).exists()) == ([], False)
    done = cli("services", "adopt", "stub")
    assert (done.status, "add --yes" in done.err) == (2, True)
    assert (rows(cli), Path(cli.paths.settings).exists()) == ([], False)


def test_a_yes_is_asked_for_what_is_shown_and_starts_it(cli: Cli, live: Headless) -> None:
    status, asked = adopt_on_terminal(cli, b"y\n")
    assert status == 0
    assert f"{sys.executable} {STUB} --token [masked]" in asked.replace("\n", "")
    assert cli.paths.settings in asked
    assert "hunter2" not in asked + Path(cli.paths.settings).read_text()
    row = wait_for(lambda: next((one for one in rows(cli) if one["pid"]), None))
    assert (row["service"], row["kind"], row["declared"]) == ("stub", "mcp", "user")
    command = Path(f"/proc/{row['pid']}/cmdline").read_bytes()
    assert command.endswith(b"--token\0hunter2\0")
    done = cli("services", "forget", "stub")
    assert (done.status, "removed: stub" in done.json["message"]) == (0, True)
    assert rows(cli) == []
    assert not Path(f"/proc/{row['pid']}").exists()


def test_yes_can_be_said_beforehand_and_the_name_be_chosen(cli: Cli, live: Headless) -> None:
    done = cli("services", "adopt", "stub", "--scope", "user", "--as", "mine", "--yes")
    assert (done.status, done.err) == (0, "")
    assert done.json["message"].startswith("mine is watched from now on")
    assert [one["service"] for one in rows(cli)] == ["mine"]
    again = cli("services", "adopt", "stub", "--yes")
    assert (again.status, "watched already, as mine" in again.err) == (2, True)
    assert cli("services", "adopt", "gone", "--yes").status == 1


@pytest.mark.parametrize("words", ["", "discover", "adopt x --yes", "forget x"])
def test_without_a_bus_they_say_so(cli: Cli, words: str) -> None:
    assert cli("services", *words.split()).status == 3
