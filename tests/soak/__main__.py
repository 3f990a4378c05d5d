"""A long run of the whole program: ``python -m tests.soak`` soaks a real bus in mixed load and random faults,
``--virtual`` lets days pass on virtual time. Ends with 1 if an invariant is broken, never for a time."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.soak import days
from tests.soak.days import live_all
from tests.soak.report import text_of
from tests.soak.run import soak, to_json


def main() -> int:
    """Answers 1 if an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="what goes wrong when (default 1)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the outcome as JSON there")
    parser.add_argument("--rate", type=float, default=500.0, help="events a second of all publishers")
    parser.add_argument("--publishers", type=int, default=4, help="processes that publish (default 4)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new directory to soak in, and to keep")
    parser.add_argument("--virtual", action="store_true", help="days on virtual time instead")
    parser.add_argument("--seeds", default="1", help="with --virtual: which days, such as 1-20 (default 1)")
    parser.add_argument("--hours", type=int, default=24, help="with --virtual: the length of a day")
    parser.add_argument(
        "--twice", action="store_true", help="with --virtual: see that each is the same again"
    )
    options = parser.parse_args()
    if options.virtual:
        return _virtual(options)
    with _directory(options.keep) as directory:
        outcome = asyncio.run(
            soak(
                directory,
                minutes=options.minutes,
                seed=options.seed,
                rate=options.rate,
                publishers=options.publishers,
                tell=lambda line: print(line, file=sys.stderr, flush=True),
            )
        )
    print(text_of(outcome), end="")
    if options.report is not None:
        options.report.write_text(json.dumps(to_json(outcome), indent=1) + "\n")
    return 1 if outcome.broken else 0


def _virtual(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="soak-") as assistant:
        # What the user's own assistant declares is not to be looked at.
        os.environ["CLAUDE_CONFIG_DIR"] = assistant
        first, _, last = options.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
        reports = live_all(seeds, options.hours, options.twice, lambda line: print(line, flush=True))
    if options.report is not None:
        options.report.write_text(json.dumps(days.to_json(reports), indent=1) + "\n")
    return 1 if any(report.wrong for report in reports) else 0


@contextlib.contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        yield Path(directory)


if __name__ == "__main__":
    sys.exit(main())
