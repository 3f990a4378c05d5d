"""``event-monitor``: the dashboard with the bus inside, or one of the two alone."""

from __future__ import annotations

import argparse
import os
import sys

from event_monitor import __version__
from event_monitor.errors import EventMonitorError, InvalidConfig, NoBus
from event_monitor.paths import HomePaths

EXAMPLES = """\
examples:
  event-monitor                     the dashboard, with the bus inside; a second one attaches to the first
  event-monitor --demo              try it with invented traffic on a throw-away home
  event-monitor --headless          the bus alone, for a service manager
  event-monitor --attach            only a view of the bus that runs
  ssh -N -L /tmp/bus.sock:/home/me/.claude/event-bus/bus.sock host &
  event-monitor --attach --socket /tmp/bus.sock    the bus of another machine
  event-monitor --once              print the overview as text and exit
  event-monitor --check-config      look for mistakes in event-monitor.yaml and routing-rules.json

kill -USR1 PID writes all tasks with their stacks to logs/event-monitor.log, also while the bus is blocked.
"""


def main(arguments: list[str] | None = None) -> int:
    """The console script. Answers the exit status: 0 done, 1 failed, 2 wrong usage or settings,
    3 no bus is running."""
    options = _parser().parse_args(arguments)
    if options.socket and not (options.attach or options.once):
        return _complain(EventMonitorError("--socket is for a view", "add --attach or --once"), 2)
    paths = HomePaths(options.home, options.socket)
    try:
        return _run(options, paths)
    except NoBus as error:
        return _complain(error, 3)
    except EventMonitorError as error:
        return _complain(error, 2 if error.code == "invalid_config" else 1)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="event-monitor",
        description="A live dashboard with a durable event bus inside.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"event-monitor {__version__}")
    parser.add_argument("--home", metavar="DIR", help="where everything is kept (default: ~/.claude)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--headless", action="store_true", help="run the bus without a screen")
    mode.add_argument("--attach", action="store_true", help="show the bus that runs, start none")
    mode.add_argument(
        "--demo", action="store_true", help="invented traffic on a throw-away home, marked DEMO"
    )
    mode.add_argument("--once", action="store_true", help="print the overview as plain text and exit")
    mode.add_argument("--check-config", action="store_true", help="check both configuration files and exit")
    mode.add_argument("--print-config", action="store_true", help="print the settings in force and exit")
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help="with --attach or --once: the bus's socket, such as one forwarded by ssh",
    )
    parser.add_argument("--read-only", action="store_true", help="a view that changes nothing")
    return parser


def _run(options: argparse.Namespace, paths: HomePaths) -> int:
    if options.check_config or options.print_config or options.once:
        return _print(options, paths)
    if options.headless:
        from event_monitor.headless import run_headless

        return run_headless(paths)
    from event_monitor.dashboard.launch import run_dashboard

    return run_dashboard(paths, attach=options.attach, demo=options.demo, read_only=options.read_only)


def _print(options: argparse.Namespace, paths: HomePaths) -> int:
    """What is printed and done with. A reader that has seen enough, such as ``head``, is no failure."""
    try:
        status = _printed(options, paths)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _printed(options: argparse.Namespace, paths: HomePaths) -> int:
    if options.check_config:
        return _check_config(paths)
    if options.print_config:
        from event_monitor.settings_file import print_settings

        sys.stdout.write(print_settings(paths.settings))
        return 0
    from event_monitor.dashboard.launch import print_once

    return print_once(paths)


def _check_config(paths: HomePaths) -> int:
    from event_monitor.bus.rules import read_rules
    from event_monitor.configured import read_configuration
    from event_monitor.targets import NAMES

    problems: list[str] = []
    try:
        problems += [problem.text for problem in read_configuration(paths.settings).problems]
    except InvalidConfig as error:
        problems.append(error.message)
    try:
        read_rules(paths.rules, NAMES)
    except InvalidConfig as error:
        problems.append(error.message)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        files = [path for path in (paths.settings, paths.rules) if os.path.exists(path)]
        none = f"no settings of your own in {paths.bus_dir}: the defaults apply"
        print(f"no mistakes in {' and '.join(files)}" if files else none)
    return 2 if problems else 0


def _complain(error: EventMonitorError, status: int) -> int:
    print(f"event-monitor: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
