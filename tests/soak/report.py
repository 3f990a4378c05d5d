"""The outcome of a soak as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.soak.run import HEALTHY_WITHIN, Outcome
from tests.soak.view import Sample

ROWS = 16
_SHOWN_ALERTS = 12


def text_of(outcome: Outcome) -> str:
    """The whole report."""
    return "\n".join(_lines(outcome)) + "\n"


def _lines(outcome: Outcome) -> Iterator[str]:
    account = outcome.account
    ends = ", ".join(f"{n} x {how}" for how, n in Counter(one.how for one in outcome.lives[:-1]).items())
    yield f"soak of {outcome.minutes:g} minutes, seed {outcome.seed}"
    yield ""
    yield from _pairs({name: value for name, value in account.figures.items() if not isinstance(value, dict)})
    yield from _pairs(
        {
            "lives of the bus": f"{len(outcome.lives)} ({ends})",
            "slowest start": f"{outcome.slowest_start:.2f} s",
            "HEALTHY after the last fault": f"{outcome.healthy_after} s (wanted: {HEALTHY_WITHIN:.0f} s)",
            "drained after the last publish": f"{outcome.drained_after} s",
        }
    )
    if outcome.view is not None:
        view = outcome.view
        yield from _pairs({"snapshots of the view": view.snapshots, "events of the stream": view.streamed})
    yield ""
    yield from _table(
        ["latency", "count", "p50 ms", "p95 ms", "p99 ms", "max ms"],
        [[name, *found.values()] for name, found in account.latency.items()],
    )
    yield ""
    yield from _faults(outcome)
    yield ""
    if outcome.view is not None:
        yield from _over_time(outcome.view.samples)
    yield ""
    grew = ", ".join(f"{name} {value}" for name, value in outcome.slopes.items())
    yield f"growth a minute in the steady part (no faults, no restart): {grew}"
    yield ""
    yield from _table(["alerts", "count"], [list(one) for one in account.alerts.most_common(_SHOWN_ALERTS)])
    yield ""
    yield from (f"refused: {line}" for line in outcome.complaints[:5])
    if account.broken:
        yield f"{len(account.broken)} INVARIANTS BROKEN"
        yield from (f"  - {line}" for line in account.broken)
    else:
        yield "all invariants hold: every accepted event is accounted for, none was done twice by one process"


def _faults(outcome: Outcome) -> Iterator[str]:
    counted = Counter(one.name for one in outcome.happened)
    away = Counter(one.name for one in outcome.happened if one.outcome)
    rows = [
        [name.replace("_", " "), count, away[name], round(_mean(outcome, name), 1)]
        for name, count in sorted(counted.items())
    ]
    yield from _table(["faults", "count", "met no bus", "mean s"], rows)


def _mean(outcome: Outcome, name: str) -> float:
    lengths = [one.ended - one.begun for one in outcome.happened if one.name == name]
    return sum(lengths) / len(lengths)


def _over_time(samples: Sequence[Sample]) -> Iterator[str]:
    step = max(1, len(samples) // ROWS)
    columns = ["at", "phase", "life", "state", "published", "pending", "parked", "p95_ms"]
    columns += ["rss_mib", "fds", "tasks", "threads", "wal_mib"]
    chosen = [*samples[::step], *samples[-1:]]
    yield from _table(columns, [[getattr(one, column) for column in columns] for one in chosen])


def _pairs(pairs: dict[str, Any]) -> Iterator[str]:
    for name, value in pairs.items():
        yield f"  {name.replace('_', ' '):32} {_cell(value)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Aligned text: the first column to the left, the rest to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    cells = [[*row, *[""] * (len(head) - len(row))] for row in cells]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for row in cells:
        first, *rest = zip(row, widths, strict=True)
        line = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        yield "  " + "  ".join(line).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
