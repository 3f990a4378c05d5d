"""A short path for a socket, and a runtime that only remembers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from tests.control.peers import Backend


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="em") as directory:
        yield os.path.join(directory, "home", "bus.sock")


@pytest.fixture
async def backend() -> Backend:
    return Backend()
