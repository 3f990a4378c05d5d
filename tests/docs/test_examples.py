"""What a page tells its reader to do works, word for word."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from event_monitor.grammar.commands import BY_PATH
from event_monitor.grammar.parser import HelpWanted, UsageError, parse
from tests.docs.beside import Reader
from tests.docs.pages import CHECKOUT, PAGES, read

DOCS = [path for path in PAGES if path.parent == CHECKOUT / "docs"]
TO_RUN = [path for path in DOCS if any(block.mark for block in read(path).blocks)]
# What stands for a word of the reader's own.
_STANDING_FOR = {"ID": "1", "NUMBER": "1", "GROUP": "1", "RATE": "5", "PID": "1"}


@pytest.mark.parametrize("path", TO_RUN, ids=[path.stem for path in TO_RUN])
def test_a_page_can_be_followed(path: Path, tmp_path: Path) -> None:
    assert Reader(read(path), tmp_path).read()


@pytest.mark.parametrize("path", DOCS, ids=[path.stem for path in DOCS])
def test_nothing_is_left_untried_in_silence(path: Path) -> None:
    """A block that a reader could type says whether it is run, and if not, why."""
    silent = [
        f"{path.name}:{block.line}"
        for block in read(path).blocks
        if block.language in ("sh", "python", "yaml", "json") and block.mark is None
    ]
    assert not silent


@pytest.mark.parametrize("path", DOCS, ids=[path.stem for path in DOCS])
def test_every_command_that_is_named_exists(path: Path) -> None:
    """Also those that stand in a sentence or a table: ``event-cli`` would understand them."""
    wrong = []
    for code in read(path).inline_code:
        if not code.startswith("event-cli "):
            continue
        words = [_STANDING_FOR.get(word, word) for word in shlex.split(code.partition("\\|")[0])[1:]]
        named = tuple(word for word in words if word != "...")
        if any(path[: len(named)] == named for path in BY_PATH):
            continue
        try:
            parse(words)
        except HelpWanted:
            continue
        except UsageError as error:
            wrong.append(f"{code}: {error}")
    assert not wrong
