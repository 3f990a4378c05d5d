"""How fast pages of a long history come, by key and by filter, beside a bare keyset SELECT."""

from __future__ import annotations

from typing import Any

from tests.bench.measure import interleaved, medians
from tests.bench.options import Options
from tests.bench.report import Report

COUNT = 1_000_000
COLUMNS = ("what", "median_ms", "p99_ms", "x_select", "note")
ROWS = {
    "select": "bare SELECT of a page of 100 rows at a random place",
    "query": "the same page by QueryHistory, from the dashboard's thread",
    "type": "a page of one rare type by QueryHistory",
    "dead": "a page of dead letters by QueryHistory",
    "word": "one step of a search for a word in no event",
    "regex": "one step of a search for a regular expression in no event",
    "page_down": "key to page: pgdn in the Events tab",
    "jump": "key to page: to a random event of history and its neighbours",
    "ends": "key to page: end and home in turn",
}


def run(options: Options) -> Report:
    """Each round in a process and on a store of its own."""
    count = 50_000 if options.quick else COUNT
    rounds = options.rounds(3)
    results, failures = interleaved({"explorer": options.worker("explorer", count)}, rounds, options.scratch)
    if failures:
        failed = [{"what": "explorer", "note": "; ".join(failures.values())}]
        return Report("explorer", "Looking through history", COLUMNS, failed)
    found = medians(results["explorer"])
    rows: list[dict[str, Any]] = [
        {
            "what": what,
            "median_ms": round(found[f"{name}_median"] * 1e3, 2),
            "p99_ms": round(found[f"{name}_p99"] * 1e3, 2),
            "x_select": round(found[f"{name}_median"] / found["select_median"], 1),
        }
        for name, what in ROWS.items()
    ]
    rows[4]["note"] = f"{found['word_scanned']:,.0f} events looked at"
    rows[5]["note"] = f"{found['regex_scanned']:,.0f} events looked at"
    notes = [
        f"{count:,} events of 110 bytes of payload, warm cache, median of {rounds} rounds",
        "keys: from the key's arrival until its rows are laid out, 120x36, no terminal behind it",
        f"the most rows that the tab held: {found['rows_held']:,.0f}",
    ]
    return Report("explorer", "Looking through history", COLUMNS, rows, notes)
