"""What it costs to find where an event goes, with few rules and with many."""

from __future__ import annotations

from typing import Any

from tests.bench.measure import interleaved, medians
from tests.bench.options import Options
from tests.bench.report import Report

COUNTS = (10, 100, 1_000)
COLUMNS = (
    "rules", "plain_ns", "filtered_ns", "new_type_ns", "mixed_ns", "naive_ns", "x_naive", "rules_a_type",
    "filtered_percent", "note",
)  # fmt: skip


def run(options: Options) -> Report:
    """One row a number of rules: the median of the processes' medians."""
    rounds = options.rounds(5)
    commands = {str(count): options.worker("routing", count, 3 if options.quick else 9) for count in COUNTS}
    results, failures = interleaved(commands, rounds, options.scratch)
    rows: list[dict[str, Any]] = []
    for count in COUNTS:
        row: dict[str, Any] = {"rules": count}
        if str(count) in failures:
            row["note"] = failures[str(count)]
        else:
            middle = medians(results[str(count)])
            row |= {name: round(value, 1) for name, value in middle.items()}
            row["x_naive"] = round(middle["naive_ns"] / middle["mixed_ns"], 1)
        rows.append(row)
    notes = [
        f"medians of {rounds} interleaved processes; nanoseconds of processor time an event, 2,000 events of "
        "200 types, rules over 20 areas of which a fifth has a filter",
        "plain: no filter can apply to the type; filtered: one can, so the payload is asked; new_type: the "
        "first event of a type; mixed: all events; naive: a loop over compiled expressions, same events",
    ]
    return Report("routing", "Routing, ns of processor time an event", COLUMNS, rows, notes)
