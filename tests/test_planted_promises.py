"""Promises of the whole that other files of planted bugs do not look after, each shown to be kept by a test
that finds the bug. ``tests/INVARIANTS.md`` lists all of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from event_monitor import breakers, redaction, validation
from event_monitor.bus import (
    admission,
    dispatcher,
    event_bus,
    lane,
    rules,
    schema,
    storms,
    streams,
    window,
)
from event_monitor.control import client, server, spool
from event_monitor.resilience import retry
from event_monitor.targets import retention
from tests import planting, virtual
from tests import test_breakers as held_breakers
from tests.bus import test_bus as bus_tests
from tests.bus import test_expiry as expiry_tests
from tests.bus import test_spilled as spilled_tests
from tests.bus import test_store as store_tests
from tests.bus import test_storm as storm_tests
from tests.control import peers
from tests.control import test_client as client_tests
from tests.control import test_server as server_tests
from tests.control import test_server_access as access_tests
from tests.control import test_spool as spool_tests
from tests.planting import Bug, named
from tests.resilience import test_retry as retry_tests
from tests.targets import test_retention as retention_tests
from tests.unit import test_payload_limits as payload_tests
from tests.unit import test_redaction as redaction_tests
from tests.unit import test_rules as rules_tests

pytestmark = pytest.mark.mutation

FOUND = (AssertionError, pytest.fail.Exception, TimeoutError, BaseExceptionGroup)


class _Heard(logging.Handler):
    """What was logged, as the fixture ``caplog`` tells it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        logging.getLogger("event_monitor").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()}\n"

    def close(self) -> None:
        logging.getLogger("event_monitor").removeHandler(self)
        super().close()


def runs(test: Callable[..., Any], **given: Any) -> Callable[[ModuleType], None]:
    """A check that runs a test with a directory, a home and a socket's path of its own."""

    def run(module: ModuleType) -> None:
        # A socket's path must be short.
        with (
            contextlib.closing(_Heard()) as heard,
            tempfile.TemporaryDirectory(prefix="em") as directory,
            pytest.MonkeyPatch.context() as patch,
        ):
            root = Path(directory)
            offered = {
                "tmp_path": root,
                "home": root / "home",
                "directory": root / "spool",
                "path": str(root / "home" / "bus.sock"),
                "backend": peers.Backend(),
                "monkeypatch": patch,
                "caplog": heard,
                "virtual": virtual.run_virtual,
            } | given
            wanted = inspect.signature(test).parameters
            on_virtual_time = (
                virtual.database_counted(patch) if "virtual" in wanted else contextlib.nullcontext()
            )
            with on_virtual_time:
                outcome = test(**{name: offered[name] for name in wanted if name in offered})
                if inspect.iscoroutine(outcome):
                    asyncio.run(outcome)

    return run


