"""What must not be loaded: fast programs start fast because they import next to nothing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import headless

HEAVY = ["textual", "yaml", "asyncio", "argparse", "json", "msgspec", "typing", "aiosqlite", "sqlite3", "re2"]


def loaded(code: str, stdin: bytes = b"") -> set[str]:
    """The modules that a fresh interpreter loads for ``code``."""
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        input=stdin,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def run_cli(*arguments: str) -> str:
    """Code that runs ``event-cli`` as its entry point does."""
    words = ["event-cli", *arguments]
    return f"sys.argv = {words!r}\nfrom event_monitor.cli import main\nsys.exit(main())"


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("publish", "a.b"), b""),
        (("publish", "a.b", '{"x": 1}', "--priority", "HIGH"), b""),
        (("publish", "a.b", "-"), b'{"x": 1}'),
        (("hook",), b'{"hook_event_name": "Stop"}'),
        (("hook",), b"\xff not json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("running", [True, False], ids=["bus", "spool"])
def test_publish_and_hook_import_next_to_nothing(
    home: Path, arguments: tuple[str, ...], stdin: bytes, running: bool
) -> None:
    with headless(home) if running else contextlib.nullcontext():
        modules = loaded(run_cli(*arguments), stdin)
    # Without a bus nobody else can say whether the event is valid, so publish checks it itself.
    checking = set() if running or arguments == ("hook",) else {"msgspec", "typing"}
    assert sorted(modules.intersection(HEAVY) - checking) == []
    assert len([name for name in modules if name.startswith("event_monitor")]) <= 22


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("event_monitor", ["textual", "yaml", "asyncio", "msgspec", "json", "typing"]),
        ("event_monitor.cli", HEAVY),
        ("event_monitor.paths", HEAVY),
        ("event_monitor.spooling", HEAVY),
        (
            "event_monitor.cli.app",
            ["textual", "event_monitor.runtime", "event_monitor.bus", "aiosqlite", "sqlite3", "re2"],
        ),
        (
            "event_monitor.runtime",
            ["textual", "event_monitor.dashboard", "event_monitor.widgets", "event_monitor.cli"],
        ),
        ("event_monitor.headless", ["textual", "event_monitor.dashboard", "event_monitor.widgets"]),
        (
            "event_monitor.resilience.retry",
            ["event_monitor.bus", "event_monitor.config", "msgspec", "textual"],
        ),
        ("event_monitor.__main__", ["textual", "event_monitor.runtime", "aiosqlite"]),
        ("event_monitor.dashboard.app", ["event_monitor.runtime", "event_monitor.bus.store", "aiosqlite"]),
        ("event_monitor.widgets", ["event_monitor.runtime", "event_monitor.bus", "event_monitor.control"]),
    ],
)
def test_a_module_loads_nothing_that_it_must_not(module: str, unwanted: list[str]) -> None:
    modules = loaded(f"import {module}")
    assert module in modules
    assert sorted(modules.intersection(unwanted)) == []


def test_the_import_contracts_hold() -> None:
    checkout = Path(__file__).parent.parent
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_no_module_reaches_500_lines() -> None:
    checkout = Path(__file__).parent.parent
    sizes = {
        path: len(path.read_text("utf-8").splitlines())
        for folder in ("event_monitor", "widgets")
        for path in (checkout / folder).rglob("*.py")
    }
    assert {path: size for path, size in sizes.items() if size >= 500} == {}
