"""``python -m event_monitor.cli``."""

from __future__ import annotations

import sys

from event_monitor.cli import main

if __name__ == "__main__":
    sys.exit(main())
