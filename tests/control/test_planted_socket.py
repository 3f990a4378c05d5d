"""Bugs planted in the control socket's server, each with the test that must find it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest

from event_monitor.control import framing, server
from tests.control import peers, test_framing, test_server, test_server_access
from tests.control.peers import PING, Backend
from tests.planting import Bug, find, named, with_names

pytestmark = pytest.mark.mutation


def socket_test(
    tests: ModuleType, test: Callable[[str, Backend], Awaitable[None]]
) -> Callable[[ModuleType], None]:
    """A check that runs a test of the socket on the classes of the given module."""

    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="em") as directory:
            await test(os.path.join(directory, "home", "bus.sock"), Backend())

    return with_names(peers, lambda: with_names_of(tests, lambda: asyncio.run(run())))


def with_names_of(tests: ModuleType, check: Callable[[], None]) -> None:
    """Let ``tests`` use the server that ``peers`` uses at the moment."""
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(tests, "ControlServer"):
            patch.setattr(tests, "ControlServer", peers.ControlServer)
        check()


BUGS = [
    Bug(
        "an oversized request in the middle passes",
        framing,
        'largest = max(largest, *map(len, data.split(b"\\n")[1:]), 0)',
        "pass",
        with_names(
            test_framing, lambda: test_framing.test_a_request_over_the_limit_is_found_wherever_it_is_cut(0)
        ),
    ),
    Bug(
        "what is left of a request is not counted",
        framing,
        "self._begun + (len(data)",
        "(len(data)",
        with_names(test_framing, test_framing.test_any_cut_gives_the_lines_of_the_whole),
    ),
    Bug(
        "a row of requests keeps others waiting",
        server,
        "await asyncio.sleep(0)",
        "pass",
        socket_test(
            test_server,
            lambda path, backend: test_server.test_49_a_row_of_requests_lets_others_in_between(
                path, backend, PING
            ),
        ),
    ),
    Bug(
        "a standstill of the bus is held against its clients",
        server,
        "if asyncio.get_running_loop().time() > due + _LATE:",
        "if False:",
        socket_test(
            test_server,
            test_server.test_49_time_in_which_the_bus_itself_stood_still_is_held_against_nobody,
        ),
    ),
    Bug(
        "a live socket is stolen",
        server,
        "visitor.connect(path)",
        "return",
        socket_test(test_server_access, test_server_access.test_45_a_live_socket_is_left_to_its_owner),
    ),
    Bug(
        "a busy owner's socket is stolen",
        server,
        "except BlockingIOError:\n            pass",
        "except BlockingIOError:\n            return",
        socket_test(
            test_server_access, test_server_access.test_45_a_live_owner_too_busy_to_accept_is_left_alone
        ),
    ),
    Bug(
        "a file of the temporary name is unlinked",
        server,
        "for path in (str(self.path), temporary):",
        "for path in (str(self.path),):",
        socket_test(
            test_server_access,
            lambda path, backend: test_server_access.test_45_what_has_the_temporary_name_is_left_alone(
                path, backend, "file"
            ),
        ),
    ),
    Bug(
        "what took the socket's place is unlinked",
        server,
        "if _identity(self.path) == self._bound:",
        "if True:",
        socket_test(
            test_server_access, test_server_access.test_45_what_took_the_socket_s_place_outlives_the_stop
        ),
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=named)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.check(bug.module)
    # What a bug holds up need not be waited for as long as what is only slow.
    monkeypatch.setattr(peers, "PATIENCE", 3.0)
    find(bug, monkeypatch)
