"""Events a second from publish to settled, against SQLite's limit and the peers."""

from __future__ import annotations

from typing import Any

from tests.bench.measure import fsync_ms, interleaved, medians
from tests.bench.options import Options
from tests.bench.report import Report

PUBLISHERS = (1, 10, 100, 1_000)
BATCH = 1_000
DURABILITIES = ("full", "normal")
DURABLE_PEERS = {"persist-queue": "persist_queue", "litequeue": "lite_queue", "huey": "huey_loop"}
COLUMNS = (
    "contestant", "durability", "events_per_s", "lowest", "highest", "x_raw_settle", "x_raw_insert",
    "x_best_peer", "publish_p50_ms", "publish_p99_ms", "note",
)  # fmt: skip

Case = tuple[str, str]


def run(options: Options) -> Report:
    """One row a contestant and durability: the median over the rounds."""
    seconds = 0.5 if options.quick else 1.5
    commands: dict[Case, list[str]] = {}
    missing: dict[Case, str] = {}
    for durability in DURABILITIES:
        for count in PUBLISHERS:
            ours, raw = f"event-monitor, {count} publishers", f"raw SQLite, batches of {count}"
            commands[ours, durability] = options.worker("bus_throughput", durability, seconds, count, 1)
            for kind in ("insert", "settle"):
                commands[f"{raw}, {kind}", durability] = options.worker(
                    "raw_sqlite", durability, seconds, count, kind
                )
        commands[f"event-monitor, {BATCH} at once by 1 publisher", durability] = options.worker(
            "bus_throughput", durability, seconds, 1, BATCH
        )
        for name, loop in DURABLE_PEERS.items():
            _peer(options, (name, durability), loop, durability, seconds, commands, missing)
    for variant, label in (("memory", "none, in memory"), ("wal", "log file, no fsync")):
        _peer(options, ("bubus", label), "bubus_loop", variant, seconds, commands, missing)
    encoded = {"|".join(case): command for case, command in commands.items()}
    probe = fsync_ms(options.scratch)
    results, failures = interleaved(encoded, options.rounds(3), options.scratch)
    missing |= {case: failures[key] for case in commands if (key := "|".join(case)) in failures}
    measured = {case: results[key] for case in commands if (key := "|".join(case)) in results}
    rows = _rows(measured)
    rows += [{"contestant": name, "durability": kind, "note": why} for (name, kind), why in missing.items()]
    notes = [
        f"median of {options.rounds(3)} interleaved rounds of {seconds} s; append + fsync here: {probe} ms",
        "x_raw_*: ours as a share of raw SQLite with the same table, indexes, durability and a batch as "
        "large as the number of publishers; x_best_peer: against the fastest durable peer, same durability",
        "peers run publish, get, handle, acknowledge in one loop; huey forgets a task before it runs it, "
        "bubus keeps nothing on disk or does not sync",
    ]
    return Report("throughput", "Throughput, events/s end to end", COLUMNS, rows, notes)


def _peer(
    options: Options,
    case: Case,
    loop: str,
    variant: str,
    seconds: float,
    commands: dict[Case, list[str]],
    missing: dict[Case, str],
) -> None:
    why = options.have(case[0])
    if why is None:
        commands[case] = options.peer(case[0], loop, variant, seconds)
    else:
        missing[case] = why


def _rows(measured: dict[Case, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    middle = {case: medians(rounds) for case, rounds in measured.items()}
    rate = {case: found["events_per_s"] for case, found in middle.items()}
    rows = []
    for (name, durability), found in middle.items():
        every = [one["events_per_s"] for one in measured[name, durability]]
        row: dict[str, Any] = {
            "contestant": name,
            "durability": durability,
            "events_per_s": round(found["events_per_s"]),
            "lowest": round(min(every)),
            "highest": round(max(every)),
        }
        if name.startswith("event-monitor"):
            batch = name.split()[1]
            for kind in ("settle", "insert"):
                limit = rate.get((f"raw SQLite, batches of {batch}, {kind}", durability))
                row[f"x_raw_{kind}"] = round(rate[name, durability] / limit, 3) if limit else None
            peers = [rate[peer, durability] for peer in DURABLE_PEERS if (peer, durability) in rate]
            row["x_best_peer"] = round(rate[name, durability] / max(peers), 1) if peers else None
            row |= {key: found[key] for key in ("publish_p50_ms", "publish_p99_ms")}
        rows.append(row)
    return sorted(
        rows, key=lambda row: (row["durability"], list(rate).index((row["contestant"], row["durability"])))
    )
