"""``event-cli dlq`` on a real bus: groups, retries at a rate, and corrections in an editor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.scripted import Cli
from tests.cli.terminal import terminal
from tests.flagged import HANDLER
from tests.processes import Headless, headless, wait_for


@pytest.fixture
def doomed(cli: Cli) -> Iterator[Headless]:
    """A bus with three dead letters of one group and one of another, whose handler works again."""
    cli.home.mkdir(exist_ok=True)
    broken = cli.home / "broken"
    broken.touch()
    with headless(cli.home, {"EVENT_MONITOR_HOME": str(cli.home)}) as bus:
        bus.ask(do="subscribe", pattern="*.bad", handler=HANDLER, name="mine")
        for event_type in ("a.bad", "a.bad", "a.bad", "b.bad"):
            bus.ask(do="publish", event_type=event_type, payload={"name": "job", "token": "hunter2"})
        wait_for(lambda: bus.ask(do="query_dead_groups")["letters"] == 4)
        broken.unlink()
        yield bus


def seen(cli: Cli) -> list[int]:
    file = cli.home / "seen"
    return sorted(map(int, file.read_text().split())) if file.exists() else []


def test_groups_are_counted_and_retried_at_a_rate(cli: Cli, doomed: Headless) -> None:
    a, b = cli("dlq", "groups").lines
    assert (a["event_type"], a["letters"], b["letters"]) == ("a.bad", 3, 1)
    assert a["error"] == "PermanentError: cannot write <path>"
    assert [letter["event_type"] for letter in cli("dlq", "list", "--group", str(b["id"])).lines] == ["b.bad"]
    run = cli("dlq", "retry", "--group", str(a["id"]), "--rate", "0.01").json
    assert (run["state"], run["letters"], run["rate"]) == ("running", 3, 0.01)
    number = str(run["id"])
    assert cli("dlq", "rate", number, "1000").json["rate"] == 1000
    wait_for(lambda: len(seen(cli)) == 3)
    (shown,) = cli("dlq", "runs", number).lines
    assert (shown["state"], shown["retried"]) == ("done", 3)
    refused = cli("dlq", "stop", number)
    assert (refused.status, "retry 1 is done" in refused.err) == (1, True)
    assert cli("dlq", "drop", "--group", str(b["id"]), "--yes").json["count"] == 1
    assert cli("dlq", "groups").out == ""


def test_a_payload_is_corrected_from_words_and_from_stdin(cli: Cli, doomed: Headless) -> None:
    first, second = (letter["id"] for letter in cli("dlq", "list").lines[:2])
    done = cli("dlq", "edit", str(first), '{"name": "better"}').json
    assert (done["corrects"], done["dropped"], done["targets"]) == (first, 1, ["mine"])
    wait_for(lambda: seen(cli) == [done["id"]])
    again = cli("dlq", "edit", str(second), "-", "--rerouted", stdin=b'{"name": "piped"}').json
    assert sorted(again["targets"]) == ["log", "mine"]
    payloads = {
        event["id"]: event["payload"] for event in cli("events", "--type", "a.bad", "--limit", "0").lines
    }
    assert (payloads[done["id"]], payloads[again["id"]]) == ({"name": "better"}, {"name": "piped"})
    assert cli("dlq", "edit", str(first), "{}").status == 1
    assert cli("dlq", "edit", "77777", "{}").status == 1
    bad = cli("dlq", "edit", str(second), "[]")
    assert bad.status in (1, 2) and bad.err.count("\n") == 1
    nobody = cli("dlq", "edit", str(cli("dlq", "list").lines[0]["id"]), stdin=b"")
    assert nobody.status == 2 and "nobody can edit here" in nobody.err


def test_an_editor_corrects_a_payload_without_showing_its_secrets(cli: Cli, doomed: Headless) -> None:
    letter = cli("dlq", "list").lines[0]["id"]
    script = cli.home / "editor"
    # The first save is broken, the second is right.
    right = '{"name": "better", "token": "[masked 1]"}'
    script.write_text(
        '#!/bin/sh\n[ -e "$0.saw" ] && echo \'' + right + '\' > "$1" && exit\n'
        'cp "$1" "$0.saw"; echo "{" > "$1"\n'
    )
    script.chmod(0o755)
    environ = {**cli.environ, "EDITOR": str(script), "VISUAL": ""}
    with terminal([*cli.command, "dlq", "edit", str(letter)], environ) as typed:
        typed.wait_for("Edit again?")
        typed.type("y\r")
        typed.wait_for("Publish the corrected a.bad to mine?")
        typed.type("y\r")
        typed.wait_for("dead letter dropped")
        assert typed.ended() == 0
        assert "hunter2" not in typed.shown
    assert "hunter2" not in (cli.home / "editor.saw").read_text()
    wait_for(lambda: len(seen(cli)) == 1)
    events = cli("events", "--type", "a.bad", "--limit", "0").lines
    assert events[-1]["payload"] == {"name": "better", "token": "hunter2"}
    assert events[-1]["causation_id"] == letter


def test_nothing_is_published_of_what_nobody_changed(cli: Cli, doomed: Headless) -> None:
    letter = cli("dlq", "list").lines[0]["id"]
    environ = {**cli.environ, "EDITOR": "true", "VISUAL": ""}
    with terminal([*cli.command, "dlq", "edit", str(letter)], environ) as typed:
        typed.wait_for("nothing was changed, nothing was published")
        assert typed.ended() == 1
    with terminal([*cli.command, "dlq", "edit", str(letter)], {**environ, "EDITOR": "false"}) as typed:
        typed.wait_for("the editor false ended with 1")
        assert typed.ended() == 2
    assert len(cli("dlq", "list").lines) == 4
    assert seen(cli) == []
