"""``INVARIANTS.md`` names tests and planted bugs that exist, and marks are asked for in earnest."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.parsing import syntax_tree
from tests.reached import must_reach, reached

TESTS = Path(__file__).parent
PAGE = (TESTS / "INVARIANTS.md").read_text()
ROWS = re.findall(r"^\| (.+?) \| \[(\w+)\]\(([\w/.]+)\) \| (.+?) \|$", PAGE, re.MULTILINE)
TOLD = re.findall(r"^\| \[(\w+)\]\(([\w/.]+)\) \| .+ \|$", PAGE, re.MULTILINE)


def functions_of(path: str) -> set[str]:
    tree = syntax_tree((TESTS / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def planted_bugs() -> set[str]:
    """The names of all planted bugs, as they stand in the code."""
    names = set()
    for source in TESTS.rglob("test_planted*.py"):
        for node in ast.walk(syntax_tree(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Bug":
                name = node.args[0]
                assert isinstance(name, ast.Constant)
                names.add(name.value)
    return names


def test_every_invariant_names_a_test_that_exists_and_a_bug_that_is_planted() -> None:
    assert len(ROWS) > 50
    assert len(ROWS) + len(TOLD) == len(re.findall(r"^\| .*\]\(.* \|$", PAGE, re.MULTILINE))
    bugs = planted_bugs()
    for invariant, test, path, bug in ROWS:
        assert test in functions_of(path), f"{invariant}: {path} has no {test}"
        assert bug in bugs, f"{invariant}: no bug is named {bug!r}"
    for test, path in TOLD:
        assert test in functions_of(path), f"{path} has no {test}"


def test_a_mark_that_is_missing_fails_and_one_outside_does_not_count() -> None:
    reached("open")
    with pytest.raises(AssertionError, match="never reached: half-open"), must_reach("open", "half-open"):
        reached("open")
    with must_reach("open") as marks:
        reached("open")
        reached("open")
    assert marks == {"open": 2}
