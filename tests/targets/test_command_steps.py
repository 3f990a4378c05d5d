"""What is left of a command once its arguments are dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_monitor.targets.command_steps import MAX_STEPS, steps_of


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        ("git status", ["git status"]),
        ("git commit -m 'add; push && more'", ["git commit"]),
        ("git -C /some/where --no-pager log --oneline", ["git log"]),
        ("GIT_DIR=/x sudo /usr/bin/git push origin main", ["git push"]),
        ("cd /x && git add . && git commit -m x", ["git add", "git commit"]),
        ("pytest -q tests/test_a.py 2>&1 | tail -20", ["pytest"]),
        ("make build; make test || echo no", ["make build", "make test"]),
        ("npm run test -- --watch", ["npm run test"]),
        ("uv run pytest", ["uv run pytest"]),
        ("docker run ubuntu ls", ["docker run"]),
        ("python3 -m pytest -x", ["python -m pytest"]),
        ("/work/venv/bin/python3.11 script.py --token=s3cret", ["python"]),
        ("curl -H 'Authorization: s3cret' https://x", ["curl"]),
        ("ls -la src\ncat a.txt\n", ["ls", "cat"]),
        ("cat > a.txt <<EOF\nrm -rf /\nEOF\n", ["cat"]),
        ("if git diff --quiet; then make; fi", ["git diff", "make"]),
        ("for f in *; do rg x $f; done", ["rg"]),
        ("$EDITOR file", []),
        ("curl $(cat url) s3cret", ["curl"]),
        ("curl `cat url` s3cret", ["curl"]),
        ("X=$(git rev-parse HEAD) make && ls", ["make", "ls"]),
        ("echo $((1 + (2)))&& make", ["make"]),
        ("diff <(sort a) <(sort b) s3cret; ls", ["diff", "ls"]),
        ("$(unreadable) s3cret", []),
        ("(cd x && cargo test)", ["cargo test"]),
        ("sort < in > out && uniq out", ["sort", "uniq"]),
        ("git status 'unclosed", ["git status"]),
        ("make && git status 'unclosed", ["make", "git status"]),
        ("", []),
        ("   # a comment", []),
    ],
)
def test_the_steps_of_a_command(command: str, steps: list[str]) -> None:
    assert steps_of({"command": command}) == steps
    assert steps_of({"tool_name": "Bash", "tool_input": {"command": command}}) == steps


@pytest.mark.parametrize("payload", [{}, {"command": ["git"]}, {"tool_input": {}}, {"tool_input": "git"}])
def test_a_payload_without_a_command_has_no_steps(payload: dict[str, object]) -> None:
    assert steps_of(payload) == []


@given(st.text() | st.text("git adcommit -m'\"&|;()<>\n$`\\#=x/", max_size=200))
def test_whatever_the_text_steps_are_short_plain_words(command: str) -> None:
    steps = steps_of({"command": command})
    assert len(steps) <= MAX_STEPS
    assert all(step.isascii() and step.isprintable() and 0 < len(step) <= 78 for step in steps)


def test_a_long_script_costs_a_bounded_number_of_steps() -> None:
    assert len(steps_of({"command": "make a;" * 100_000})) == MAX_STEPS
