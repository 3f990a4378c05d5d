"""How fast a replay is planned and carried out, beside a bare scan of the same history."""

from __future__ import annotations

from typing import Any

from tests.bench.measure import interleaved, medians
from tests.bench.options import Options
from tests.bench.report import Report

COUNTS = (20_000, 200_000)
COLUMNS = ("what", "events", "events_per_s", "lowest", "highest", "x_scan", "note")
ROWS = {
    "scan": "bare scan: pages of 1,000 rows, decoded",
    "dry_run": "dry run",
    "dry_run_routed": "dry run, one type of twenty routed by its payload",
    "dry_run_filter": "dry run, with a filter on the payload",
    "max": "replay at max: published, handled, settled",
}


def run(options: Options) -> Report:
    """Each round in a process and on a database of its own."""
    counts = COUNTS[:1] if options.quick else COUNTS
    rounds = options.rounds(5)
    commands = {str(count): options.worker("replay", count) for count in counts}
    results, failures = interleaved(commands, rounds, options.scratch)
    rows: list[dict[str, Any]] = []
    for count in counts:
        if str(count) in failures:
            rows.append({"what": "replay", "events": count, "note": failures[str(count)]})
            continue
        found = results[str(count)]
        middle = medians(found)
        for name, what in ROWS.items():
            rates = [one[f"{name}_per_s"] for one in found]
            rows.append(
                {
                    "what": what,
                    "events": count,
                    "events_per_s": round(middle[f"{name}_per_s"]),
                    "lowest": round(min(rates)),
                    "highest": round(max(rates)),
                    "x_scan": round(middle[f"{name}_per_s"] / middle["scan_per_s"], 2),
                }
            )
    notes = [
        f"median of {rounds} rounds, durability full, handler batches of 256 that only count",
        "scan and dry run read from a warm cache; the replay goes through store and queue like any event",
    ]
    return Report("replay", "Replaying recorded events", COLUMNS, rows, notes)
