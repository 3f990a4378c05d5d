"""Remembered answers, the search over documentation, and the last word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from event_monitor.resilience.fallback import AnswerCache, FallbackChain, Step
from event_monitor.services.base import CallerError, ServiceDown, ServiceError
from event_monitor.services.providers.docs import MAX_FILE_BYTES, LocalDocs
from event_monitor.services.providers.last_word import ErrorMessage
from event_monitor.services.providers.provider import only_asks
from event_monitor.services.providers.remembered import RememberedAnswers


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("operation", "asks"),
    [
        ("read_file", True),
        ("get_commit", True),
        ("get_pull_request_status", True),
        ("brave_web_search", True),
        ("listIssues", True),
        ("resources/read", True),
        ("write_file", False),
        ("create_or_update_file", False),
        ("get_or_create_branch", False),
        ("search_and_replace", False),
        ("markNotificationsRead", False),
        ("POST", False),
        ("frobnicate", False),
        ("", False),
    ],
)
def test_only_questions_are_answered_from_memory(operation: str, asks: bool) -> None:
    assert only_asks(operation) is asks


async def test_a_remembered_answer_says_that_it_is_stale_and_how_old() -> None:
    clock = Hand()
    cache = AnswerCache(clock)
    remembered = RememberedAnswers(cache, "cached_fs")
    chain = FallbackChain("mcp.filesystem", [Step(remembered.name, remembered.call)], cache)

    async def works(operation: str, **arguments: str) -> str:
        return f"{operation} {arguments['path']}"

    async def fails(operation: str, **arguments: str) -> str:
        raise ServiceDown("gone")

    await chain.call(works, "read_file", path="/a")
    await chain.call(works, "write_file", path="/a")
    clock.now += 90
    answer = await chain.call(fails, "read_file", path="/a")
    assert (answer.value, answer.source, answer.degraded) == ("read_file /a", "cached_fs", True)
    assert (answer.stale, answer.age) == (True, 90.0)
    with pytest.raises(CallerError, match="'write_file' may change something"):
        await remembered.call("write_file", path="/a")
    with pytest.raises(CallerError, match="'delete_file' may change"):
        await remembered.call("tools/call", name="delete_file", arguments={})
    with pytest.raises(ServiceError, match="nothing is remembered"):
        await remembered.call("read_file", path="/b")
    clock.now += 3_600
    with pytest.raises(ServiceError, match="nothing is remembered"):
        await remembered.call("read_file", path="/a")


async def test_the_last_word_answers_everything_and_is_marked() -> None:
    answer = await ErrorMessage("web_search").call("search", query="x")
    assert answer.degraded and not answer.stale
    assert answer.value["error"] == "unavailable"
    assert "web_search" in answer.value["message"] and "event-cli health web_search" in answer.value["advice"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    directory = tmp_path / "docs"
    (directory / "deep").mkdir(parents=True)
    (directory / "guide.md").write_text(
        "# Circuit breaker\n\nA breaker opens.\nThe circuit of a breaker closes.\nOther words about a lamp.\n"
    )
    (directory / "deep" / "notes.rst").write_text(
        "breaker breaker\nlamp\nThe circuit breaker of the house.\n"
    )
    (directory / "code.py").write_text("circuit breaker\n")
    (directory / "binary.txt").write_bytes(b"circuit breaker\0")
    (directory / "huge.txt").write_text("circuit breaker\n" * (MAX_FILE_BYTES // 16 + 1))
    (directory / "latin.txt").write_bytes(b"caf\xe9 circuit\n")
    (tmp_path / "secret.md").write_text("circuit breaker secret\n")
    (directory / "link.md").symlink_to(tmp_path / "secret.md")
    (directory / "deep" / "up").symlink_to(tmp_path)
    os.mkfifo(directory / "pipe.md")
    return directory


async def test_docs_are_ranked_by_how_much_of_the_query_they_hold(docs: Path) -> None:
    found = await LocalDocs([str(docs)]).call("search", query="Circuit breaker", limit=5)
    places = [(os.path.relpath(one["file"], docs), one["line"]) for one in found["results"]]
    assert places[:3] == [("guide.md", 1), ("deep/notes.rst", 3), ("guide.md", 4)]
    assert len(places) == 5 and "secret" not in str(found)
    assert found["results"][0]["text"] == "# Circuit breaker"
    scores = [one["score"] for one in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert (found["files"], found["skipped"], found["truncated"]) == (3, 3, False)


async def test_docs_rare_words_weigh_more(docs: Path) -> None:
    found = await LocalDocs([str(docs)]).call("brave_web_search", query="house of")
    assert found["results"][0]["text"] == "The circuit breaker of the house."


async def test_docs_say_why_there_is_no_answer(docs: Path, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"3 files of fallback\.docs say nothing about 'zebra'"):
        await LocalDocs([str(docs)]).call("search", query="zebra")
    with pytest.raises(ServiceError, match=r"fallback\.docs"):
        await LocalDocs([]).call("search", query="x")
    with pytest.raises(ServiceError):
        await LocalDocs([str(tmp_path / "absent")]).call("search", query="x")
    for operation, arguments, complaint in (
        ("search", {}, "query is missing"),
        ("search", {"query": "  --"}, "1 to 16 words"),
        ("search", {"query": "x " * 300}, "1 to 16 words"),
        ("search", {"query": "x", "limit": 0}, "limit must be"),
        ("delete", {"query": "x"}, "only searches"),
    ):
        with pytest.raises(CallerError, match=complaint):
            await LocalDocs([str(docs)]).call(operation, **arguments)
