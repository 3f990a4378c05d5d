"""Fallback chains: when the primary cannot answer, the next in line does, and says so.

A stale answer is always marked as one, with its age. Degraded mode begins with the first answer
that did not come from the primary and ends when the primary has answered again.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cachetools import TTLCache

from event_monitor.resilience.listeners import tell
from event_monitor.resilience.retry import PermanentError

T = TypeVar("T")

CACHE_SECONDS = 3_600.0
CACHE_SIZE = 1_024

_falling_back: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar("_falling_back", default=())
"""The chains whose fallbacks the running call stands in."""


class FallbacksExhausted(Exception):
    """The primary and every fallback failed. ``errors`` pairs each step's name with its error."""

    def __init__(self, name: str, errors: Sequence[tuple[str, Exception]]) -> None:
        told = "; ".join(f"{step}: {type(error).__name__}: {error}" for step, error in errors)
        super().__init__(f"{name or 'the service'} and all of its fallbacks failed: {told}")
        self.errors = tuple(errors)


class NotInCache(Exception):
    """Nothing, or nothing fresh enough, is remembered for this call."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A result and where it came from. ``age`` is in seconds, 0 for what was found out just now."""

    value: T
    source: str
    degraded: bool = False
    stale: bool = False
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a chain: called with the arguments of the original call."""

    name: str
    func: Callable[..., Any]


@dataclass(slots=True)
class FallbackCounters:
    """Who answered. ``failed`` counts the primary's failures, of which ``permanent`` and ``recursive``
    ones went to no fallback and ``exhausted`` ones found none that answered; ``failed_steps`` counts
    fallbacks that could not answer, ``degraded`` how often degraded mode began."""

    primary: int = 0
    failed: int = 0
    permanent: int = 0
    recursive: int = 0
    fallback: int = 0
    failed_steps: int = 0
    exhausted: int = 0
    degraded: int = 0


@dataclass(slots=True)
class CacheCounters:
    """What was asked of a cache. ``refreshes`` were begun by one caller each, ``joined`` ones waited
    for another's."""

    hits: int = 0
    misses: int = 0
    stored: int = 0
    refreshes: int = 0
    joined: int = 0


class AnswerCache:
    """Least recently used answers of the last hour. ``remember`` stamps them, ``recall`` tells their
    age; a value older than ``seconds`` is never recalled."""

    def __init__(
        self, clock: Callable[[], float], *, seconds: float = CACHE_SECONDS, size: int = CACHE_SIZE
    ) -> None:
        self._clock = clock
        self._entries: TTLCache[Hashable, tuple[float, Any]] = TTLCache(size, seconds, timer=clock)
        self._refreshing: dict[Hashable, asyncio.Future[Any]] = {}
        self._seconds = seconds
        self.counters = CacheCounters()

    def remember(self, key: Hashable, value: Any) -> None:
        """Keep an answer. A fresh equal one is not written again: that costs more than the look."""
        found = self._entries.get(key)
        if found is not None and found[1] == value and self._clock() - found[0] < self._seconds / 2:
            return
        self._entries[key] = (self._clock(), value)
        self.counters.stored += 1

    def recall(self, key: Hashable) -> tuple[Any, float]:
        """An answer and its age in seconds. Raises ``NotInCache``."""
        found = self._entries.get(key)
        if found is None:
            self.counters.misses += 1
            raise NotInCache("nothing is remembered for this call")
        self.counters.hits += 1
        return found[1], self._clock() - found[0]

    async def fetch(self, key: Hashable, find: Callable[[], Awaitable[T]]) -> tuple[T, float]:
        """What is remembered and its age in seconds, or what ``find`` answers, which is then remembered.

        ``find`` is called once however many miss ``key`` at the same time. If the one who calls is
        cancelled, another of those who wait calls again; its error is raised to all of them.
        """
        try:
            return self.recall(key)
        except NotInCache:
            return await self._refresh(key, find), 0.0

    async def _refresh(self, key: Hashable, find: Callable[[], Awaitable[T]]) -> T:
        while (running := self._refreshing.get(key)) is not None:
            self.counters.joined += 1
            await asyncio.wait([running])
            if not running.cancelled():
                return running.result()  # type: ignore[no-any-return]
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._refreshing[key] = future
        self.counters.refreshes += 1
        try:
            value = await find()
        except Exception as error:
            future.set_exception(error)
            future.exception()
            raise
        except BaseException:
            future.cancel()
            raise
        else:
            self.remember(key, value)
            future.set_result(value)
            return value
        finally:
            del self._refreshing[key]


