"""The fallback chains by name, and the steps that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from event_monitor.config import FallbackSettings
from event_monitor.config_places import did_you_mean
from event_monitor.errors import InvalidConfig
from event_monitor.resilience.fallback import AnswerCache, Step
from event_monitor.services.providers.docs import LocalDocs
from event_monitor.services.providers.files import LocalFiles
from event_monitor.services.providers.git_cli import GitCli
from event_monitor.services.providers.last_word import ErrorMessage
from event_monitor.services.providers.local_git import LocalGit
from event_monitor.services.providers.provider import Provider
from event_monitor.services.providers.remembered import RememberedAnswers

CHAINS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mcp.filesystem": ("local_fs", "cached_fs", "readonly_fs"),
        "mcp.github": ("git_cli", "local_git", "cached_data"),
        "web_search": ("cached_search", "local_docs", "error_message"),
    }
)

_Maker = Callable[[FallbackSettings, AnswerCache, str], Provider]

_MAKERS: Mapping[str, _Maker] = MappingProxyType(
    {
        "local_fs": lambda settings, cache, service: LocalFiles(settings.roots, writable=True),
        "cached_fs": lambda settings, cache, service: RememberedAnswers(cache, "cached_fs"),
        "readonly_fs": lambda settings, cache, service: LocalFiles(
            settings.roots, writable=False, name="readonly_fs"
        ),
        "git_cli": lambda settings, cache, service: GitCli(settings.repositories),
        "local_git": lambda settings, cache, service: LocalGit(settings.repositories),
        "cached_data": lambda settings, cache, service: RememberedAnswers(cache, "cached_data"),
        "cached_search": lambda settings, cache, service: RememberedAnswers(cache, "cached_search"),
        "local_docs": lambda settings, cache, service: LocalDocs(settings.docs),
        "error_message": lambda settings, cache, service: ErrorMessage(service),
    }
)

PROVIDERS = tuple(_MAKERS)


def providers_of(names: Sequence[str]) -> list[str]:
    """The providers of a fallback, with those of a chain in the place of its name."""
    return [provider for name in names for provider in CHAINS.get(name, (name,))]


def make_steps(
    names: Sequence[str], settings: FallbackSettings, cache: AnswerCache, service: str = ""
) -> list[Step]:
    """The steps of ``service``'s fallback chain; each is called as the service is, with an operation
    and its arguments. A chain's name stands for its providers. ``cache`` must be the chain's own. Raises
    ``InvalidConfig`` for a name that no provider has, or one that stands twice."""
    steps: list[Step] = []
    place = f"the fallback of {service!r}" if service else "a fallback"
    for name in providers_of(names):
        maker = _MAKERS.get(name)
        if maker is None:
            known = (*PROVIDERS, *CHAINS)
            raise InvalidConfig(
                f"{place} names the unknown provider {name!r}{did_you_mean(name, known)}",
                f"use one of {', '.join(known)}",
            )
        if any(step.name == name for step in steps):
            raise InvalidConfig(f"{place} names {name!r} twice", "name each provider once")
        steps.append(Step(name, maker(settings, cache, service).call))
    return steps
