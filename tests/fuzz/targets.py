"""All targets by name."""

from __future__ import annotations

from tests.fuzz.harness import Target
from tests.fuzz.prompt import PROMPT
from tests.fuzz.readers import READERS
from tests.fuzz.sockets import SOCKET

TARGETS: dict[str, Target] = {target.name: target for target in (SOCKET, *READERS, PROMPT)}
