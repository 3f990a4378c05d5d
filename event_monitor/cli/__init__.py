"""event-cli. ``publish`` and ``hook`` start in the time of a bare interpreter: this module, ``fast``
and what they import load neither argparse, json, typing nor any dependency."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """The console script. Returns the exit status: 0 done, 1 refused or failed, 2 wrong usage or bad
    input, 3 no bus is running, 130 interrupted."""
    from event_monitor.cli import fast

    arguments = sys.argv[1:]
    try:
        status = fast.run(arguments)
        if status is not None:
            # The fast path buffers nothing, and tearing the interpreter down costs a sixth of it.
            os._exit(status)
        from event_monitor.cli.app import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130
    except (OSError, UnicodeError) as error:
        from event_monitor.cli.output import report_failure

        return report_failure(error)
