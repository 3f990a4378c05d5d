"""Writes the pages of ``docs/reference`` from the code: ``python docs/make.py``.

``--check`` writes nothing, says which pages are out of date, and exits 1 if any is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from making import cli, configuration, events, keys

REFERENCE = Path(__file__).parent / "reference"
PAGES = {
    "events.md": events.page,
    "configuration.md": configuration.page,
    "event-cli.md": cli.page,
    "keys.md": keys.page,
}


def main() -> int:
    """Write or check the pages; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path = REFERENCE / name
        text = make()
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
            print(f"{path} written")
    if check and stale:
        print(f"out of date: {', '.join(stale)} (run python docs/make.py)", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
