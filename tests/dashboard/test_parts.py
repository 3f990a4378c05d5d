"""The parts below the screen: safe text, figures, the filter, alerts' noise, plain text, the terminal."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from event_monitor.dashboard import clipboard
from event_monitor.dashboard.filtering import parse_filter
from event_monitor.dashboard.once import render_once
from event_monitor.dashboard.terminal import check_terminal
from event_monitor.model import FeedItem, Priority, Status
from event_monitor.widgets.text import (
    Line,
    clip,
    count,
    cut,
    duration,
    fit,
    gauge,
    line,
    millis,
    plain,
    sparkline,
    spread,
    time_of_day,
)
from tests.dashboard import scene
from tests.dashboard.test_life import HOSTILE

_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_TEXT = st.text(st.characters(), max_size=60)


# --- text -----------------------------------------------------------------------------------


@given(_TEXT)
def test_plain_leaves_nothing_that_a_terminal_obeys(text: str) -> None:
    assert not {unicodedata.category(character) for character in plain(text)} & _UNSAFE


@given(_TEXT)
def test_plain_is_stable(text: str) -> None:
    assert plain(plain(text)) == plain(text)


def test_plain_shows_controls_and_keeps_the_rest() -> None:
    assert plain("\x1b[31m[b]é漢") == "␛[31m[b]é漢"
    assert plain("a\nb\x7f") == "a␊b␡"
    assert plain("x" * 50, 10) == "x" * 9 + "…"


@given(_TEXT, st.integers(0, 40))
def test_cut_and_fit_keep_to_the_width(text: str, width: int) -> None:
    text = plain(text)
    assert cell_len(cut(text, width)) <= width
    assert cell_len(fit(text, width)) == width


@given(st.lists(_TEXT, max_size=4), st.lists(_TEXT, max_size=4), st.integers(0, 40))
def test_clip_and_spread_keep_to_the_width(left: list[str], right: list[str], width: int) -> None:
    one, other = line(*map(plain, left), row="select"), line(*map(plain, right))
    assert clip(one, width).width <= width
    assert clip(one, width).row == "select"
    assert spread(one, other, width).width <= width


def test_clip_says_that_something_was_cut() -> None:
    assert clip(line("abc", "def"), 3).text.endswith("…")
    assert clip(line("abc", "def"), 6) == line("abc", "def")
    assert clip(Line(), 0) == Line()


# --- figures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (count(1_234_567), "1,234,567"),
        (count(12_300_000), "12.3 M"),
        (millis(None), "–"),
        (millis(0.84), "0.8 ms"),
        (millis(31.4), "31 ms"),
        (millis(1_250.0), "1.2 s"),
        (duration(-1.0), "0.0 s"),
        (duration(59.6), "1 min"),
        (duration(125), "2 min 5 s"),
        (duration(8_078), "2 h 14 min"),
        (duration(90_000), "1 d 1 h"),
        (time_of_day("2026-03-14T15:42:07.123456Z"), "15:42:07"),
        (time_of_day("2026-03-14T15:42:07.123456Z", precise=True), "15:42:07.123"),
        (time_of_day("never"), "--:--:--"),
    ],
)
def test_figures(shown: str, expected: str) -> None:
    assert shown == expected


def test_sparkline_is_zero_based_and_right_aligned() -> None:
    assert sparkline([100] * 4, 6) == "  ████"
    assert sparkline([0, 0, 0], 3) == "▁▁▁"
    assert sparkline([0, 8, 0, 4], 4) == "▁█▁▄"
    assert sparkline([], 3) == "   "
    assert sparkline([1], 0) == ""


@given(st.lists(st.integers(0, 10**9), max_size=300), st.integers(0, 200))
def test_sparkline_fills_its_width_and_shows_the_peak(series: list[int], width: int) -> None:
    shown = sparkline(series, width)
    assert len(shown) == width
    assert ("█" in shown) == (width > 0 and any(series))


@given(st.floats(0, 2), st.integers(-2, 60))
def test_gauge_never_leaves_its_width(share: float, width: int) -> None:
    full, empty = gauge(share, width)
    assert len(full) + len(empty) == max(0, width)
    assert bool(full) == (share > 0 and width > 0)


# --- filter ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "passes"),
    [
        ("GIT", True),
        ("git status", True),
        ("git diff", False),
        ("command.#", True),
        ("command.*", True),
        ("mcp.#", False),
        ("command.# status", True),
        ("normal", True),
        ("command.[#", False),
    ],
)
def test_filter(typed: str, passes: bool) -> None:
    item = FeedItem(
        id=1,
        timestamp="2026-03-14T15:42:07.000000Z",
        priority=Priority.NORMAL,
        event_type="command.executed",
        summary="git status",
        status=Status.PENDING,
    )
    test = parse_filter(typed)
    assert test is not None and test(item) is passes
    assert parse_filter("  ") is None


# --- plain text -----------------------------------------------------------------------------


def test_once_shows_every_panel() -> None:
    shown = render_once(scene.snapshot())
    for expected in ("HEALTHY", "142/s", "23 of 1,000,000", "mcp.server.down", "Services", "git status"):
        assert expected in shown
    assert max(map(cell_len, shown.splitlines())) <= 100


def test_once_is_safe() -> None:
    first = scene.feed(1)[0]
    items = tuple(
        FeedItem(
            id=number,
            timestamp=first.timestamp,
            priority=first.priority,
            event_type="a.b",
            summary=bad,
            status=first.status,
        )
        for number, bad in enumerate(HOSTILE)
    )
    shown = render_once(scene.snapshot(feed=items, home=HOSTILE[4], state_reason=HOSTILE[3]))
    assert not {unicodedata.category(character) for character in shown.replace("\n", "")} & _UNSAFE


def test_once_and_the_check_of_the_terminal_start_without_textual() -> None:
    program = (
        "import sys, event_monitor.dashboard.once, event_monitor.dashboard.terminal;"
        "print([name for name in sys.modules if name.split('.')[0] == 'textual'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_app_loads_neither_runtime_nor_bus() -> None:
    program = (
        "import sys, event_monitor.dashboard.app;"
        "print([n for n in sys.modules if n.startswith(('event_monitor.runtime', 'event_monitor.bus'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# --- terminal and clipboard -----------------------------------------------------------------


class _Terminal:
    def __init__(self, answer: bool) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return self._answer


@pytest.mark.parametrize(
    ("term", "is_terminal", "complaint"),
    [
        ("xterm-256color", True, None),
        ("dumb", True, "dumb"),
        ("", True, "TERM"),
        ("xterm", False, "terminal"),
    ],
)
def test_terminal(
    monkeypatch: pytest.MonkeyPatch, term: str, is_terminal: bool, complaint: str | None
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdin", _Terminal(is_terminal))
    monkeypatch.setattr(sys, "stdout", _Terminal(is_terminal))
    problem = check_terminal()
    assert problem is None if complaint is None else complaint in str(problem)


async def test_copying_goes_to_tmux_where_tmux_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "tmux"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/stored\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    sent: list[str] = []
    where = await clipboard.copy("tëxt", sent.append, {"TMUX": "/tmp/socket,1,0"})
    assert "tmux" in where and sent == []
    assert (tmp_path / "arguments").read_text().split() == ["load-buffer", "-w", "-"]
    assert (tmp_path / "stored").read_text() == "tëxt"


async def test_copying_elsewhere_goes_to_the_terminal_unless_it_is_too_large() -> None:
    sent: list[str] = []
    await clipboard.copy("small", sent.append, {})
    assert sent == ["small"]
    with pytest.raises(ValueError, match="too large"):
        await clipboard.copy("x" * clipboard.MAX_ENCODED, sent.append, {})
    assert sent == ["small"]
