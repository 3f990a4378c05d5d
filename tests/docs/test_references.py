"""The pages that are made from the code say what the code does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.parsing import syntax_tree

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PACKAGE = ROOT / "event_monitor"


def test_the_pages_are_what_the_code_makes_of_them() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make.py"), "--check"], capture_output=True, text=True
    )
    assert (made.returncode, made.stderr) == (0, ""), made.stderr


def test_every_variable_of_the_environment_that_is_read_stands_in_the_reference() -> None:
    page = (REFERENCE / "configuration.md").read_text()
    table = page[page.index("## Environment variables") :]
    read = set()
    for source in PACKAGE.rglob("*.py"):
        found = re.findall(r"environ(?:\.get\(|\[)[\"']([A-Z_]+)", source.read_text())
        read |= set(found)
    # Those that tell the program what it is run by, and what it hands on to git.
    read -= {"TEXTUAL_DRIVER", "PATH"}
    assert {"EVENT_MONITOR_HOME", "TERM", "USER"} <= read
    assert not [name for name in read if f"`{name}`" not in table and name != "TMPDIR"]


def test_links_within_the_pages_lead_somewhere() -> None:
    anchors = {path.name: _anchors(path.read_text()) for path in REFERENCE.glob("*.md")}
    assert {"events.md", "configuration.md", "event-cli.md", "keys.md"} <= set(anchors)
    lost = []
    for path in REFERENCE.glob("*.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            page, _, name = target.partition("#")
            if name not in anchors.get(page or path.name, ()):
                lost.append(f"{path.name}: {target}")
    assert not lost


def test_no_publisher_in_the_package_names_a_type_of_its_own() -> None:
    # What the program publishes is made of the structs in event_types; the demo and chaos invent theirs.
    named = []
    for source in PACKAGE.rglob("*.py"):
        if source.name == "demo.py" or source.parent.name == "chaos":
            continue
        for node in ast.walk(syntax_tree(source.read_text())):
            if isinstance(node, ast.Call) and _publishes(node):
                first = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "event_type")]
                named += [
                    f"{source.name}:{node.lineno}"
                    for one in first
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
    assert not named


def _publishes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("publish", "submit", "Publish", "_publish")


def _anchors(page: str) -> set[str]:
    anchors: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S), re.M):
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number = 0
        while (again := f"{name}-{number}" if number else name) in anchors:
            number += 1
        anchors.add(again)
    return anchors
