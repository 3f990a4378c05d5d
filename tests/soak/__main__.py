"""``python -m tests.soak [--minutes N] [--seed S] [--report FILE] [--rate R] [--publishers P] [--keep DIR]``:
a real bus under mixed load and random faults. Ends with 1 if an invariant is broken, never for a time."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
    options = parser.parse_args()
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
