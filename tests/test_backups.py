"""Old backups under a real runtime: what goes is what the settings name, and only once they say so."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from event_monitor import messages as m
from event_monitor.config import BackupSettings
from event_monitor.configured import backup_policy
from event_monitor.model import Status
from event_monitor.paths import HomePaths
from event_monitor.replies import general as r
from event_monitor.runtime import Runtime

# Days; a file counts from its arrival, which no test can set back.
A_MOMENT = "0.0000000001"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """A directory with backups, the newest last, and what only looks like some; and another one."""
    directory = tmp_path / "backups"
    for place in (directory, directory / "deep.tar", tmp_path / "elsewhere"):
        place.mkdir()
    for number in range(5):
        for place in (directory, directory / "deep.tar", tmp_path / "elsewhere"):
            file = place / f"{number}.tar"
            file.write_text("x")
            os.utime(file, (number, number))
    (directory / "notes.md").write_text("mine")
    (directory / "link.tar").symlink_to(tmp_path / "elsewhere" / "0.tar")
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    return directory


async def after_cleanup(home: Path, settings: str, newest: Path) -> r.EventDetail:
    """Have a runtime clean up once because of an event; answer what came of that."""
    file = home / "event-bus" / "event-monitor.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings)
    runtime = await Runtime.start(HomePaths(str(home)))
    try:
        return await clean(runtime, newest)
    finally:
        await runtime.stop()


async def clean(runtime: Runtime, newest: Path) -> r.EventDetail:
    """Tell of a backup that is there; answer what its event led to, once that is done."""
    payload = {"path": str(newest), "size": 1}
    published = await runtime.handle(m.Publish(event_type="backup.completed", payload=payload))
    assert "cleanup" in published.targets
    async with asyncio.timeout(20):
        while True:
            detail: r.EventDetail = await runtime.handle(m.GetEvent(event_id=published.id))
            if detail.event.status is not Status.PENDING:
                return detail
            await asyncio.sleep(0.01)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


async def test_none_is_removed_unless_the_settings_say_so(home: Path, backups: Path) -> None:
    before = names(backups)
    named = f"directories: [{backups}], keep_days: {A_MOMENT}, keep_newest: 1"
    for settings in (
        "",
        f"backups: {{{named}}}",
        f"backups: {{remove: no, {named}}}",
        "backups: {remove: yes}",
    ):
        done = await after_cleanup(home, settings, backups / "4.tar")
        assert done.event.status is Status.DELIVERED
        assert names(backups) == before


async def test_what_they_name_goes_and_the_newest_always_stay(
    home: Path, backups: Path, tmp_path: Path
) -> None:
    done = await after_cleanup(
        home,
        f"backups:\n  remove: true\n  directories: [{backups}, {tmp_path / 'linked'}]\n"
        f"  keep_days: {A_MOMENT}\n  keep_newest: 2\n",
        backups / "4.tar",
    )
    assert names(backups) == ["3.tar", "4.tar", "deep.tar", "link.tar", "notes.md"]
    assert len(names(backups / "deep.tar")) == 5
    assert len(names(tmp_path / "elsewhere")) == 5
    (delivery,) = [one for one in done.deliveries if one.target == "cleanup"]
    assert "linked was not cleaned: it is a symbolic link" in delivery.errors[-1].error


async def test_young_ones_and_other_names_stay(home: Path, backups: Path) -> None:
    before, newest = names(backups), backups / "4.tar"
    await after_cleanup(home, f"backups: {{remove: yes, directories: [{backups}], keep_newest: 1}}", newest)
    assert names(backups) == before
    rest = f"keep_days: {A_MOMENT}, keep_newest: 1, patterns: ['*.zip']"
    await after_cleanup(home, f"backups: {{remove: yes, directories: [{backups}], {rest}}}", newest)
    assert names(backups) == before


async def test_the_word_is_taken_and_taken_back_while_it_runs(home: Path, backups: Path) -> None:
    file = home / "event-bus" / "event-monitor.yaml"
    file.parent.mkdir(parents=True)
    runtime = await Runtime.start(HomePaths(str(home)))
    try:
        text = f"backups: {{remove: yes, directories: [{backups}], keep_days: {A_MOMENT}, keep_newest: 3}}"
        file.write_text(text)
        await runtime.handle(m.Reload())
        await clean(runtime, backups / "4.tar")
        assert [name for name in names(backups) if name[0].isdigit()] == ["2.tar", "3.tar", "4.tar"]
        file.write_text(text.replace("yes", "no").replace("keep_newest: 3", "keep_newest: 1"))
        await runtime.handle(m.Reload())
        await clean(runtime, backups / "4.tar")
        assert [name for name in names(backups) if name[0].isdigit()] == ["2.tar", "3.tar", "4.tar"]
    finally:
        await runtime.stop()


def test_a_directory_may_be_named_from_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    policy = backup_policy(BackupSettings(remove=True, directories=("~/backups",)))
    assert policy is not None
    assert policy.directories == (Path("/home/ada/backups"),)
    with pytest.raises(ValueError, match="cannot be cleaned"):
        backup_policy(BackupSettings(directories=("~",)))
