"""What the assistant's configuration declares is told by scope; secrets and strangers' servers are not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_monitor.services.discovery import DiscoveredServer, discover, survey

STDIO = {"command": "server", "timeout": 5000}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.fixture
def claude(tmp_path: Path) -> Path:
    (tmp_path / ".claude").mkdir()
    return tmp_path / ".claude"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    write(path / ".mcp.json", {"mcpServers": {"a": STDIO, "b": STDIO, "c": STDIO}})
    return path


def names(found: list[DiscoveredServer]) -> list[tuple[str, str]]:
    return [(server.scope, server.name) for server in found]


def test_user_local_and_approved_project_scope(claude: Path, project: Path) -> None:
    entry = {
        "mcpServers": {"mine": STDIO},
        "enabledMcpjsonServers": ["a", "b"],
        "disabledMcpjsonServers": ["b"],
    }
    other = str(project.parent / "other")
    write(
        claude.parent / ".claude.json",
        {
            "mcpServers": {"everywhere": {"type": "http", "url": "https://example.org/mcp"}},
            "projects": {str(project): entry, other: {"mcpServers": {"elsewhere": STDIO}}},
        },
    )
    found = survey(claude, project / "deep" / "below", {})
    assert names(list(found.servers)) == [("user", "everywhere"), ("local", "mine"), ("project", "a")]
    assert [server.project for server in found.servers] == [None, str(project), str(project)]
    assert found.servers[2].origin == str(project / ".mcp.json")
    assert len(found.notes) == 1 and "not approved and left out (1): 'c'" in found.notes[0]
    assert ("local", "elsewhere") in names(discover(claude, None, {}))


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
def test_a_project_approves_itself_only_where_it_is_trusted(
    claude: Path, project: Path, trusted: bool, name: str
) -> None:
    write(claude.parent / ".claude.json", {"projects": {str(project): {"hasTrustDialogAccepted": trusted}}})
    write(project / ".claude" / name, {"enableAllProjectMcpServers": True, "disabledMcpjsonServers": ["b"]})
    expected = [("project", "a"), ("project", "c")] if trusted else []
    assert names(discover(claude, project, {})) == expected
    write(claude / "settings.json", {"enableAllProjectMcpServers": True})
    assert names(discover(claude, project, {})) == [("project", "a"), ("project", "c")]


def test_the_configuration_directory_can_be_moved(tmp_path: Path, claude: Path) -> None:
    write(claude.parent / ".claude.json", {"mcpServers": {"usual": STDIO}})
    write(tmp_path / "moved" / ".claude.json", {"mcpServers": {"moved": STDIO}})
    assert names(discover(claude, None, {})) == [("user", "usual")]
    assert names(discover(claude, None, {"CLAUDE_CONFIG_DIR": str(tmp_path / "moved")})) == [
        ("user", "moved")
    ]
    assert names(discover(tmp_path / "moved", None, {})) == [("user", "moved")]
    assert discover(tmp_path / "absent", None, {}) == []


def test_variables_are_expanded_and_secrets_are_never_shown(claude: Path) -> None:
    declared = {
        "local": {
            "command": "${BIN:-/opt}/server",
            "args": ["--token", "${TOKEN}", "--api-key=hunter2", "-e", "DB_PASSWORD=hunter2",
                     "https://ada:hunter2@example.org/hunter2?k=hunter2", "sk-hunter2", "${GONE}", "plain"],
            "env": {"KEY": "hunter2", "OTHER": "${UNSET_ENV}"},
        },
        "remote": {
            "type": "http",
            "url": "https://${USER}:hunter2@${HOST:-example.org}/hunter2?token=hunter2",
            "headers": {"Authorization": "Bearer hunter2"},
            "timeout": 2500,
        },
    }  # fmt: skip
    write(claude.parent / ".claude.json", {"mcpServers": declared})
    local, remote = discover(claude, None, {"TOKEN": "hunter2", "USER": "ada"})
    assert local.command[:3] == ("/opt/server", "--token", "hunter2") and local.command[-2:] == (
        "${GONE}",
        "plain",
    )
    assert remote.url == "https://ada:hunter2@example.org/hunter2?token=hunter2"
    assert local.shown == (
        "${BIN}/server --token [masked] --api-key=[masked] -e DB_PASSWORD=[masked] https://example.org "
        "[masked] ${GONE} plain"
    )
    assert remote.shown == "https://${HOST}"
    assert (local.env_names, remote.header_names) == (("KEY", "OTHER"), ("Authorization",))
    assert (local.transport, local.timeout, remote.transport, remote.timeout) == ("stdio", None, "http", 2.5)
    assert (
        "the variable GONE is not set" in local.notes and "the variable UNSET_ENV is not set" in local.notes
    )
    assert any("no timeout" in note for note in local.notes) and remote.notes == ()
    assert "hunter2" not in repr([local, remote])


def test_what_a_declaration_gets_wrong_is_noted(claude: Path) -> None:
    declared = {
        "untyped": {"url": "https://example.org"},
        "odd": {"type": "pigeon"},
        "empty": {"type": "stdio", "timeout": 10},
        "args": {"command": "x", "args": "y", "timeout": True},
        "mixed": {"command": "x", "args": [1, "y"]},
        "none": None,
    }
    write(claude.parent / ".claude.json", {"mcpServers": declared})
    found = survey(claude, None, {})
    notes = {server.name: " / ".join(server.notes) for server in found.servers}
    assert "no type that is known" in notes["untyped"] and "no type that is known" in notes["odd"]
    assert "has no command" in notes["empty"] and "1000 milliseconds" in notes["empty"]
    assert "args must be a list" in notes["args"] and "left out" in notes["mixed"]
    assert "none" not in notes and "'none' must be an object" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must hold a JSON object"),
        ('{"mcpServers": []}', "mcpServers must be an object"),
        (" " * 16_000_001, "larger than 16,000,000 bytes"),
    ],
)
def test_a_broken_file_is_noted_and_the_rest_goes_on(
    claude: Path, project: Path, content: str, complaint: str
) -> None:
    write(claude.parent / ".claude.json", content)
    write(claude / "settings.json", {"enabledMcpjsonServers": ["a"]})
    found = survey(claude, project, {})
    assert names(list(found.servers)) == [("project", "a")]
    assert complaint in found.notes[0] and str(claude.parent / ".claude.json") in found.notes[0]


def test_a_pipe_or_directory_in_a_files_place_does_not_block(claude: Path, project: Path) -> None:
    os.mkfifo(claude.parent / ".claude.json")
    (claude / "settings.json").mkdir()
    found = survey(claude, project, {})
    assert found.servers == () and len(found.notes) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["mcpServers", "projects", "type", "command", "args", "url", "env", "timeout", "/p", "x"]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(config=JSON, own=JSON)
def test_no_content_raises(claude: Path, project: Path, config: Any, own: Any) -> None:
    write(claude.parent / ".claude.json", {"mcpServers": own, "projects": {str(project): own}, "x": config})
    write(project / ".mcp.json", config)
    for server in survey(claude, project, {}).servers:
        assert server.name and server.scope in ("user", "local", "project")
