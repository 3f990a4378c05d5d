"""Which files go and which never do, on a real file system."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from event_monitor.targets.old_files import BackupPolicy, Removed, remove_backups, remove_rotated_logs

DAY = 86_400.0
# Files are made now, so a test looks at them from a day far ahead.
AHEAD = 1_000


def now() -> float:
    return time.time() + AHEAD * DAY


def go_on() -> bool:
    return False


def make(path: Path, age_days: float, size: int = 10) -> Path:
    path.write_bytes(b"x" * size)
    moment = now() - age_days * DAY
    os.utime(path, (moment, moment))
    return path


def clean(directory: Path, **options: Any) -> Removed:
    return remove_backups(BackupPolicy((directory,), **{"keep_newest": 1, **options}), now(), go_on)


def left(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_old_backups_go_and_the_newest_and_the_young_stay(tmp_path: Path) -> None:
    ages = {"a.tar": 400, "b.tar.zst": 300, "c.zip": 200, "d.tar": 100, "e.tar": 20}
    for name, age in ages.items():
        make(tmp_path / name, age)
    removed = clean(tmp_path, keep_newest=3)
    assert sorted(file.name for file in removed.files) == ["a.tar", "b.tar.zst"]
    assert (removed.size, removed.problems) == (20, ())
    assert left(tmp_path) == ["c.zip", "d.tar", "e.tar"]
    assert clean(tmp_path, keep_newest=3) == Removed()


def test_a_young_file_stays_however_many_are_newer(tmp_path: Path) -> None:
    for age in range(10):
        make(tmp_path / f"{age}.tar", age)
    assert clean(tmp_path, min_age_days=30) == Removed()
    assert len(clean(tmp_path, min_age_days=5.5).files) == 4


def test_a_file_that_came_lately_is_young_whatever_its_content_says(tmp_path: Path) -> None:
    for number in range(3):
        make(tmp_path / f"{number}.tar", 5_000 + number)
    policy = BackupPolicy((tmp_path,), keep_newest=1)
    assert remove_backups(policy, time.time() + 29 * DAY, go_on) == Removed()
    assert len(remove_backups(policy, time.time() + 31 * DAY, go_on).files) == 2


def test_what_is_no_backup_is_never_touched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    backups = tmp_path / "backups"
    for directory in (elsewhere, backups, backups / "deep.tar"):
        directory.mkdir()
    kept = make(elsewhere / "kept.tar", 1)
    make(backups / "deep.tar" / "inner.tar", 900)
    for name in ("notes.md", ".hidden.tar", "upper.TAR", "x.tar\n"):
        make(backups / name, 900)
    (backups / "link.tar").symlink_to(kept)
    (backups / "link.zip").symlink_to(elsewhere)
    os.mkfifo(backups / "fifo.tar")
    for number in range(3):
        make(backups / f"{number}.tar", 900 + number)
    assert [file.name for file in clean(backups).files] == ["1.tar", "2.tar"]
    assert len(left(backups)) == 9 and kept.exists() and (backups / "deep.tar" / "inner.tar").exists()


def test_only_names_that_match_are_backups(tmp_path: Path) -> None:
    for name in ("db-1", "db-2", "a.tar", "b.tar"):
        make(tmp_path / name, 900)
    assert [file.name for file in clean(tmp_path, patterns=("db-*",)).files] == ["db-1"]


def test_a_directory_that_is_a_link_or_missing_is_said_and_the_others_are_cleaned(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for number in range(2):
        make(real / f"{number}.tar", 900 + number)
    (tmp_path / "link").symlink_to(real)
    policy = BackupPolicy((tmp_path / "link", tmp_path / "gone"), keep_newest=1)
    removed = remove_backups(policy, now(), go_on)
    assert removed.files == () and len(left(real)) == 2
    assert removed.problems == (
        f"{tmp_path}/link was not cleaned: it is a symbolic link: name the directory itself",
        f"{tmp_path}/gone was not cleaned: No such file or directory",
    )
    policy = BackupPolicy((tmp_path / "gone", real, real), keep_newest=1)
    assert [file.name for file in remove_backups(policy, now(), go_on).files] == ["1.tar"]


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    for number in range(5):
        make(tmp_path / f"{number}.tar", 900 + number)
    answers = iter([False, False, False, True])
    policy = BackupPolicy((tmp_path,), keep_newest=1)
    assert len(remove_backups(policy, now(), lambda: next(answers)).files) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"directories": (Path("backups"),)}, "name a directory of backups by its full path"),
        ({"directories": (Path("/"),)}, "name a directory of backups by its full path"),
        ({"directories": (Path("/srv/../"),)}, "name a directory of backups by its full path"),
        ({"directories": (Path.home(),)}, "name a directory of backups by its full path"),
        ({"min_age_days": 0}, "choose more than 0 days"),
        ({"min_age_days": float("nan")}, "choose more than 0 days"),
        ({"keep_newest": 0}, "choose 1 or more"),
        ({"patterns": ("*.tar", "")}, "a pattern of backup names is empty"),
    ],
)
def test_a_policy_that_could_do_harm_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BackupPolicy(**options)


def test_rotated_logs_go_by_age_and_by_number_and_the_log_stays(tmp_path: Path) -> None:
    log = make(tmp_path / "events.jsonl", 900)
    for name, age in {"1": 1, "2": 31, "3": 2, "9": 1, "old": 900, "04": 900, "1.gz": 900}.items():
        make(tmp_path / f"events.jsonl.{name}", age)
    make(tmp_path / "other.jsonl.7", 900)
    removed = remove_rotated_logs(log, now(), go_on, max_age_days=30, keep=5)
    assert sorted(file.name for file in removed.files) == ["events.jsonl.2", "events.jsonl.9"]
    assert log.exists() and len(left(tmp_path)) == 7
    nowhere = tmp_path / "none" / "events.jsonl"
    assert remove_rotated_logs(nowhere, now(), go_on, max_age_days=30, keep=5) == Removed()


@hypothesis_settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ages=st.lists(st.integers(0, 100), max_size=12),
    keep=st.integers(1, 5),
    min_age=st.integers(1, 100),
)
def test_no_young_file_goes_and_the_newest_always_stay(
    tmp_path: Path, ages: list[int], keep: int, min_age: int
) -> None:
    for name in left(tmp_path):
        (tmp_path / name).unlink()
    for number, age in enumerate(ages):
        make(tmp_path / f"{number}.tar", age + 0.5)
    gone = clean(tmp_path, keep_newest=keep, min_age_days=min_age).files
    gone_ages = sorted(ages[int(file.stem)] for file in gone)
    assert gone_ages == [age for age in sorted(ages)[keep:] if age >= min_age]
