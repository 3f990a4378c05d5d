"""The fault-injecting library for the tests beside this file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.shim import Faults, compiled


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``shim.c`` as a shared library."""
    built = compiled(tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("faults are injected with LD_PRELOAD: this needs Linux and a C compiler")
    return built


@pytest.fixture
def faults(library: Path, home: Path, tmp_path: Path) -> Faults:
    """Faults for the processes of this test's home."""
    scratch = tmp_path / "faults"
    scratch.mkdir()
    return Faults(library, home, scratch)
