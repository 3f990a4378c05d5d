"""Planting bugs: a module is changed in one place, and the check that passes for the real one must fail
for the changed one. So each invariant is shown to find the bug that it is there for."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest
from hypothesis import Phase

# A bug need only be found, not made small.
PHASES = (Phase.generate,)


@dataclass(frozen=True)
class Change:
    """``right`` becomes ``wrong`` in ``module``."""

    name: str
    module: ModuleType
    right: str
    wrong: str


@dataclass(frozen=True)
class Bug(Change):
    """A change that ``check`` must not let pass."""

    check: Callable[[ModuleType], None]


def with_names(tests: ModuleType, check: Callable[[], None]) -> Callable[[ModuleType], None]:
    """A check that runs a test of ``tests`` on the classes of the given module."""

    def run(module: ModuleType) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in vars(module).items():
                if hasattr(tests, name) and getattr(value, "__module__", None) == module.__name__:
                    patch.setattr(tests, name, value)
            check()

    return run


def changed(bug: Change) -> ModuleType:
    source = inspect.getsource(bug.module)
    assert source.count(bug.right) == 1, "the place to change is not to be found: bring the bug up to date"
    module = ModuleType(f"{bug.module.__name__}_with_a_bug")
    module.__file__ = bug.module.__file__
    sys.modules[module.__name__] = module
    exec(compile(source.replace(bug.right, bug.wrong), module.__name__, "exec"), module.__dict__)
    return module


def plant(bug: Change, patch: pytest.MonkeyPatch) -> ModuleType:
    """The changed module, put in the place of the real one wherever that is used."""
    module = changed(bug)
    patch.setitem(sys.modules, module.__name__, module)
    for name, real in list(vars(bug.module).items()):
        if getattr(real, "__module__", None) != bug.module.__name__:
            continue
        for user in list(sys.modules.values()):
            ours = getattr(user, "__name__", "").startswith(("event_monitor.", "tests."))
            if ours and user is not module and vars(user).get(name) is real:
                patch.setattr(user, name, vars(module)[name])
    return module


def named(bug: Bug) -> str:
    """A bug's name as a test's id."""
    return bug.name.replace(" ", "-")


def find(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail unless the bug's check fails."""
    module = changed(bug)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    # CPython 3.11's parser fails if a collected task's traceback is printed while it runs (gh-106905):
    # what earlier checks left behind is collected before, and nothing during one.
    gc.collect()
    gc.disable()
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError)):
            bug.check(module)
    finally:
        gc.enable()