def call_key(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable:
    """What makes two calls the same. Arguments that cannot be hashed are told apart by their text."""
    key = (args, tuple(sorted(kwargs.items())))
    try:
        hash(key)
    except TypeError:
        return repr(key)
    return key


@dataclass(slots=True)
class FallbackChain:
    """Tries ``steps`` in order after the primary has failed.

    With a ``cache`` each answer of the primary is remembered under its arguments; ``cached`` makes
    a step of it. ``on_degraded`` hears when degraded mode begins and ends, with the step in use.
    ``is_back`` is asked when the primary has answered in degraded mode: a late answer from before it
    broke does not mean that it is well.
    """

    name: str = ""
    steps: Sequence[Step] = ()
    cache: AnswerCache | None = None
    on_degraded: Callable[[bool, str], None] = lambda degraded, step: None
    is_back: Callable[[], bool] = lambda: True
    counters: FallbackCounters = field(default_factory=FallbackCounters)
    active: str | None = None

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: a fallback stands twice in {names}")
        if self.name and self.name in names:
            raise ValueError(f"{self.name} is its own fallback")

    @property
    def degraded(self) -> bool:
        """Whether the last answer came from a fallback."""
        return self.active is not None

    async def call(self, primary: Callable[..., Any], *args: Any, **kwargs: Any) -> Answer[Any]:
        """The primary's answer, or the first that a fallback gives.

        Raises ``FallbacksExhausted`` if none answers, the primary's own error if there is no fallback
        or if this call is itself a step of this chain's fallbacks, and a ``PermanentError`` at once:
        what was asked was wrong, nobody else should answer it. A cancellation is passed on at once.
        """
        try:
            value = await _awaited(primary(*args, **kwargs))
        except Exception as error:
            self.counters.failed += 1
            if isinstance(error, PermanentError):
                self.counters.permanent += 1
                raise
            if not self.steps:
                raise
            if id(self) in _falling_back.get():
                self.counters.recursive += 1
                raise
            return await self._fall_back(error, args, kwargs)
        self.counters.primary += 1
        if self.cache is not None:
            self.cache.remember(call_key(args, kwargs), value)
        if self.active is not None and self.is_back():
            self._mark(None)
        return Answer(value, self.name or "primary")

    async def _fall_back(
        self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Answer[Any]:
        errors = [(self.name or "primary", error)]
        answered = self.counters.primary
        for step in self.steps:
            token = _falling_back.set((*_falling_back.get(), id(self)))
            try:
                found = await _awaited(step.func(*args, **kwargs))
            except Exception as failed:  # noqa: BLE001 - the next step is there for whatever this one raises
                self.counters.failed_steps += 1
                errors.append((step.name, failed))
                continue
            finally:
                _falling_back.reset(token)
            self.counters.fallback += 1
            if answered == self.counters.primary:
                self._mark(step.name)
            if isinstance(found, Answer):
                return Answer(found.value, step.name, True, found.stale, found.age)
            return Answer(found, step.name, True)
        self.counters.exhausted += 1
        raise FallbacksExhausted(self.name, errors) from error

    def cached(self, name: str = "cached_data") -> Step:
        """A step that answers from the cache, marked stale, with its age."""

        def recall(*args: Any, **kwargs: Any) -> Answer[Any]:
            if self.cache is None:
                raise NotInCache("there is no cache")
            value, age = self.cache.recall(call_key(args, kwargs))
            return Answer(value, name, True, True, age)

        return Step(name, recall)

    def _mark(self, step: str | None) -> None:
        before, self.active = self.active, step
        if before is None and step is not None:
            self.counters.degraded += 1
        if before != step:
            tell(self.on_degraded, step is not None, step or before or "")


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def refuse_cycles(chains: Mapping[str, Sequence[str]]) -> None:
    """Raise ``ValueError`` naming the way round if services fall back on each other in a circle."""
    done: set[str] = set()
    for start in chains:
        path: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, depth = stack.pop()
            del path[depth:]
            if name in path:
                raise ValueError(
                    f"fallbacks go round in a circle: {' → '.join([*path[path.index(name) :], name])}"
                )
            if name in done or name not in chains:
                continue
            path.append(name)
            stack += [(following, depth + 1) for following in chains[name]]
        done.update(path)
        done.add(start)
