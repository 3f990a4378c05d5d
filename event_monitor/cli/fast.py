"""Recognises the plain forms of ``publish`` and ``hook`` and leaves all others to the full parser."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTIONS = {
    "--priority": "priority",
    "--key": "key",
    "--ttl": "ttl",
    "--source": "source",
    "--home": "home",
    "--output": "output",
}


def run(arguments: Sequence[str]) -> int | None:
    """Carry out a plain ``publish`` or ``hook`` and return its exit status; ``None``, with nothing
    done, for any other command line."""
    words: list[str] = []
    options: dict[str, str] = {}
    if not _split(arguments, words, options):
        return None
    home = options.pop("home", None)
    if words == ["hook"] and not options:
        from event_monitor.cli import hook

        hook.run(home)
    if words[0] != "publish" or len(words) not in (2, 3) or words[1] == "-":
        return None
    output = options.pop("output") if "output" in options else ("table" if os.isatty(1) else "json")
    if output not in ("json", "table"):
        return None
    return _publish(home, words, options, output)


def _split(arguments: Sequence[str], words: list[str], options: dict[str, str]) -> bool:
    """Sort arguments into words and ``--name value`` options; ``False`` if there is anything else."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "-" or not argument.startswith("-"):
            words.append(argument)
            continue
        flag, equals, value = argument.partition("=")
        if not equals:
            value = next(rest, "-")
        if flag not in _OPTIONS or (not equals and value.startswith("-")):
            return False
        options[_OPTIONS[flag]] = value
    return bool(words) and _is_text("".join(arguments))


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        # Bytes of an argument that are not UTF-8 arrive as lone surrogates.
        return False
    return True


def _publish(home: str | None, words: list[str], options: dict[str, str], output: str) -> int:
    from event_monitor.cli.publish import publish
    from event_monitor.paths import HomePaths

    payload = {"payload": words[2]} if len(words) == 3 else {}
    return publish(HomePaths(home), {"event_type": words[1]} | payload | options, output)
