"""Cutting a stream of bytes into requests: any cut gives the same, and a flood holds little."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.control.framing import Frames
from event_monitor.errors import InvalidRequest

LIMIT = 20


def taken(frames: Frames) -> list[bytes]:
    return [frames.take() for _ in range(frames.waiting)]


@settings(deadline=None, report_multiple_bugs=False)
@given(st.lists(st.lists(st.sampled_from([b"\n", b"a", b"\0", b"bcdef", b"\n\n", b"{}" * 6])).map(b"".join)))
def test_any_cut_gives_the_lines_of_the_whole(pieces: list[bytes]) -> None:
    frames = Frames(LIMIT)
    *lines, rest = b"".join(pieces).split(b"\n")
    too_large = max(map(len, [*lines, rest])) > LIMIT
    seen: list[bytes] = []
    try:
        for piece in pieces:
            assert frames.feed(piece) == piece.count(b"\n")
            seen += taken(frames)
    except InvalidRequest:
        assert too_large
        assert frames.waiting == 0 and not frames.begun
    else:
        assert not too_large
        assert seen == lines
        assert frames.begun is bool(rest)


@pytest.mark.parametrize("cut", [0, 1, LIMIT, LIMIT + 1])
def test_a_request_over_the_limit_is_found_wherever_it_is_cut(cut: int) -> None:
    text = b"ab\n" + b"x" * (LIMIT + 1) + b"\nab\n"
    frames = Frames(LIMIT)
    with pytest.raises(InvalidRequest, match="larger than 20 bytes"):
        for piece in (text[:cut], text[cut:]):
            frames.feed(piece)
    assert frames.waiting == 0


def test_a_flood_of_short_lines_holds_its_bytes_and_is_cut_in_linear_time() -> None:
    flood = b"x\n" * 131_072
    frames = Frames(1_048_576)
    tracemalloc.start()
    try:
        frames.feed(flood)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(flood)
    began = time.process_time()
    assert len(taken(frames)) == 131_072
    assert time.process_time() - began < 5
