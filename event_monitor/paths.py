"""Where a home keeps its files. Imports ``os`` only: ``event-cli publish`` and ``hook`` start here."""

from __future__ import annotations

import os

# sockaddr_un.sun_path holds 104 bytes on macOS and 108 on Linux; some are left for a temporary name.
MAX_SOCKET_PATH = 100


class HomePaths:
    """The files of one home. Nothing is created by asking for a path. ``socket`` names the bus's socket
    where it is not the home's own: one that is forwarded from another machine."""

    def __init__(self, home: str | None = None, socket: str | None = None) -> None:
        self._socket = os.path.abspath(os.path.expanduser(socket)) if socket else ""
        self.home = os.path.abspath(os.path.expanduser(home or default_home()))
        self.bus_dir = os.path.join(self.home, "event-bus")
        self.database = os.path.join(self.bus_dir, "events.db")
        self.settings = os.path.join(self.bus_dir, "event-monitor.yaml")
        self.rules = os.path.join(self.bus_dir, "routing-rules.json")
        self.logs = os.path.join(self.bus_dir, "logs")
        self.spool = os.path.join(self.bus_dir, "spool")
        self.lock = os.path.join(self.bus_dir, "lock")
        self.dashboard = os.path.join(self.bus_dir, "dashboard.json")
        self.state = os.path.join(self.home, "state", "current.json")

    @property
    def socket_given(self) -> bool:
        """Whether the socket was named by a person."""
        return bool(self._socket)

    @property
    def console_history(self) -> str:
        """What was typed at the prompt of the console or of ``event-cli repl``."""
        return os.path.join(self.bus_dir, "console-history")

    @property
    def socket(self) -> str:
        """The control socket: in the home, or, where that path is too long for a socket, in the
        user's runtime directory under a name made from the home's path."""
        if self._socket:
            return self._socket
        path = os.path.join(self.bus_dir, "bus.sock")
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        return os.path.join(runtime_directory(), f"event-monitor-{_fingerprint(self.home)}.sock")


def default_home() -> str:
    """``$EVENT_MONITOR_HOME``, else ``$CLAUDE_CONFIG_DIR``, else ``~/.claude``."""
    environ = os.environ
    return environ.get("EVENT_MONITOR_HOME") or environ.get("CLAUDE_CONFIG_DIR") or "~/.claude"


def runtime_directory() -> str:
    """A directory of this user's alone for sockets that do not fit into the home."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.path.isdir(base):
        return base
    return os.path.join(os.environ.get("TMPDIR") or "/tmp", f"event-monitor-{os.getuid()}")


def _fingerprint(text: str) -> str:
    """64-bit FNV-1a as hex: stable across runs and free of imports. It names, it does not protect."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(text):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
