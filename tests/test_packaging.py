"""The wheel and the sdist as a stranger gets them: built, installed outside the checkout, started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from event_monitor import __version__

CHECKOUT = Path(__file__).parent.parent

# They share one build.
pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging")]


@dataclass(frozen=True)
class Built:
    """What one build made, and a venv that holds nothing but the wheel and what it needs."""

    wheel: Path
    sdist: Path
    programs: Path

    def run(
        self, program: str, *arguments: str, home: Path, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(home.parent),
            "EVENT_MONITOR_HOME": str(home),
            "LANG": "C.UTF-8",
        }
        return subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=home.parent,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Built from the files that git knows, so that nothing of the checkout's own leaks in."""
    directory = tmp_path_factory.mktemp("packaging")
    source, dist, venv = directory / "source", directory / "dist", directory / "venv"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True
    ).stdout.split(b"\0")
    for name in map(os.fsdecode, filter(None, listed)):
        origin, copy = CHECKOUT / name, source / name
        if not os.path.lexists(origin):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_symlink():
            copy.symlink_to(os.readlink(origin))
        else:
            copy.write_bytes(origin.read_bytes())
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": directory}
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(dist), str(source)], **run)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], **run)
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run([str(venv / "bin" / "python"), *install], **run)
    yield Built(wheel, sdist, venv / "bin")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_the_wheel_holds_config_styles_and_widgets_as_real_files(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
        links = [info.filename for info in wheel.infolist() if (info.external_attr >> 28) == 0o12]
    for name in ("config/event-monitor.yaml", "config/routing-rules.json", "widgets/__init__.py", "py.typed"):
        assert f"event_monitor/{name}" in names
    assert [name for name in names if name.endswith(".tcss")]
    assert links == []
    assert {name.split("/")[0].split("-")[0] for name in names} == {"event_monitor"}


def test_the_sdist_holds_widgets_and_config_as_real_files(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        members = {member.name.partition("/")[2]: member for member in sdist}
    for name in ("widgets/__init__.py", "config/event-monitor.yaml", "config/routing-rules.json"):
        assert members[f"event_monitor/{name}"].isfile()
    for module in (CHECKOUT / "widgets").glob("*.py"):
        assert f"event_monitor/widgets/{module.name}" in members


def test_no_package_of_a_common_name_is_installed(built: Built, home: Path) -> None:
    for name in ("widgets", "config", "tests"):
        done = built.run("python", "-c", f"import {name}", home=home)
        assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr


def test_every_module_can_be_imported(built: Built, home: Path) -> None:
    code = (
        "import pkgutil, importlib, event_monitor\n"
        "names = [m.name for m in pkgutil.walk_packages(event_monitor.__path__, 'event_monitor.')]\n"
        "assert len(names) > 50, names\n"
        "[importlib.import_module(n) for n in names if not n.endswith('__main__')]\n"
        "print(event_monitor.__file__)"
    )
    done = built.run("python", "-c", code, home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(built.programs.parent))


def test_both_programs_say_who_they_are(built: Built, home: Path) -> None:
    assert built.run("event-monitor", "--version", home=home).stdout == f"event-monitor {__version__}\n"
    done = built.run("event-cli", "--help", home=home)
    assert done.returncode == 0 and "publish" in done.stdout
    done = built.run("event-monitor", "--check-config", home=home)
    assert done.returncode == 0, done.stderr
    done = built.run("event-monitor", "--print-config", home=home)
    assert done.returncode == 0 and "durability: full" in done.stdout


def test_a_bus_starts_and_an_event_goes_through_it(built: Built, home: Path) -> None:
    spooled = built.run("event-cli", "publish", "a.early", home=home)
    assert json.loads(spooled.stdout)["status"] == "spooled"
    bus = subprocess.Popen(
        [str(built.programs / "event-monitor"), "--headless", "--home", str(home)],
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert bus.stdout is not None and json.loads(bus.stdout.readline())["ready"] is True
        published = built.run("event-cli", "publish", "a.b", '{"x": 1}', home=home)
        assert json.loads(published.stdout)["status"] == "accepted", published.stderr
        listed = built.run("event-cli", "events", "--type", "a.#", home=home)
        assert {json.loads(line)["event_type"] for line in listed.stdout.splitlines()} == {"a.b", "a.early"}
        shown = built.run("event-monitor", "--once", home=home)
        assert shown.returncode == 0, shown.stderr
        assert "HEALTHY" in shown.stdout
    finally:
        bus.terminate()
        assert bus.wait(30) == 0
        bus.stdout.close()
