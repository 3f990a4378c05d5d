"""The diagrams can be drawn, and those of states say what the code does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from event_monitor.model import DeliveryState, Status, SystemState
from event_monitor.resilience import BreakerChange, BreakerState, CircuitBreaker, CircuitOpenError
from event_monitor.system.state_machine import ALLOWED
from tests.docs import mermaid
from tests.docs.pages import PAGES, Block, page, read

_ARROW = re.compile(r"^\s*(\[\*\]|\w+) --> (\[\*\]|\w+)(?:: (.+))?$")


def arrows(diagram: Block) -> set[tuple[str, str]]:
    """The pairs of states that a diagram draws an arrow between, its beginnings and ends left out."""
    found = [_ARROW.match(line) for line in diagram.text.splitlines() if "-->" in line]
    assert all(found), "an arrow cannot be read"
    pairs = [(one[1], one[2]) for one in found if one is not None]
    assert len(pairs) == len(set(pairs)), "an arrow is drawn twice"
    return {pair for pair in pairs if "[*]" not in pair}


def test_every_diagram_can_be_drawn(tmp_path: Path) -> None:
    diagrams = [diagram for path in PAGES for diagram in read(path).diagrams()]
    assert diagrams
    pictures = mermaid.render(diagrams, tmp_path)
    for picture, diagram in zip(pictures, diagrams, strict=True):
        assert picture.stat().st_size > 1_000, diagram.text
        # Mermaid draws a bomb where it does not understand, and does not always say so.
        assert b"Syntax error" not in picture.read_bytes(), diagram.text


def test_the_state_diagram_is_the_table_in_the_code() -> None:
    allowed = {(before.value, after.value) for before, all_after in ALLOWED.items() for after in all_after}
    assert arrows(page("state-machine").diagram("stateDiagram")) == allowed


def test_every_transition_has_its_row() -> None:
    """The table below the diagram names a cause for each pair, and no pair that there is not."""
    rows = re.findall(r"^\| (\w+) \| (\w+) \| \S", page("state-machine").prose, re.MULTILINE)
    states = {state.value for state in SystemState}
    allowed = {(before.value, after.value) for before, all_after in ALLOWED.items() for after in all_after}
    assert sorted(pair for pair in rows if set(pair) <= states) == sorted(allowed)


def test_the_breaker_diagram_is_what_breakers_do() -> None:
    drawn = arrows(page("resilience").diagram("stateDiagram"))
    assert drawn == _walked()


@pytest.mark.parametrize(
    ("words", "steps", "pair"),
    [
        ("failures in a row", ["fail"], "CLOSED --> OPEN"),
        ("a person opens it", ["open"], "CLOSED --> OPEN"),
        ("recovery_timeout is over", ["fail", "wait", "begin"], "OPEN --> HALF_OPEN"),
        ("a person hurries it", ["fail", "half_open"], "OPEN --> HALF_OPEN"),
        ("a person", ["fail", "reset"], "OPEN --> CLOSED"),
        ("the probe passed", ["fail", "wait", "succeed"], "HALF_OPEN --> CLOSED"),
        ("or a person", ["fail", "half_open", "close"], "HALF_OPEN --> CLOSED"),
        ("the probe failed", ["fail", "wait", "fail"], "HALF_OPEN --> OPEN"),
        ("did not return", ["fail", "wait", "begin", "wait", "begin"], "HALF_OPEN --> OPEN"),
        ("or a person", ["fail", "half_open", "open"], "HALF_OPEN --> OPEN"),
    ],
)
def test_each_cause_on_the_breaker_diagram_is_one(words: str, steps: list[str], pair: str) -> None:
    (arrow,) = re.findall(f"^ *{pair}: (.*)$", page("resilience").diagram("stateDiagram").text, re.MULTILINE)
    assert words in arrow
    changes: list[str] = []
    now = [0.0]
    breaker = CircuitBreaker(1, recovery_timeout=30.0, slow_after=1.0, clock=lambda: now[0])
    breaker.listeners.append(lambda _, change: changes.append(f"{change.from_state} --> {change.to_state}"))
    for step in steps:
        _happen(breaker, step, now)
    assert changes[-1] == pair


def _walked() -> set[tuple[str, str]]:
    """Each pair of states between which something that can happen to a breaker takes it."""
    seen: set[tuple[str, str]] = set()
    for way in (["fail"], ["fail", "wait"], ["fail", "wait", "begin"], []):
        for last in ("succeed", "fail", "wait", "begin", "open", "close", "reset", "half_open"):
            now = [0.0]
            breaker = CircuitBreaker(1, recovery_timeout=30.0, clock=lambda now=now: now[0])
            for step in way:
                _happen(breaker, step, now)
            breaker.listeners.append(_noting(seen))
            _happen(breaker, last, now)
    return {pair for pair in seen if pair[0] != pair[1]}


def _noting(seen: set[tuple[str, str]]):  # type: ignore[no-untyped-def]
    def note(breaker: CircuitBreaker, change: BreakerChange) -> None:
        seen.add((change.from_state.value, change.to_state.value))

    return note


def _happen(breaker: CircuitBreaker, step: str, now: list[float]) -> None:
    if step == "wait":
        now[0] += 31.0
    elif step in ("succeed", "fail", "begin"):
        try:
            permit = breaker.acquire()
        except CircuitOpenError:
            return
        if step == "succeed":
            permit.success()
        elif step == "fail":
            permit.failure(ValueError())
    elif step == "half_open":
        breaker.half_open("a person")
    elif step == "reset":
        breaker.reset("a person")
    else:
        getattr(breaker, f"force_{step}")("a person", "")


def test_a_delivery_has_the_states_that_are_drawn() -> None:
    drawn = {state for pair in arrows(page("delivery").diagram("stateDiagram")) for state in pair}
    assert drawn == {state.value for state in DeliveryState}


def test_every_status_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", page("delivery").prose, re.MULTILINE))
    assert {status.value for status in Status} <= explained


def test_the_three_states_of_a_breaker_are_drawn() -> None:
    drawn = {state for pair in arrows(page("resilience").diagram("stateDiagram")) for state in pair}
    assert drawn == {state.value for state in BreakerState}


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_broken_diagram_is_noticed(tmp_path: Path) -> None:
    """The renderer would tell: else the first test proves nothing."""
    with pytest.raises(AssertionError, match="Parse error"):
        mermaid.render([Block(1, "mermaid", "stateDiagram-v2\n  A --> --> B\n", None)], tmp_path)
