"""Learning through kill -9: each accepted command counts exactly once, each lesson is said once."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from event_monitor.targets.sequences import threshold_of
from tests.bus.helpers import open_bus, rows, rules
from tests.targets.learner import ROUTES, WORK, learn

ROUNDS = 4


def run_and_kill(path: Path, after: int) -> None:
    """Run a learner and kill it once it has accepted ``after`` events."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.targets.learner", str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        for _ in range(after):
            assert process.stdout.readline().strip()
        process.kill()


async def test_after_kills_each_command_counts_once_and_each_lesson_is_published_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    rng = random.Random(4)
    for _ in range(ROUNDS):
        run_and_kill(path, rng.randint(5, 60))
    async with open_bus(path, learn, rules=rules(ROUTES, "learning")) as bus:
        await bus.settled()
    accepted = [
        text
        for (text,) in rows(
            path,
            "SELECT json_extract(payload, '$.command') FROM events "
            "WHERE event_type = 'command.executed' ORDER BY id",
        )
    ]
    counted = dict(rows(path, "SELECT sequence, support FROM learning_sequences WHERE length = 1"))
    steps = [text for place, text in enumerate(accepted) if accepted[place - 1 : place] != [text]]
    assert counted == {f'["{text}"]': steps.count(text) for text in WORK}
    learned = rows(
        path,
        "SELECT json_extract(payload, '$.pattern'), json_extract(payload, '$.threshold') "
        "FROM events WHERE event_type = 'pattern.learned'",
    )
    assert len(set(learned)) == len(learned)
    pairs = sum(steps[place : place + 2] == list(WORK[:2]) for place in range(len(steps)))
    wanted = {threshold_of(support) for support in range(3, pairs + 1)}
    assert {threshold for pattern, threshold in learned if pattern == '["git add","git commit"]'} == wanted
