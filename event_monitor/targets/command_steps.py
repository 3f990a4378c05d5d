"""What a shell command does, as steps without their arguments: ``git add``, ``npm run test``.

Arguments hold paths, texts and secrets, and make two runs of the same work look different.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

MAX_STEPS = 16
"""At most so many steps are taken from one command."""

_CHARACTERS = 4_096
_OPERATORS = frozenset("();<>|&\n")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,23}")
_SUBCOMMAND = re.compile(r"[a-z][a-z0-9:_-]{0,23}")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,23}")
_PYTHON = re.compile(r"python[0-9.]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WITH_SUBCOMMANDS = _words(
    "apt apt-get brew bun cargo conda docker dotnet gh git go gradle helm just kubectl make mvn npm nx "
    "pip pip3 pnpm podman poetry rails rustup systemctl terraform tox uv yarn"
)
_RUNNERS = _words("bun npm pnpm poetry uv yarn")
_OPTIONS_WITH_VALUE = _words("-C -c -f -n --context --directory --git-dir --namespace --prefix --work-tree")
# Words that stand before a command and are none.
_PREFIXES = _words("! builtin command do elif else env exec if nice nohup sudo then time until while {")
# They say where or in what frame something is done, not what.
_SILENT = _words(
    ": [ [[ case cd done echo esac exit export fi for function popd printf pushd set sleep source test "
    "true unset wait"
)


def steps_of(payload: dict[str, Any]) -> list[str]:
    """The steps of a command event, in order; none if it holds no command that can be read."""
    tool = payload.get("tool_input")
    text = tool.get("command") if isinstance(tool, dict) else payload.get("command")
    if not isinstance(text, str):
        return []
    steps: list[str] = []
    for words in _commands(_tokens(text[:_CHARACTERS])):
        step = _step(words)
        if step is not None:
            steps.append(step)
            if len(steps) == MAX_STEPS:
                break
    return steps


def _tokens(text: str) -> Iterator[str]:
    """Words and operators, up to a here-document or a quote that is not closed."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="".join(_OPERATORS))
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    while True:
        try:
            token = lexer.get_token()
        except ValueError:
            return
        if token is None or token.startswith("<<"):
            return
        yield token


def _commands(tokens: Iterator[str]) -> Iterator[list[str]]:
    """The words of each command; of a pipeline its first. What stands in parentheses after a word
    is an argument."""
    words: list[str] = []
    piped = redirected = False
    depth = 0
    for token in tokens:
        is_operator = bool(token) and set(token) <= _OPERATORS
        if is_operator and (depth or (words and "(" in token)):
            depth, token = _close(token, depth)
            redirected = False
            if not token:
                continue
        if depth:
            continue
        if redirected or not is_operator:
            if not redirected:
                words.append(token)
            redirected = False
        elif "<" in token or ">" in token:
            redirected = True
        else:
            if not piped:
                yield words
            words, piped = [], token in ("|", "|&")
    if not piped:
        yield words


def _close(token: str, depth: int) -> tuple[int, str]:
    """How many parentheses are open after an operator, and what of it follows the last closed one."""
    rest = ""
    for character in token:
        if character == "(":
            depth, rest = depth + 1, ""
        elif character == ")" and depth:
            depth, rest = depth - 1, ""
        else:
            rest += character
    return depth, "" if depth else rest


def _step(words: Sequence[str]) -> str | None:
    start = 0
    while start < len(words) and (words[start] in _PREFIXES or _ASSIGNMENT.match(words[start])):
        start += 1
    if start == len(words):
        return None
    program = words[start].rsplit("/", 1)[-1]
    if program in _SILENT or not _PROGRAM.fullmatch(program):
        return None
    arguments = words[start + 1 :]
    if _PYTHON.fullmatch(program):
        return _python(arguments)
    if program not in _WITH_SUBCOMMANDS:
        return program
    plain = _first_plain(arguments)
    wanted = 2 if program in _RUNNERS and plain[:1] == ["run"] else 1
    return " ".join([program, *(word for word in plain[:wanted] if _SUBCOMMAND.fullmatch(word))])


def _python(arguments: Sequence[str]) -> str:
    if len(arguments) > 1 and arguments[0] == "-m" and _MODULE.fullmatch(arguments[1]):
        return f"python -m {arguments[1]}"
    return "python"


def _first_plain(arguments: Sequence[str]) -> list[str]:
    """The first words that are neither options nor their values, up to the option after them."""
    plain: list[str] = []
    is_value = False
    for word in arguments:
        if is_value:
            is_value = False
        elif not word.startswith("-"):
            plain.append(word)
        elif plain:
            break
        else:
            is_value = word in _OPTIONS_WITH_VALUE
    return plain
