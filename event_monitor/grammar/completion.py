"""Completion scripts for shells, made from the table of commands.

Values that only the running bus knows (event types, targets, subscriptions) are asked for with
``event-cli completion types`` and the like, at the moment that they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from event_monitor.grammar.commands import BY_PATH, COMMANDS, GLOBAL_OPTIONS, subcommands
from event_monitor.grammar.spec import BUS_SOURCES, Argument, Command, Option, Source


def script(shell: str) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``. Raises ``KeyError`` for another shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _paths() -> Iterator[tuple[str, ...]]:
    """Every path that can stand on a command line, groups included."""
    seen = {command.path[:length] for command in COMMANDS for length in range(len(command.path) + 1)}
    yield from sorted(seen)


def _options(path: tuple[str, ...]) -> tuple[Option, ...]:
    command = BY_PATH.get(path)
    return (*(command.options if command else ()), *GLOBAL_OPTIONS)


def _next_words(path: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(command.path[len(path)] for command in subcommands(path)))


# --- bash and zsh: one body of POSIX-like code that sets "offers" --------------------------------


def _bash() -> str:
    return f"""# bash completion for event-cli
_event_cli() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
    if [[ $cur == "=" ]]; then cur=""; elif [[ $prev == "=" ]]; then prev="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    local command="" offers="" position=0 word skip=0
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
{_walk()}
    done
{_choose()}
    COMPREPLY=()
    case $offers in
        @directories) COMPREPLY=($(compgen -d -- "$cur")) ;;
        @files) COMPREPLY=($(compgen -f -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "$offers" -- "$cur")) ;;
    esac
}}
complete -F _event_cli event-cli"""


def _zsh() -> str:
    return f"""#compdef event-cli
_event_cli() {{
    emulate -L zsh
    local cur="${{words[CURRENT]}}" prev="${{words[CURRENT-1]}}"
    local command="" offers="" position=0 word skip=0
    for word in "${{(@)words[2,CURRENT-1]}}"; do
{_walk()}
    done
{_choose()}
    case $offers in
        @directories) _files -/ ;;
        @files) _files ;;
        *) compadd -- ${{=offers}} ;;
    esac
}}
if [[ $funcstack[1] == _event-cli ]]; then _event_cli "$@"; else compdef _event_cli event-cli; fi"""


def _walk() -> str:
    """Find the command among the words before the cursor, and how many arguments follow it."""
    valued = "|".join(
        sorted({option.flag for path in _paths() for option in _options(path) if option.kind != "flag"})
    )
    steps = "|".join(f'"{" ".join(path[:-1])}/{path[-1]}"' for path in _paths() if path)
    return f"""        if [[ $skip == 1 ]]; then skip=0; [[ $word == "=" ]] && skip=1; continue; fi
        case $word in
            {valued}) skip=1; continue ;;
            -?*) continue ;;
        esac
        case "$command/$word" in
            {steps}) command="${{command:+$command }}$word" ;;
            *) position=$((position+1)) ;;
        esac"""


def _choose() -> str:
    lines = ['    case "$command/$prev" in']
    lines += [f'        *"/{option.flag}") offers={_shell_offers(option)} ;;' for option in GLOBAL_OPTIONS]
    lines += [
        f'        "{command.name}/{option.flag}") offers={_shell_offers(option)} ;;'
        for command in COMMANDS
        for option in command.options
        if option.kind != "flag"
    ]
    lines += ["        *)", '            case "$command/$position/$cur" in']
    for path in _paths():
        name = " ".join(path)
        flags = " ".join(["--help", *(option.flag for option in _options(path))])
        lines.append(f'                "{name}"/*/-*) offers="{flags}" ;;')
        lines += [f'                "{name}/{index}/"*) offers={text} ;;' for index, text in _positions(path)]
    return "\n".join([*lines, "            esac ;;", "    esac"])


def _positions(path: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """What each place after ``path`` can hold, as shell words."""
    words = " ".join(_next_words(path))
    arguments = BY_PATH[path].arguments if path in BY_PATH else ()
    first = _shell_offers(arguments[0]).strip('"') if arguments else ""
    if words or first:
        yield 0, f'"{f"{words} {first}".strip()}"'
    for index, argument in enumerate(arguments[1:], start=1):
        offers = _shell_offers(argument)
        if offers != '""':
            yield index, offers


def _shell_offers(item: Argument | Option) -> str:
    if item.choices:
        return f'"{" ".join(item.choices)}"'
    if item.source == "files":
        return '"@directories"'
    if item.source == "file":
        return '"@files"'
    return f'"$({_asking(item.source)})"' if item.source in BUS_SOURCES else '""'


def _asking(source: Source) -> str:
    return f"event-cli completion {source} 2>/dev/null"


# --- fish: one "complete" line for each word -------------------------------------------------------


def _fish() -> str:
    lines = ["# fish completion for event-cli", "complete -c event-cli -f"]
    lines += [_fish_option("", option) for option in GLOBAL_OPTIONS]
    lines.append("complete -c event-cli -l help -d 'show help'")
    for word in _next_words(()):
        summary = BY_PATH[(word,)].summary if (word,) in BY_PATH else _group_summary(word)
        lines.append(f"complete -c event-cli -n __fish_use_subcommand -a {word} -d {_quoted(summary)}")
    for command in COMMANDS:
        lines += _fish_command(command)
    return "\n".join(lines)


def _group_summary(word: str) -> str:
    return ", ".join(_next_words((word,)))


def _fish_command(command: Command) -> Iterator[str]:
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.path)
    if len(command.path) > 1:
        siblings = " ".join(_next_words(command.path[:-1]))
        parent = (
            f"__fish_seen_subcommand_from {command.path[0]}; and not __fish_seen_subcommand_from {siblings}"
        )
        yield f"complete -c event-cli -n '{parent}' -a {command.path[-1]} -d {_quoted(command.summary)}"
    for option in command.options:
        yield _fish_option(f" -n '{seen}'", option)
    for argument in command.arguments:
        offers = _fish_offers(argument)
        if offers:
            yield f"complete -c event-cli -n '{seen}' -a {offers} -d {_quoted(argument.name)}"


def _fish_option(condition: str, option: Option) -> str:
    text = f"complete -c event-cli{condition} -l {option.name} -d {_quoted(option.help)}"
    if option.kind == "flag":
        return text
    if option.source == "files":
        return f"{text} -x -a '(__fish_complete_directories)'"
    offers = _fish_offers(option)
    return f"{text} -x -a {offers}" if offers else f"{text} -x"


def _fish_offers(item: Argument | Option) -> str:
    if item.choices:
        return _quoted(" ".join(item.choices))
    if item.source == "file":
        return "'(__fish_complete_path)'"
    return f"'({_asking(item.source)})'" if item.source in BUS_SOURCES else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
