"""``python -m tests.bench [NAME...] [--json FILE] [--quick] [--peers DIR] [--scratch DIR]``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tests.bench.installed import Peers, default_directory
from tests.bench.options import Options

BENCHES = (
    *("startup", "resilience", "routing", "throughput", "latency"),
    *("drain", "replay", "explorer", "contention", "dashboard", "keys"),
)


def main() -> int:
    """Run the benches that were named, or all. Answers 1 if one could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHES)}; all if none")
    parser.add_argument("--json", metavar="FILE", help="write the JSON lines there instead of to stdout")
    parser.add_argument("--quick", action="store_true", help="short runs: shows that all works, not how fast")
    parser.add_argument("--peers", type=Path, default=default_directory(), help="where peers are installed")
    parser.add_argument("--scratch", type=Path, default=None, help="a directory on the disk to measure")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHES):
        parser.error(f"no bench is named {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    base = (chosen.scratch or chosen.peers).absolute()
    base.mkdir(parents=True, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory(dir=base, prefix="run-") as scratch, _output(chosen.json) as out:
        options = Options(Peers(chosen.peers.absolute()), Path(scratch), chosen.quick)
        print(json.dumps({"bench": "machine", "quick": chosen.quick, **machine()}), file=out, flush=True)
        for name in chosen.names or BENCHES:
            print(f"{name}: running, load {os.getloadavg()[0]:.2f}", file=sys.stderr, flush=True)
            try:
                report = importlib.import_module(f"tests.bench.{name}").run(options)
            except (OSError, RuntimeError, AssertionError) as error:
                print(f"{name}: could not run: {error}", file=sys.stderr)
                print(json.dumps({"bench": name, "error": str(error)}), file=out, flush=True)
                failed = True
            else:
                report.write(out)
    return 1 if failed else 0


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with open(path, "a", encoding="utf-8") as out:
        yield out


if __name__ == "__main__":
    sys.exit(main())
