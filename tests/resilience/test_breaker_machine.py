"""The circuit breaker against a plain model, driven by Hypothesis through any order of events."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from event_monitor.resilience import breaker as real
from tests.reached import must_reach, reached

BOUNDED = settings(derandomize=True, max_examples=300, stateful_step_count=40, deadline=None, database=None)

THRESHOLD, TIMEOUT, RECOVERY, LEASE = 3, 10.0, 5.0, 8.0


class CallersFault(Exception):
    """Counts for nothing."""


class Model:
    """What the documentation says, written for clarity: who began in which era, and what is known."""

    def __init__(self) -> None:
        self.state = "CLOSED"
        self.held: str | None = None
        self.era = 0
        self.failures: list[float] = []
        self.since = 0.0
        self.probe: tuple[object, float] | None = None

    def turn(self, state: str, at: float) -> None:
        self.state, self.since, self.probe = state, at, None
        self.era += 1
        if state == "CLOSED":
            self.failures = []

    def passes(self, now: float) -> bool:
        """Whether a call gets through, after what the time alone has changed."""
        if self.held is not None:
            return self.held == "closed"
        if self.state == "HALF_OPEN" and self.probe is not None and now >= self.probe[1] + LEASE:
            reached("a probe is lost")
            self.turn("OPEN", self.probe[1] + LEASE)
        if self.state == "OPEN" and now >= self.since + RECOVERY:
            self.turn("HALF_OPEN", now)
        return self.state == "CLOSED" or (self.state == "HALF_OPEN" and self.probe is None)

    def began(self, call: object, now: float) -> None:
        if self.state == "HALF_OPEN":
            self.probe = (call, now)

    def ended(self, call: object, era: int, how: str, now: float) -> None:
        if era != self.era:
            reached("a late result")
            return
        if self.state == "HALF_OPEN":
            assert self.probe is not None
            assert self.probe[0] is call
            if how in ("cancelled", "ignored"):
                self.probe = None
            else:
                self.turn("CLOSED" if how == "success" else "OPEN", now)
        elif how == "success":
            self.failures = []
        elif how == "failure":
            self.failures = [*self.failures, now][-THRESHOLD:]
            recent = [at for at in self.failures if now - at <= TIMEOUT]
            if len(recent) == THRESHOLD and self.held is None:
                self.turn("OPEN", now)


def breaker_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """The machine for the breaker of a module: the real one, or one with a planted bug."""

    class BreakerMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 1_000.0
            self.with_people = False
            self.breaker = self.fresh()
            self.model = Model()
            self.calls: list[tuple[Any, int]] = []

        def fresh(self) -> Any:
            return module.CircuitBreaker(
                THRESHOLD,
                TIMEOUT,
                RECOVERY,
                failure_rate=None,
                probe_lease=LEASE,
                is_failure=lambda error: not isinstance(error, CallersFault),
                clock=lambda: self.now,
            )

        @initialize(with_people=st.booleans())
        def choose(self, with_people: bool) -> None:
            self.with_people = with_people

        @rule()
        def begin(self) -> None:
            foretold = self.breaker.would_pass()
            expected = self.model.passes(self.now)
            try:
                permit = self.breaker.acquire()
            except module.CircuitOpenError as refused:
                assert not expected, "a call was refused that should pass"
                reached(f"a call is refused while {self.model.state}")
                assert refused.retry_after > 0
            else:
                assert expected, "a call passed that should be refused"
                self.model.began(permit, self.now)
                self.calls.append((permit, self.model.era))
            assert foretold is expected

        @precondition(lambda self: self.calls)
        @rule(place=st.integers(0, 9), how=st.sampled_from(("success", "failure", "ignored", "cancelled")))
        def end(self, place: int, how: str) -> None:
            permit, era = self.calls.pop(place % len(self.calls))
            match how:
                case "success":
                    permit.success()
                case "failure":
                    permit.failure(OSError("down"))
                case "ignored":
                    permit.failure(CallersFault())
                case _:
                    permit.release()
            self.model.ended(permit, era, how, self.now)

        @rule(times=st.sampled_from((1, THRESHOLD)))
        def fail_in_a_row(self, times: int) -> None:
            for _ in range(times):
                before = len(self.calls)
                self.begin()
                if len(self.calls) > before:
                    self.end(len(self.calls) - 1, "failure")

        @rule()
        def recover(self) -> None:
            self.now += RECOVERY
            self.begin()

        @rule(seconds=st.sampled_from((0.5, 2.0, 4.5, RECOVERY, LEASE, 30.0)))
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @precondition(lambda self: self.with_people)
        @rule(how=st.sampled_from(("open", "closed", "reset", "half_open", "half_open")))
        def person(self, how: str) -> None:
            match how:
                case "open":
                    self.breaker.force_open("ann", "why")
                    self.model.held = "open"
                    self.model.turn("OPEN", self.now)
                case "closed":
                    self.breaker.force_close("ann", "why")
                    self.model.held = "closed"
                    self.model.turn("CLOSED", self.now)
                case "reset":
                    self.breaker.reset("ann")
                    self.model.held = None
                    self.model.turn("CLOSED", self.now)
                case _:
                    self.breaker.half_open("ann")
                    if self.model.state == "OPEN" and self.model.held is None:
                        self.model.turn("HALF_OPEN", self.now)

        @precondition(lambda self: self.with_people)
        @rule()
        def restart(self) -> None:
            self.calls.clear()
            if self.model.state == "HALF_OPEN":
                self.model.turn("OPEN", self.now - RECOVERY)
            elif self.model.state == "CLOSED":
                self.model.failures = []
            saved = self.breaker.save(wall=50.0)
            self.breaker = self.fresh()
            self.breaker.restore(saved, wall=50.0)

        @invariant()
        def state_is_as_the_model_says(self) -> None:
            assert self.breaker.state == self.model.state
            reached(f"held {self.model.held}" if self.model.held else self.model.state)
            if self.model.held is None and self.model.state == "CLOSED":
                assert self.breaker.failure_count == len(self.model.failures)

        @invariant()
        def one_probe_at_most(self) -> None:
            if self.model.state == "HALF_OPEN":
                assert sum(era == self.model.era for _, era in self.calls) <= 1

    return BreakerMachine


def check_breaker(module: ModuleType, how: settings = BOUNDED) -> None:
    """Raise if the breaker of this module ever differs from the model."""
    run_state_machine_as_test(breaker_machine(module), settings=how)


def test_the_breaker_does_what_the_model_does() -> None:
    with must_reach(
        *("CLOSED", "OPEN", "HALF_OPEN", "held open", "held closed", "a probe is lost", "a late result"),
        *("a call is refused while OPEN", "a call is refused while HALF_OPEN"),
    ):
        check_breaker(real)
