"""One request over the control socket, with next to no imports.

``_socket`` is the C half of ``socket``, which alone would cost as much time as the whole request.
"""

from __future__ import annotations

import _socket
from time import monotonic

# The server refuses longer frames (``socket.max_frame_bytes``).
MAX_FRAME_BYTES = 1_048_576
SUCCESS = b'{"ok":true,"result":'
REFUSAL = b'{"ok":false,"error":'

_ESCAPES = {code: f"\\u{code:04x}" for code in range(32)} | {34: '\\"', 92: "\\\\"}


def quote(text: str) -> str:
    """A text as a JSON string."""
    return f'"{text.translate(_ESCAPES)}"'


def frame(do: str, fields: dict[str, str]) -> bytes:
    """A message whose fields are all texts, as one line. Raises ``UnicodeEncodeError`` if a text is
    not valid Unicode (an argument that was not UTF-8)."""
    members = "".join(f",{quote(name)}:{quote(value)}" for name, value in fields.items())
    return f'{{"do":{quote(do)}{members}}}\n'.encode()


def exchange(path: str, request: bytes, seconds: float) -> bytes:
    """Send one request to the socket at ``path`` and return the reply, a ``SUCCESS`` or ``REFUSAL``
    line without its newline.

    Raises ``OSError`` if no whole reply came within ``seconds`` in all, whatever the reason: the
    request may have been carried out all the same.
    """
    deadline = monotonic() + seconds
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        reply = _line(connection, deadline)
    finally:
        connection.close()
    if not reply.startswith((SUCCESS, REFUSAL)):
        raise OSError("the reply is not one of a bus")
    return reply


def _line(connection: _socket.socket, deadline: float) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        connection.settimeout(_left(deadline))
        chunk = connection.recv(65_536)
        if not chunk:
            raise ConnectionResetError("the connection ended before the reply")
        received += chunk
        if len(received) > MAX_FRAME_BYTES:
            raise OSError("the reply is too long")
    return received[:-1]


def _left(deadline: float) -> float:
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise TimeoutError("no reply in time")
    return seconds
