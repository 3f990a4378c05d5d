"""The command that injects faults, into homes made for it."""

from __future__ import annotations

from event_monitor.grammar.spec import Argument, Command, Example, Option

GROUPS = ("services", "network", "exhaustion", "recovery")
CASCADE = "cascade"
SCENARIOS = (
    *("service-dies", "service-hangs", "service-flaps", "service-errors"),
    *("target-fails", "target-hangs", "target-blocks"),
    *("network-drops", "network-drops-requests", "network-drops-answers", "network-delays"),
    *("network-resets", "network-slices", "network-loses-receipts"),
    *("queue-full", "bulkhead-full", "disk-full", "disk-errors", "disk-slow"),
    *("descriptors-out", "memory-grows"),
    *("bus-killed", "bus-frozen", "bus-down", "service-killed", "service-frozen"),
    *("database-damaged", "state-damaged", "rules-broken", "clock-jumps"),
)
SEED, DURATION, PATIENCE = 1, 6.0, 1.0
"""What a run has where nothing is said."""

BREAKING = (
    Command(
        path=("chaos",),
        summary="Let things go wrong on a throw-away home, and see that nothing is lost",
        arguments=(
            Argument(
                name="scenario",
                required=False,
                many=True,
                choices=(*GROUPS, CASCADE, *SCENARIOS),
                help="scenarios, or groups of them (default: all); event-cli chaos list shows them",
            ),
        ),
        options=(
            Option(
                name="seed",
                kind="integer",
                metavar="N",
                default=SEED,
                help="what goes wrong when; the same again for the same number (default 1)",
            ),
            Option(
                name="duration",
                kind="number",
                metavar="T",
                default=DURATION,
                help="seconds of load for each scenario (default 6)",
            ),
            Option(
                name="report",
                metavar="FILE",
                source="files",
                help="write the report there as well: a page (.html), a picture (.svg), .json or .txt",
            ),
            Option(
                name="patience",
                kind="number",
                metavar="X",
                default=PATIENCE,
                help="multiply the time that a recovery may take, for a slow machine (default 1)",
            ),
            Option(name="keep", kind="flag", help="leave the homes for a look at them, and say where"),
        ),
        examples=(
            Example("event-cli chaos", "all scenarios, in about five minutes"),
            Example("event-cli chaos recovery --seed 7", "one group, with other faults at other times"),
            Example("event-cli chaos --report report.html", "all, with a page to look at"),
            Example("event-cli chaos list", "scenarios and fault points, a line each"),
        ),
        notes="Each scenario has a bus of its own on a fresh home, which is removed at the end; your home is "
        "neither read nor written. With --home the homes are made in that directory, which must not exist, "
        "and stay. Exits 1 if an event was lost, if something deadlocked, or if the system was not HEALTHY "
        "again in the time that the scenario states. cascade is a comparison, once without the resilience "
        "layer and once with it: it must let at most half as many failures spread.",
    ),
    Command(
        path=("chaos", "list"),
        summary="Show the scenarios and the fault points of chaos",
        examples=(Example("event-cli chaos list", "a line each"),),
    ),
)
