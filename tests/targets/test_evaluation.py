"""The evaluation target: what a score means, and that one is kept for each pattern."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.resilience.retry import PermanentError
from event_monitor.targets.evaluation import EvaluationTarget, Figures, read_figures, score
from event_monitor.targets.learning import LearningTarget
from event_monitor.targets.storage import StorageTarget
from tests.bus.helpers import open_bus, rows, rules
from tests.targets.helpers import batch, event

_figures = st.builds(
    Figures,
    st.integers(1, 10**6),
    st.floats(0.001, 1),
    st.none() | st.floats(0.001, 1_000),
)


@pytest.mark.parametrize(
    ("figures", "value"),
    [
        # n = 10 of 10: the lower Wilson bound is 10 / (10 + 1.96²).
        (Figures(10, 1.0, None), 0.7225),
        (Figures(3, 1.0, None), 0.4385),
        # 50 of 100: the textbook's 0.404.
        (Figures(50, 0.5, None), 0.4038),
        (Figures(10, 1.0, 2.0), 0.3612),
        (Figures(10, 1.0, 1.0), 0.0),
        (Figures(10, 1.0, 0.5), 0.0),
    ],
)
def test_scores(figures: Figures, value: float) -> None:
    assert score(figures) == pytest.approx(value, abs=5e-5)


@given(_figures)
def test_a_score_is_a_share_that_is_below_the_confidence(figures: Figures) -> None:
    assert 0 <= score(figures) <= figures.confidence


@given(_figures, st.integers(1, 1_000))
def test_more_support_never_lowers_a_score(figures: Figures, more: int) -> None:
    better = Figures(figures.support + more, figures.confidence, figures.lift)
    assert score(better) >= score(figures) - 1e-12


@given(_figures, st.floats(1, 100))
def test_more_lift_never_lowers_a_score(figures: Figures, factor: float) -> None:
    lift = figures.lift or 1.0
    lower, higher = (Figures(figures.support, figures.confidence, one) for one in (lift, lift * factor))
    assert score(higher) >= score(lower) - 1e-12


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"confidence": 0.5}, "support is not a count"),
        ({"support": 0, "confidence": 0.5}, "support is not a count"),
        ({"support": True, "confidence": 0.5}, "support is not a count"),
        ({"support": 2.5, "confidence": 0.5}, "support is not a count"),
        ({"support": 10**40, "confidence": 0.5}, "support is not a count"),
        ({"support": 3}, "confidence is not a share"),
        ({"support": 3, "confidence": 0}, "confidence is not a share"),
        ({"support": 3, "confidence": 1.1}, "confidence is not a share"),
        ({"support": 3, "confidence": "1"}, "confidence is not a share"),
        ({"support": 3, "confidence": 1, "lift": -1}, "lift is not a number above 0"),
        ({"support": 3, "confidence": 1, "lift": "2"}, "lift is not a number above 0"),
        ({"support": 3, "confidence": 1, "lift": 10**400}, "lift is not a number above 0"),
    ],
)
async def test_a_pattern_without_usable_figures_is_refused_for_good(
    tmp_path: Path, payload: dict[str, Any], said: str
) -> None:
    async with open_bus(tmp_path / "events.db") as bus:
        target = EvaluationTarget(bus.store, bus.clock)
        assert await target.best() == []
        with pytest.raises(PermanentError, match=said):
            await target.handle(batch(event(1, "pattern.learned", payload)))
        assert await target.best() == []


def test_the_smallest_confidence_that_a_float_can_hold_has_a_score() -> None:
    assert score(read_figures({"support": 1, "confidence": 5e-324, "lift": 5e-324})) == 0.0


async def test_the_newest_event_of_a_pattern_counts_however_often_it_comes(tmp_path: Path) -> None:
    def learned(number: int, name: str, support: int) -> Any:
        return event(
            number, "pattern.learned", {"name": name, "support": support, "confidence": 1, "lift": 4.0}
        )

    async with open_bus(tmp_path / "events.db") as bus:
        target = EvaluationTarget(bus.store, bus.clock)
        first, second, other = learned(1, "a", 3), learned(2, "a", 10), learned(3, "b", 5)
        for one in (first, second, first, other):
            await target.handle(batch(one))
        found = await target.best()
        assert [(one.name, one.figures, one.event_id) for one in found] == [
            ("a", Figures(10, 1.0, 4.0), 2),
            ("b", Figures(5, 1.0, 4.0), 3),
        ]
        assert [one.score for one in found] == [score(one.figures) for one in found]
        assert await target.best(limit=1) == found[:1]


async def test_on_a_bus_what_was_learned_is_scored_and_stored_under_one_name(tmp_path: Path) -> None:
    path = tmp_path / "events.db"

    def prepare(bus: Any) -> None:
        bus.add_target("learning", LearningTarget(bus.store, bus.publish).handle, batch_size=64)
        bus.add_target("evaluation", EvaluationTarget(bus.store, bus.clock).handle)
        bus.add_target("storage", StorageTarget(bus.store, bus.clock).handle)

    routes = {"command.executed": ["learning"], "pattern.learned": ["evaluation", "storage"]}
    async with open_bus(path, prepare, rules=rules(routes, "learning", "evaluation", "storage")) as bus:
        for text in ("git add", "git commit") * 3:
            await bus.publish("command.executed", {"command": text, "session_id": "s"})
        await bus.settled()
    query = "SELECT name, support, lift, score BETWEEN 0 AND 1 FROM evaluations JOIN patterns USING (name)"
    assert rows(path, query) == [("git add > git commit", 3, 2.0, 1)]
