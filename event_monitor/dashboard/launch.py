"""Puts a screen before a bus: this process's own on a thread of its own, or one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from event_monitor.errors import AlreadyRunning, EventMonitorError, NoBus
from event_monitor.paths import HomePaths

if TYPE_CHECKING:
    from event_monitor.control.client import Client
    from event_monitor.host import BusThread
    from event_monitor.runtime import Runtime

_PATIENCE = 0.7
_SCREEN_GRACE = 3.0


def run_dashboard(paths: HomePaths, *, attach: bool, demo: bool, read_only: bool) -> int:
    """Show the dashboard until it is quit. Answers the exit status."""
    from event_monitor.dashboard.terminal import check_terminal, trust_the_terminal
    from event_monitor.dump_signal import dump_on_signal
    from event_monitor.logfile import log_to_file
    from event_monitor.settings_file import load_settings

    problem = check_terminal()
    if problem is not None:
        raise EventMonitorError(problem, "or use --once, --headless, or event-cli")
    trust_the_terminal()
    settings = load_settings(paths.settings)
    with contextlib.ExitStack() as stack:
        if demo:
            home = tempfile.mkdtemp(prefix="event-monitor-demo-")
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            paths = HomePaths(home)
        from event_monitor.dashboard.app import EventMonitorApp
        from event_monitor.dashboard.memory import Memory
        from event_monitor.steady import settle_down

        thread = None if attach else _bus_thread(paths, demo=demo)
        failures: list[BaseException] = []

        def give_up(error: BaseException) -> None:
            failures.append(error)
            app.exit(1)

        client: Client
        if thread is None:
            client = _other_bus(paths, read_only=read_only)
        else:
            stack.callback(_stop, thread)
            client = _own_bus(paths, thread, give_up, read_only=read_only)
        stack.enter_context(log_to_file(paths))
        dump_on_signal(lambda: _dump(thread))
        memory = Memory(paths.dashboard)
        stack.callback(memory.save)
        app = EventMonitorApp(
            client,
            settings.dashboard,
            mask=settings.mask,
            read_only=read_only,
            memory=memory,
            spool=None if paths.socket_given else paths.spool,
            # The two share one interpreter: what the bus imports first, the screen waits for.
            on_first_paint=thread.begin if thread is not None else lambda: None,
            on_first_picture=settle_down,
            on_leaving=lambda: _end_in_any_case(thread),
        )
        app.run(mouse=settings.dashboard.mouse)
        if failures:
            raise failures[0]
        return app.return_code or 0


def _end_in_any_case(thread: BusThread | None) -> None:
    """The program is to end: see to it that it does, even if the screen cannot be closed in order.

    The bus is settled and stored first.
    """

    def end() -> None:
        if thread is not None:
            thread.stop()
        os._exit(0)

    timer = threading.Timer(_SCREEN_GRACE, end)
    timer.daemon = True
    timer.start()


def _stop(thread: BusThread) -> None:
    """End the bus; say why it takes a while if handlers still run."""
    note = "event-monitor: stopping, running handlers have a few seconds to finish …\n"
    timer = threading.Timer(_PATIENCE, lambda: sys.stderr.write(note))
    timer.start()
    try:
        thread.stop()
    finally:
        timer.cancel()
        timer.join()


def print_once(paths: HomePaths) -> int:
    """Print the overview of the bus that runs as plain text. Raises ``NoBus``."""
    from event_monitor.control.client import SocketClient
    from event_monitor.dashboard.once import render_once
    from event_monitor.messages import GetSnapshot

    async def fetch() -> str:
        client = SocketClient(paths.socket)
        try:
            return render_once(await client.request(GetSnapshot()))
        finally:
            await client.close()

    print(asyncio.run(fetch()))
    return 0


def _bus_thread(paths: HomePaths, *, demo: bool) -> BusThread:
    from event_monitor.host import BusThread

    async def start() -> Runtime:
        from event_monitor.runtime import Runtime

        return await Runtime.start(paths, demo=demo, own_process=True)

    return BusThread(start)


def _own_bus(
    paths: HomePaths, thread: BusThread, give_up: Callable[[BaseException], None], *, read_only: bool
) -> Client:
    """The client of the own bus once that runs; a socket's if another process owns the home.

    ``give_up`` hears why there is neither."""
    from event_monitor.host import LocalClient, OpeningClient

    async def opening() -> Client:
        try:
            try:
                await asyncio.wrap_future(thread.ready)
            except AlreadyRunning:
                return _other_bus(paths, read_only=read_only)
            return LocalClient(thread, read_only=read_only)
        except Exception as error:
            give_up(error)
            raise

    return OpeningClient(opening)


def _other_bus(paths: HomePaths, *, read_only: bool) -> Client:
    """The client of a bus in another process. Raises ``NoBus`` if there is none."""
    from event_monitor.control.client import SocketClient

    if not os.path.exists(paths.socket):
        if paths.socket_given:
            raise NoBus(f"there is no socket {paths.socket}", "is it forwarded, and the bus running there?")
        raise NoBus(f"no bus is running for {paths.home}", "start event-monitor without --attach")
    return SocketClient(paths.socket, read_only=read_only)


def _dump(thread: BusThread | None) -> None:
    """Write what the own bus does to the log."""
    ready = thread.ready if thread is not None else None
    if ready is not None and ready.done() and ready.exception() is None:
        ready.result().watchdog.tasks.log()
    else:
        logging.getLogger(__name__).warning("SIGUSR1: the bus runs in another process, ask that one")
