"""``python -m tests.fuzz [TARGET ...] [--cases N] [--seed S] [--first N]``: fuzz, and tell what failed."""

from __future__ import annotations

import argparse

from tests.fuzz.harness import run
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Answers 1 if a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--cases", type=int, help="for each target (default: 20,000, fewer for slow ones)")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    options = parser.parse_args()
    unknown = [name for name in options.target if name not in TARGETS]
    if unknown:
        parser.error(f"unknown target {unknown[0]!r}; take one of {', '.join(TARGETS)}")
    total = failed = 0
    for name in options.target or TARGETS:
        target = TARGETS[name]
        outcome = run(target, options.cases or 20_000 // target.weight, options.seed, options.first)
        rate = outcome.cases / outcome.seconds
        print(
            f"{name:10} {outcome.cases:9,} cases  {rate:9,.0f}/s  {len(outcome.failures)} failures",
            flush=True,
        )
        for failure in outcome.failures:
            print(f"  {failure}", flush=True)
        total += outcome.cases
        failed += len(outcome.failures)
    print(f"{total:,} cases, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
