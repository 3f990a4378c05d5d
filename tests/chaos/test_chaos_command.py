"""``event-cli chaos`` as it is typed: what it prints, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_monitor.chaos.scenarios import BY_NAME
from tests.processes import wait_for

QUICK = ("--duration", "1", "--patience", "10")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the command makes its homes: a short path, for there are sockets in it."""
    with tempfile.TemporaryDirectory(prefix="ct-") as directory:
        yield Path(directory)


def begin(temporary: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "event_monitor.cli", "chaos", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), **environment},
    )


def run(temporary: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    process = begin(temporary, *words, **environment)
    out, errors = process.communicate(timeout=240)
    return process.returncode, out, errors


def mentioning(text: str) -> list[int]:
    """The processes that have ``text`` in their command line or environment, this one's aside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in told and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def buses(temporary: Path) -> list[int]:
    return [
        pid
        for pid in mentioning(f"{temporary}/event-monitor-chaos-")
        if b"event_monitor.chaos.bus" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def nothing_left(temporary: Path) -> bool:
    return not list(temporary.iterdir()) and not mentioning(str(temporary))


def test_it_prints_a_report_and_leaves_nothing(temporary: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ("network-slices", "rules-broken", "--seed", "4", *QUICK, "--report", str(report))
    status, out, errors = run(temporary, *words)
    assert status == 0, errors
    found = json.loads(out)
    assert [one["name"] for one in found["scenarios"]] == ["network-slices", "rules-broken"]
    assert found["seed"] == 4
    assert (
        found["command"] == "event-cli chaos network-slices rules-broken --seed 4 --duration 1 --patience 10"
    )
    assert json.loads(report.read_text()) == found
    lines = errors.splitlines()
    assert [line.split()[1] for line in lines] == ["network-slices", "rules-broken"]
    assert all("passed" in line for line in lines)
    assert nothing_left(temporary)


def test_a_person_gets_a_table_and_a_page(temporary: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    words = ("network-slices", *QUICK, "--report", str(page), "--output", "table")
    status, out, errors = run(temporary, *words)
    assert status == 0, errors
    assert "network-slices" in out
    assert page.read_text().startswith("<!doctype html>")
    assert "network-slices" in page.read_text()


def test_the_comparison_is_part_of_the_report(temporary: Path) -> None:
    status, out, errors = run(temporary, "cascade", "--duration", "1")
    found = json.loads(out)
    assert found["scenarios"] == []
    off, on = found["cascade"]["off"], found["cascade"]["on"]
    # How many is a matter of the machine; that they are told, and that the status says the same, is not.
    assert f"{off['cascaded']:,} failures spread without the layer, {on['cascaded']:,} with it" in errors
    assert (status == 0) is (0 < off["cascaded"] >= 2 * on["cascaded"])


def test_the_users_home_is_neither_read_nor_written(temporary: Path, tmp_path: Path) -> None:
    user = tmp_path / "user"
    home = user / ".claude"
    (home / "event-bus").mkdir(parents=True)
    # Whoever reads them fails; whoever writes here leaves a trace.
    (home / "event-bus" / "event-monitor.yaml").write_text("no: [settings")
    (home / "event-bus" / "routing-rules.json").write_text("{no rules")
    os.mkfifo(user / ".claude.json")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in user.rglob("*"))
    absent = tmp_path / "absent"
    environment = {"HOME": str(user), "EVENT_MONITOR_HOME": str(absent), "CLAUDE_CONFIG_DIR": str(absent)}
    status, _, errors = run(temporary, "network-slices", *QUICK, **environment)
    assert status == 0, errors
    assert not absent.exists()
    environment |= {"EVENT_MONITOR_HOME": str(home), "CLAUDE_CONFIG_DIR": str(home)}
    status, _, errors = run(temporary, "network-slices", *QUICK, **environment)
    assert status == 0, errors
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in user.rglob("*")) == before


def test_a_home_that_exists_is_refused(temporary: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    status, out, errors = run(temporary, "--home", str(canary), "bus-killed")
    assert (status, out) == (1, "")
    assert f"{canary} exists already" in errors
    assert not list(canary.iterdir())
    assert nothing_left(temporary)


def test_a_home_that_is_named_stays(temporary: Path) -> None:
    place = temporary / "kept"
    status, out, errors = run(temporary, "state-damaged", *QUICK, "--home", str(place))
    assert status == 0, errors
    assert f"its homes are kept in {place}" in errors
    assert json.loads(out)["scenarios"][0]["failures"] == []
    assert (place / "state-damaged" / "home" / "event-bus" / "events.db").exists()
    assert not mentioning(str(place))


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "stopped"])
def test_sigkill_of_the_command_leaves_nothing(temporary: Path, frozen: bool) -> None:
    process = begin(temporary, "service-frozen", "--duration", "600")
    # Until the bus has started the service that it supervises.
    tools = "event_monitor.chaos.tool_server"
    wait_for(lambda: [p for p in mentioning(str(temporary)) if tools.encode() in _command(p)], 120)
    (bus,) = buses(temporary)
    if frozen:
        os.kill(bus, signal.SIGSTOP)
    process.kill()
    process.communicate()
    wait_for(lambda: nothing_left(temporary), 60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_it_has(temporary: Path, number: signal.Signals) -> None:
    process = begin(temporary, "network-slices", "bus-frozen", "--duration", "1", "--patience", "10")
    assert process.stderr is not None and process.stdout is not None
    first = process.stderr.readline()
    assert "network-slices" in first
    wait_for(lambda: buses(temporary), 120)
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: 1 of 2 scenarios were run" in errors
    assert [one["name"] for one in json.loads(out)["scenarios"]] == ["network-slices"]
    assert nothing_left(temporary)


def test_an_unknown_scenario_is_told_which_there_are(temporary: Path) -> None:
    status, out, errors = run(temporary, "bus-kiled")
    assert (status, out) == (2, "")
    assert "'bus-kiled'" in errors
    assert all(name in errors for name in BY_NAME)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--duration", "0"), "--duration"),
        (("--patience", "nan"), "--patience"),
        (("--seed", "x"), "--seed"),
        (("--report", "report.pdf"), ".html"),
        (("--report", "/no/such/directory/x.json"), "--report"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(
    temporary: Path, words: tuple[str, ...], part: str
) -> None:
    status, out, errors = run(temporary, "bus-killed", *words)
    assert (status, out) == (2, "")
    assert part in errors
    assert nothing_left(temporary)


def test_the_list_names_scenarios_and_points(temporary: Path) -> None:
    status, out, _ = run(temporary, "list", "--output", "table")
    assert status == 0
    for name in (*BY_NAME, "store.write.disk_full", "target.hang", "network.drop.upstream"):
        assert sum(line.split()[0:2].count(name) for line in out.splitlines() if line.strip()) == 1
    status, out, _ = run(temporary, "list")
    assert status == 0
    assert {json.loads(line).get("scenario") for line in out.splitlines()} - {None} == {*BY_NAME, "cascade"}


def test_the_prompt_says_where_to_run_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "event_monitor.cli", "--home", str(tmp_path / "home"), "repl"],
        input="chaos bus-killed\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "run event-cli chaos in a shell" in done.stderr


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
