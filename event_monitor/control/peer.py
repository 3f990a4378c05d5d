"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct
import sys

# <sys/un.h> on macOS: SOL_LOCAL and LOCAL_PEERCRED, which the socket module does not name.
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1


def peer_uid(connection: socket.socket) -> int:
    """The user id of the connected process. Raises ``OSError`` if the kernel does not say."""
    if sys.platform == "darwin":
        credentials = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)
        _version, uid = struct.unpack_from("=II", credentials)
        return int(uid)
    size = struct.calcsize("3i")
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)