BUGS = [
    Bug(
        "an event whose time has passed is delivered",
        lane,
        "if deadline is None or self.clock.monotonic() < deadline:",
        "if True:",
        runs(expiry_tests.test_an_event_past_its_ttl_expires_visibly),
    ),
    Bug(
        "the reserve is for everybody",
        event_bus,
        "(queue.reserve if reserved else 0)",
        "queue.reserve",
        runs(bus_tests.test_publish_is_refused_at_the_backlogs_limit_but_for_the_reserve),
    ),
    Bug(
        "publishers on their way are not counted",
        event_bus,
        "self.pending + self.admission.turns.taken >= limit",
        "self.pending >= limit",
        runs(storm_tests.test_the_backlogs_limit_holds_for_waiting_publishers_and_strands_none),
    ),
    Bug(
        "memory holds more than its window",
        window,
        "return self.count < self._limits[rank] and (",
        "return (",
        runs(spilled_tests.test_memory_holds_no_more_than_its_window),
    ),
    Bug(
        "a loop of events goes on",
        dispatcher,
        "record.event.depth > self._max_depth",
        "record.event.depth > self._max_depth + 1",
        runs(bus_tests.test_a_loop_of_events_ends_in_the_dead_letter_queue),
    ),
    Bug(
        "a target is served twice",
        rules,
        "targets = tuple(dict.fromkeys(target for rule in rules for target in rule.targets))",
        "targets = tuple(target for rule in rules for target in rule.targets)",
        runs(rules_tests.test_all_matching_rules_apply_and_a_target_counts_once),
    ),
    Bug(
        "a storm lets one in many more through",
        storms,
        "tally.over % rule.keep:",
        "tally.over % (rule.keep - 1):",
        runs(storm_tests.test_what_is_sampled_out_is_stored_counted_and_delivered_to_nobody),
    ),
    Bug(
        "who is refused is not counted",
        storms,
        "        tally.refused += 1\n",
        "",
        runs(storm_tests.test_who_is_refused_is_told_when_to_come_back),
    ),
    Bug(
        "a storm holds CRITICAL events back",
        admission,
        "if level is Priority.CRITICAL or source",
        "if source",
        runs(storm_tests.test_critical_events_and_the_buss_own_are_never_held_back, action="sample"),
    ),
    Bug(
        "a slow reader does not see what it missed",
        streams,
        "            self._gap += 1\n",
        "            pass\n",
        runs(bus_tests.test_a_stream_sees_accepted_events_and_counts_what_it_missed),
    ),
    Bug(
        "a newer store is written to",
        schema,
        "if version > SCHEMA_VERSION:",
        "if False:",
        runs(store_tests.test_a_newer_file_is_refused_and_left_untouched),
    ),
    Bug(
        "retention forgets what is pending",
        retention,
        " AND status != 'pending' AND queued IS NULL\n",
        "\n",
        runs(retention_tests.test_an_event_that_is_queued_again_after_it_was_found_stays),
    ),
    Bug(
        "NaN is accepted",
        validation,
        "if not math.isfinite(value):\n                        return False",
        "if False:\n                        return False",
        runs(payload_tests.test_the_rule_and_the_place_are_named, payload={"a": float("nan")}, place="nan"),
    ),
    Bug(
        "payloads nest deeper than allowed",
        validation,
        "for _ in range(max_depth):",
        "for _ in range(max_depth + 1):",
        runs(payload_tests.test_depth_counts_the_outermost_object, limit=2),
    ),
    Bug(
        "a secret in a list is shown",
        redaction,
        "        return [_redact(item, words) for item in value]\n    return value\n\n\ndef _member",
        "        return value\n    return value\n\n\ndef _member",
        runs(redaction_tests.test_no_secret_is_left_at_any_place),
    ),
    Bug(
        "a view that may only look sends commands",
        client,
        "if read_only and isinstance(message, COMMANDS):",
        "if False:",
        runs(client_tests.test_a_read_only_view_sends_queries_only),
    ),
    Bug(
        "a stranger is served",
        server,
        "if uid != os.getuid():",
        "if False:",
        runs(access_tests.test_46_a_peer_of_another_user_is_cut_off_unread),
    ),
    Bug(
        "there is no end of connections",
        server,
        "if len(self.connections) >= self.settings.max_connections:",
        "if False:",
        runs(server_tests.test_too_many_busy_connections_are_told_so),
    ),
    Bug(
        "half a request may wait for ever",
        server,
        "due = loop.time() + self._settings.half_frame_timeout",
        "due = loop.time() + 1e9",
        runs(server_tests.test_49_a_frame_that_does_not_arrive_ends_the_connection, start=b"{"),
    ),
    Bug(
        "a client that does not read costs memory without end",
        server,
        "if transport.get_write_buffer_size() > self._settings.max_unread_bytes:",
        "if False:",
        runs(server_tests.test_49_a_client_that_does_not_read_is_dropped),
    ),
    Bug(
        "what a person decided is forgotten at a restart",
        breakers,
        "        self._store.change(self._saving(name))\n        self.on_change",
        "        self.on_change",
        runs(held_breakers.test_a_breaker_that_is_held_open_stays_so_over_a_restart),
    ),
    Bug(
        "a retry sleeps past the deadline",
        retry,
        "late = earliest >= self._left(deadline)",
        "late = False",
        runs(retry_tests.test_scenario_10_retry_after_past_the_deadline_gives_up_at_once),
    ),
    Bug(
        "a spooled event has no key by which it would be known again",
        spool,
        "key = spooling.entry_key(entry.name)",
        'key = spooling.entry_key("")',
        runs(spool_tests.test_a_hook_is_translated_with_its_key),
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=named)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.check(bug.module)
    planting.plant(bug, monkeypatch)
    # What a bug holds up need not be waited for as long as what is only slow.
    monkeypatch.setattr(peers, "PATIENCE", 3.0)
    # CPython 3.11's parser fails if a collected task's traceback is printed while it runs (gh-106905).
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(FOUND):
            bug.check(bug.module)
    finally:
        gc.enable()
