"""What a chaos run found, as plain data: the table, the JSON and the page are drawn from this alone.

Times are seconds since the scenario's load began, but for ``started_at`` (ISO 8601, UTC).
"""

from __future__ import annotations

import msgspec


class FaultMark(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, from when it was injected until it was healed. ``point`` is the fault point's name."""

    point: str
    detail: str
    began: float
    healed: float


class StateMark(msgspec.Struct, frozen=True, kw_only=True):
    """The system state from ``at`` on."""

    at: float
    state: str
    reason: str = ""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one second. ``latency_p95`` is from publish to handled, in milliseconds; None if
    nothing was handled. ``queue_depth`` is None while the bus could not be asked."""

    at: float
    published: int
    handled: int
    queue_depth: int | None
    latency_p95: float | None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Where each accepted event is at the end. ``lost`` is what is nowhere: it must be 0.

    ``again`` counts events that a handler saw more than once (at least once is what is promised).
    """

    accepted: int
    delivered: int
    dead: int = 0
    expired: int = 0
    sampled: int = 0
    lost: int = 0
    again: int = 0
    refused: int = 0

    @property
    def accounted_share(self) -> float:
        """Delivered, or deliberately settled otherwise, of what was accepted; 1.0 if nothing was."""
        return (self.accepted - self.lost) / self.accepted if self.accepted else 1.0


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From publish to handled, in milliseconds, of the events published while no fault was at work, and
    of all."""

    steady_p50: float | None
    steady_p95: float | None
    steady_p99: float | None
    all_p95: float | None
    all_max: float | None


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario's run. It has passed if ``failures`` is empty.

    ``recoveries`` are the seconds from each heal until the system was HEALTHY and all was settled;
    ``recovery_limit`` is what the scenario states as the most.
    """

    name: str
    group: str
    title: str
    seed: int
    started_at: str
    seconds: float
    faults: tuple[FaultMark, ...]
    states: tuple[StateMark, ...]
    samples: tuple[Sample, ...]
    account: Account
    latency: Latency
    recoveries: tuple[float, ...]
    recovery_limit: float
    deadlocks: int
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class CascadeSide(msgspec.Struct, frozen=True, kw_only=True):
    """A chain of services under the same faults, with the layer off or on.

    ``calls`` are the visitors', ``answered`` of them were in time, ``degraded`` of these with a stand-in;
    ``latency_p95`` is that of the answered ones, in milliseconds. ``bystanders`` are those that did not
    need the service struck last: how many, and how many of them failed.

    ``by_service`` holds the calls to each service, by visitors and services, and how many of them failed.
    ``cascaded`` counts the failed ones to services that had no fault of their own; ``own`` those to the
    one that had. ``per_second`` holds, for each second, visitors answered and calls that cascaded.
    """

    calls: int
    answered: int
    degraded: int = 0
    own: int
    cascaded: int
    bystanders: tuple[int, int] = (0, 0)
    latency_p95: float
    per_second: tuple[tuple[int, int], ...]
    by_service: dict[str, tuple[int, int]]


class CascadeResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same seed without the layer and with it."""

    seed: int
    seconds: float
    services: tuple[str, ...]
    faults: tuple[FaultMark, ...]
    off: CascadeSide
    on: CascadeSide

    @property
    def ratio(self) -> float | None:
        """Cascaded failures with the layer, as a share of those without; None if there were none."""
        return self.on.cascaded / self.off.cascaded if self.off.cascaded else None

    @property
    def halved(self) -> bool:
        """Whether the layer at least halved what cascades; not if nothing does without it."""
        return self.ratio is not None and self.ratio <= 0.5


class ChaosReport(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. ``command`` repeats it."""

    version: str
    command: str
    seed: int
    started_at: str
    seconds: float
    machine: str
    scenarios: tuple[ScenarioResult, ...]
    cascade: CascadeResult | None = None

    @property
    def passed(self) -> bool:
        """Whether each scenario did, and the layer at least halved what cascades."""
        halved = self.cascade is None or self.cascade.halved
        return halved and not any(scenario.failures for scenario in self.scenarios)
