"""Telling others what has happened, without ever being harmed by them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

logger = logging.getLogger(__name__)


def tell(listener: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a listener. What it raises is logged and goes no further: it hears, it does not decide."""
    try:
        listener(*args, **kwargs)
    except Exception:
        logger.exception("a listener failed: %r", listener)


class Listeners(list[Callable[P, object]]):
    """Those who hear of something, in the order in which they joined.

    All hear everything in the same order: what a listener causes is told when all have heard what
    it was told itself.
    """

    __slots__ = ("_untold",)

    def __init__(self) -> None:
        super().__init__()
        self._untold: deque[Callable[[Callable[P, object]], None]] = deque()

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call each listener. One that raises harms neither the others nor the caller."""
        self._untold.append(lambda listener: tell(listener, *args, **kwargs))
        if len(self._untold) > 1:
            return
        try:
            while self._untold:
                for listener in tuple(self):
                    self._untold[0](listener)
                self._untold.popleft()
        finally:
            self._untold.clear()
