"""The bus under test: ``python -m event_monitor.chaos.bus HOME``.

It is ``event-monitor --headless`` with fault points in its surroundings. Its stdin is the pipe over which
they are armed; when that ends, whoever wanted the bus is gone, and so is it. stdout has the line that
``--headless`` prints, and one for each order that was carried out.
"""

from __future__ import annotations

import os
import sys
import threading

import msgspec

from event_monitor.chaos.handlers import INSIDE
from event_monitor.chaos.seams import Scarcity, surroundings
from event_monitor.chaos.switchboard import SWITCHBOARD, Order
from event_monitor.headless import run_headless
from event_monitor.paths import HomePaths

ABANDONED = 70
"""The exit status of a bus that nobody wants any more."""


def main() -> int:
    """``HOME`` on the command line."""
    threading.Thread(target=_obey, name="orders", daemon=True).start()
    return run_headless(HomePaths(sys.argv[1]), surroundings(), INSIDE.started)


def _obey() -> None:
    scarcity = Scarcity()
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        if order.arm is not None:
            SWITCHBOARD.arm(order.arm)
        else:
            SWITCHBOARD.heal(order.heal)
        scarcity.follow()
        done = {"obeyed": order.arm.point if order.arm is not None else order.heal}
        os.write(1, msgspec.json.encode(done) + b"\n")
    os._exit(ABANDONED)


if __name__ == "__main__":
    sys.exit(main())
