"""What keeps configured services from being served, found out before anything is started."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from event_monitor.config import ServiceSettings, Settings
from event_monitor.config_places import did_you_mean
from event_monitor.errors import InvalidConfig, InvalidService
from event_monitor.resilience.fallback import AnswerCache
from event_monitor.services.guardian import CannotStart, Guardian, find_program

MAX_NAME = 80
_OF_TARGETS = "target:"


@dataclass(frozen=True, slots=True)
class ServiceMistake:
    """What is wrong with a service's setting ``key``, in words. ``number`` is its place in the settings.
    Without ``fatal`` it is tried all the same, for it may become right while the program runs."""

    number: int
    key: str
    text: str
    fatal: bool = True


def service_mistakes(settings: Settings) -> Iterator[ServiceMistake]:
    """All that is wrong with the services. Starts nothing; looks for programs on the disk."""
    seen: Counter[str] = Counter()
    circles = _circles(settings)
    for number, one in enumerate(settings.services):
        seen[one.name] += 1
        error = _twice(one.name, seen[one.name]) or name_mistake(one.name) or _wrong(one, settings, circles)
        if error is not None:
            yield ServiceMistake(number, error.key, str(error))
            continue
        absent = _absent(one)
        if absent is not None:
            yield ServiceMistake(number, "command", f"service {one.name}: {absent}", fatal=False)


def _twice(name: str, times: int) -> InvalidService | None:
    if times < 2:
        return None
    return InvalidService("name", f"the name {name!r} stands twice", "the first one counts: rename this")


def name_mistake(name: str) -> InvalidService | None:
    """Why ``name`` cannot be a service's, if that is so."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable() or name.startswith(_OF_TARGETS):
        advice = f"choose 1 to {MAX_NAME} printable characters that do not begin with {_OF_TARGETS}"
        return InvalidService("name", f"{name[:MAX_NAME]!r} cannot be a service's name", advice)
    return None


def _wrong(one: ServiceSettings, settings: Settings, circles: dict[str, str]) -> InvalidService | None:
    from event_monitor.services.kinds import make_service
    from event_monitor.services.providers.chains import make_steps

    if isinstance(one.timeout, str) and one.timeout not in settings.timeouts:
        guess = did_you_mean(one.timeout, settings.timeouts)
        return InvalidService(
            "timeout",
            f"service {one.name}: no tier is named {one.timeout!r}{guess}",
            f"give seconds, or one of {', '.join(settings.timeouts)}",
        )
    if one.name in circles:
        return InvalidService(
            "fallback", f"service {one.name}: {circles[one.name]}", "name providers, not services"
        )
    try:
        make_service(one, Guardian())
    except InvalidService as error:
        return error
    try:
        make_steps(one.fallback, settings.fallback, AnswerCache(float), one.name)
    except InvalidConfig as error:
        return InvalidService("fallback", f"service {one.name}: {error.message}", error.advice)
    return None


def _circles(settings: Settings) -> dict[str, str]:
    """The services whose fallbacks lead back to themselves, each with the way round."""
    from event_monitor.services.providers.chains import providers_of

    chains = {one.name: providers_of(one.fallback) for one in settings.services}
    found = {}
    for name, chain in chains.items():
        if name in chain:
            found[name] = "it is its own fallback"
        elif (way := _way_back(name, chains)) is not None:
            found[name] = f"fallbacks go round in a circle: {' → '.join(way)}"
    return found


def _way_back(start: str, chains: dict[str, list[str]]) -> list[str] | None:
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for following in chains.get(name, ()):
            if following == start:
                way = [start, name]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if following in chains and following not in came_from:
                came_from[following] = name
                waiting.append(following)
    return None


def _absent(one: ServiceSettings) -> str | None:
    """Why the command of a service that is started by us cannot be, if that is so."""
    if not one.command or one.kind not in ("command", "mcp"):
        return None
    try:
        find_program(one.command, {**os.environ, **one.env}, one.cwd)
    except CannotStart as error:
        return f"{error}; it is tried again from time to time"
    return None
