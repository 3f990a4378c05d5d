"""Editing the user's settings file: one service more or less, and every other byte as it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_monitor import settings_edit
from event_monitor.errors import InvalidConfig, NotFound
from event_monitor.settings_edit import add_service, entry_text, remove_service

ENTRY = {
    "name": "github",
    "kind": "mcp",
    "declared": {"scope": "user", "name": "on", "approved": "sha256:0a"},
}
BLOCK = '  - name: github\n    kind: mcp\n    declared: {scope: user, name: "on", approved: "sha256:0a"}\n'
FLOW = '{name: github, kind: mcp, declared: {scope: user, name: "on", approved: "sha256:0a"}}'

FORMS: dict[str, tuple[str, str]] = {
    "no file": ("", f"services:\n{BLOCK}"),
    "comments only": ("# mine\n", f"# mine\n\nservices:\n{BLOCK}"),
    "other sections": ("queue: {reserve: 5}  # few", f"queue: {{reserve: 5}}  # few\n\nservices:\n{BLOCK}"),
    "an empty list": (
        "services: []  # none yet\nqueue:\n  reserve: 5\n",
        f"services:  # none yet\n{BLOCK}queue:\n  reserve: 5\n",
    ),
    "an empty list over lines": ("services: [\n  ]\nbus: {}\n", f"services:\n{BLOCK}bus: {{}}\n"),
    "nothing": ("services:\nbus: {}\n", f"services:\n{BLOCK}bus: {{}}\n"),
    "nothing, at the end": ("services:", f"services:\n{BLOCK}"),
    "null": ("services: ~ # none\n", f"services: # none\n{BLOCK}"),
    "a block": (
        "services:\n# the database\n- {name: db, kind: tcp, port: 1}  # local\n# end\n\nbus: {}\n",
        "services:\n# the database\n- {name: db, kind: tcp, port: 1}  # local\n"
        + BLOCK.replace("  -", "-").replace("\n    ", "\n  ")
        + "# end\n\nbus: {}\n",
    ),
    "a block with nested ones": (
        "services:\n    - name: w\n      kind: command\n      command:\n        - a\n        - b\n"
        "      # deeper\n    # as deep\nbus:\n",
        "services:\n    - name: w\n      kind: command\n      command:\n        - a\n        - b\n"
        "      # deeper\n"
        + BLOCK.replace("  -", "    -").replace("\n    ", "\n      ")
        + "    # as deep\nbus:\n",
    ),
    "a block that ends the file": (
        "services:\n  - name: db\n    kind: tcp",
        f"services:\n  - name: db\n    kind: tcp\n{BLOCK}",
    ),
    "a literal text at the end": (
        "services:\n  - name: p\n    kind: process\n    match: |\n      x\n      y\n\nbus: {}\n",
        f"services:\n  - name: p\n    kind: process\n    match: |\n      x\n      y\n\n{BLOCK}bus: {{}}\n",
    ),
    "a flow list": (
        "services: [{name: db, kind: tcp}]  # short\n",
        f"services: [{{name: db, kind: tcp}}, {FLOW}]  # short\n",
    ),
    "a flow list over lines": (
        "services: [\n  {name: db, kind: tcp},  # local\n]\n",
        f"services: [\n  {{name: db, kind: tcp}}, {FLOW},  # local\n]\n",
    ),
    "other line ends": (
        "services:\r\n  - {name: db, kind: tcp}\r\nbus: {}\r\n",
        "services:\r\n  - {name: db, kind: tcp}\r\n" + BLOCK.replace("\n", "\r\n") + "bus: {}\r\n",
    ),
    "a byte order mark": ("\ufeffservices: []\n", f"\ufeffservices:\n{BLOCK}"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "event-monitor.yaml"


def write(file: Path, text: str) -> None:
    file.write_bytes(text.encode())


@pytest.mark.parametrize("form", FORMS)
def test_a_service_is_added_and_every_other_byte_stays(file: Path, form: str) -> None:
    before, after = FORMS[form]
    if before:
        write(file, before)
    add_service(str(file), ENTRY)
    assert file.read_bytes().decode() == after
    remove_service(str(file), "github")
    kept = yaml.safe_load(file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    meant = yaml.safe_load(before.removeprefix("\ufeff")) or {}
    assert {**kept, "services": kept["services"] or []} == {**meant, "services": meant.get("services") or []}


@pytest.mark.parametrize(
    "text",
    [
        "{bus: {}}\n",
        "services: &a []\nbus: {}\n",
        "bus: &a []\nservices: *a\n",
        "services : []\n",
        "services: {a: 1}\n",
        "bus: {}\n...\n",
        "? services\n: []\n",
    ],
)
def test_what_cannot_be_edited_safely_is_left_alone(file: Path, text: str) -> None:
    write(file, text)
    with pytest.raises(InvalidConfig, match="by hand"):
        add_service(str(file), ENTRY)
    assert file.read_text() == text
    assert os.listdir(file.parent) == [file.name]


def test_a_broken_file_is_named_and_left_alone(file: Path) -> None:
    write(file, "bus: {}\nservices: [\n")
    with pytest.raises(InvalidConfig, match=f"{file}:3"):
        add_service(str(file), ENTRY)
    assert file.read_text() == "bus: {}\nservices: [\n"


def test_only_the_named_service_is_removed_with_its_comments_kept_beside_it(file: Path) -> None:
    write(
        file,
        "services:\n  # one\n  - {name: a, kind: tcp}\n  # two\n"
        "  - name: b\n    kind: tcp  # mine\n  - {name: c, kind: tcp}\n",
    )
    remove_service(str(file), "b")
    assert file.read_text() == (
        "services:\n  # one\n  - {name: a, kind: tcp}\n  # two\n  - {name: c, kind: tcp}\n"
    )
    with pytest.raises(NotFound, match="'b'"):
        remove_service(str(file), "b")
    write(file, "services: [{name: a}, {name: b}, {name: c}]\n")
    for name, left in (("b", "[{name: a}, {name: c}]"), ("a", "[{name: c}]"), ("c", "[]")):
        remove_service(str(file), name)
        assert file.read_text() == f"services: {left}\n"


def test_mode_and_link_stay_and_a_new_file_is_its_owners_alone(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "em.yaml"
    real.parent.mkdir()
    write(real, "bus: {}\n")
    real.chmod(0o640)
    file.symlink_to(real)
    add_service(str(file), ENTRY)
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "github" in real.read_text()
    fresh = tmp_path / "new" / "event-monitor.yaml"
    add_service(str(fresh), ENTRY)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, "bus: {}\n")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(settings_edit.os, "fsync", fail)
    with pytest.raises(InvalidConfig, match="No space left"):
        add_service(str(file), ENTRY)
    assert file.read_text() == "bus: {}\n"
    assert os.listdir(file.parent) == [file.name]


WORDS = st.text("ab: #'\"{}[]-,\u00e9\n\x07\u2028", max_size=6)
SERVICE = st.fixed_dictionaries(
    {"name": WORDS, "kind": st.just("tcp")}, optional={"match": WORDS, "cwd": WORDS}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    services=st.lists(SERVICE, max_size=3),
    name=WORDS,
    style=st.sampled_from([None, True, False]),
    after=st.booleans(),
)
def test_any_service_can_be_added_to_any_file_of_ours(
    file: Path, services: list[Any], name: str, style: bool | None, after: bool
) -> None:
    text = yaml.safe_dump({"services": services}, default_flow_style=style, allow_unicode=True)
    if text.startswith("{"):
        text = f"services: {text[len('{services: ') : -2]}\n"
    text = f"bus: {{}}  # first\n{text}" + ("queue: {}  # last\n" if after else "")
    write(file, text)
    entry = {**ENTRY, "name": name}
    try:
        add_service(str(file), entry)
    except InvalidConfig as refusal:
        if any(one["name"] == name for one in services):
            assert "already" in refusal.message
            return
        # A line separator ends a line for YAML even in quotes.
        assert "\u2028" in name
        assert "by hand" in refusal.message + refusal.advice
        assert file.read_text() == text
    else:
        read = yaml.safe_load(file.read_text())
        assert read["services"] == [*services, entry]
        assert "# first" in file.read_text()
        assert ("# last" in file.read_text()) is after


def test_the_text_that_is_shown_is_the_text_that_is_written(file: Path) -> None:
    add_service(str(file), ENTRY)
    assert entry_text(ENTRY) in file.read_text()
