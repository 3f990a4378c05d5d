"""Shows the dashboard in a browser, through textual-serve, and ends when nobody looks any more."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import threading
from functools import partial
from typing import Any

from textual import messages
from textual.drivers.web_driver import WebDriver

# A pipe that can be written to takes this much at once, whatever it holds.
_ROOM = select.PIPE_BUF


class BrowserDriver(WebDriver):
    """Textual's driver for browsers writes to its pipe from the event loop, and a server whose browser has
    gone need not read it: the loop would stand still and hear neither the server's farewell nor a signal.
    This one goes on as soon as it is told that nobody reads, and lets what is written then go nowhere."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._one_at_a_time = threading.RLock()
        self._given_up = threading.Event()
        # Both ends stay open as long as the process: a signal may come at any time.
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._told, selectors.EVENT_READ)
        self._ready.register(self.fileno, selectors.EVENT_WRITE)
        self._write = partial(self._write_unless_given_up)

    def give_up(self) -> None:
        """Nobody reads what is written. May be called from anywhere, a signal's handler too."""
        self._given_up.set()
        with contextlib.suppress(BlockingIOError):
            os.write(self._tell, b"x")

    def _write_unless_given_up(self, data: bytes) -> int:
        with self._one_at_a_time:
            rest = memoryview(data)
            while rest and self._may_write():
                try:
                    rest = rest[os.write(self.fileno, rest[:_ROOM]) :]
                except BrokenPipeError:
                    self._leave()
        return len(data)

    def _may_write(self) -> bool:
        """Wait until there is room; ``False`` if there will be none."""
        while not self._given_up.is_set():
            if any(key.fd == self.fileno for key, _ in self._ready.select()):
                return True
        return False

    def run_input_thread(self) -> None:
        """Read what the browser sends; its end is that of the view."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._leave()

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Take what the server says. With its farewell it has stopped to read, or will."""
        if packet_type == "quit":
            self.give_up()
        super().on_meta(packet_type, payload)

    def _leave(self) -> None:
        self.give_up()
        self._app.post_message(messages.ExitApp())
