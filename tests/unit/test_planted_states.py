"""Each invariant of the system state is shown to find the bug that it is there for."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import settings

from event_monitor.system import driver, state_machine
from tests.planting import PHASES, Bug, find, named
from tests.unit import test_state_machine_driver as driver_rules
from tests.unit import test_state_machine_rules as machine_rules

pytestmark = pytest.mark.mutation


def check_machine(module: ModuleType) -> None:
    machine_rules.check_state_machine(module, settings(machine_rules.BOUNDED, phases=PHASES))


def check_driver(module: ModuleType) -> None:
    driver_rules.check_driver(module, settings(driver_rules.BOUNDED, phases=PHASES))


def check_machine_under_driver(module: ModuleType) -> None:
    driver_rules.check_machine_under_driver(module, settings(driver_rules.BOUNDED, phases=PHASES))


BUGS = [
    Bug(
        "a pair that is not in the table passes",
        state_machine,
        "_S.FAILED: frozenset({_S.RECOVERING, _S.MAINTENANCE})",
        "_S.FAILED: frozenset({_S.RECOVERING, _S.DEGRADED, _S.MAINTENANCE})",
        check_machine,
    ),
    Bug(
        "a pair of the table is refused",
        state_machine,
        "_S.HEALTHY: frozenset({_S.DEGRADED, _S.FAILED, _S.MAINTENANCE})",
        "_S.HEALTHY: frozenset({_S.DEGRADED, _S.FAILED})",
        check_machine,
    ),
    Bug(
        "memory changes before the disk does",
        state_machine,
        "            history = [*self.history, transition][-HISTORY:]\n",
        "            history = [*self.history, transition][-HISTORY:]\n            self.state = to\n",
        check_machine,
    ),
    Bug(
        "the history is remembered although it could not be saved",
        state_machine,
        "            history = [*self.history, transition][-HISTORY:]\n",
        "            self.history.append(transition)\n            history = list(self.history)\n",
        check_machine,
    ),
    Bug(
        "the file is written in its place",
        state_machine,
        'temporary = path.with_name(f".{path.name}.new")',
        "temporary = path",
        check_machine,
    ),
    Bug(
        "a directory that cannot be synced counts as unsaved",
        state_machine,
        "    with contextlib.suppress(OSError):\n        _sync_directory(path.parent)",
        "    _sync_directory(path.parent)",
        check_machine,
    ),
    Bug(
        "one line of the history is lost",
        state_machine,
        "[*self.history, transition][-HISTORY:]",
        "[*self.history, transition][-HISTORY + 1 :]",
        check_machine,
    ),
    Bug(
        "a refused pair is not recorded",
        state_machine,
        "                tell(self.on_refused, transition)\n",
        "",
        check_machine,
    ),
    Bug(
        "two changes at once begin from the same state",
        state_machine,
        "        async with self._lock:\n",
        "        if True:\n",
        check_machine,
    ),
    Bug(
        "a cancelled caller tears its change apart",
        state_machine,
        "            return await asyncio.shield(changing)",
        "            return await changing",
        check_machine,
    ),
    Bug(
        "a restart forgets maintenance",
        state_machine,
        "        if saved.state is SystemState.MAINTENANCE:",
        "        if False:",
        check_machine,
    ),
    Bug(
        "a listener that fails fails the change",
        state_machine,
        "        tell(self.on_transition, transition)",
        "        self.on_transition(transition)",
        check_machine,
    ),
    Bug(
        "a reason that cannot be written ends it all",
        state_machine,
        '[:MAX_REASON].encode(errors="replace").decode()',
        "[:MAX_REASON]",
        check_machine,
    ),
    Bug(
        "a disk that fails leaves memory ahead of the file",
        state_machine,
        "                raise TransitionNotSaved(\n",
        "                self.history.append(transition)\n                raise TransitionNotSaved(\n",
        check_machine_under_driver,
    ),
    Bug(
        "an unsaved transition is not tried again",
        driver,
        "                    asyncio.get_running_loop().call_later(RETRY_DELAY, self._changed.set)\n",
        "",
        check_driver,
    ),
    Bug(
        "an unsaved transition is not reported",
        driver,
        "                    tell(self.on_unsaved, unsaved)\n",
        "",
        check_driver,
    ),
    Bug(
        "the driver takes the straight way from failed to healthy",
        driver,
        "now in (_S.DEGRADED, _S.FAILED) and wanted in (_S.HEALTHY, _S.DEGRADED)",
        "now is _S.DEGRADED and wanted in (_S.HEALTHY, _S.DEGRADED)",
        check_driver,
    ),
    Bug(
        "what is mended hides what is critical",
        driver,
        "if one.critical and not one.recovering), None)",
        "if one.critical and not any(two.recovering for two in found)), None)",
        check_driver,
    ),
    Bug(
        "a second failure does not end a recovery",
        driver,
        "        self._conditions[what] = Condition(reason, critical)\n",
        "        self._conditions.setdefault(what, Condition(reason, critical))\n",
        check_driver,
    ),
    Bug(
        "a change during a transition is missed",
        driver,
        "                unsaved = await self._follow() if self._ready else None\n",
        "                unsaved = await self._follow() if self._ready else None\n"
        "                self._changed.clear()\n",
        check_driver,
    ),
    Bug(
        "maintenance does not go on after a restart",
        driver,
        "            self._maintenance = self._machine.reason\n",
        "            pass\n",
        check_driver,
    ),
    Bug(
        "whoever waits when it ends waits for ever",
        driver,
        "                future.cancel()",
        "                pass",
        check_driver,
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=named)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    find(bug, monkeypatch)
