"""What a home's settings come to: those that can be put in force, and what is wrong with the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from event_monitor.config import BackupSettings, ServiceSettings, Settings
from event_monitor.config_places import Mistake
from event_monitor.config_places import Path as KeyPath
from event_monitor.errors import InvalidService
from event_monitor.services.checking import ServiceMistake, service_mistakes
from event_monitor.services.declared import resolve
from event_monitor.services.discovery import Discovery, survey
from event_monitor.settings_file import SettingsFile, read_settings, refusal, service_number
from event_monitor.targets.old_files import BackupPolicy
from event_monitor.yaml_places import YamlDocument

ASSISTANT_HOME = "~/.claude"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one service, a mistake a line. With ``fatal`` it is left out."""

    service: str
    text: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Configured:
    """``settings`` hold services that can be served only, those of the assistant with what it declares."""

    settings: Settings
    problems: tuple[Problem, ...] = ()


def read_configuration(path: str) -> Configured:
    """What the file ``path`` and the assistant's configuration say. Reads files and may block. Raises
    ``InvalidConfig`` with every mistake of the file if there is one outside the list of services."""
    return _configured(read_settings(path))


def configured(settings: Settings) -> Configured:
    """Likewise for settings that stand in no file."""
    return _configured(SettingsFile(settings, YamlDocument(""), tuple(range(len(settings.services)))))


def survey_assistant() -> Discovery:
    """The servers that the assistant of this user declares. Reads files and may block."""
    return survey(ASSISTANT_HOME)


def backup_policy(settings: BackupSettings) -> BackupPolicy | None:
    """What the cleanup may remove, ``None`` for nothing. Raises ``ValueError`` for a directory that
    nobody can mean."""
    policy = BackupPolicy(
        tuple(Path(os.path.expanduser(directory)) for directory in settings.directories),
        settings.keep_days,
        settings.keep_newest,
        settings.patterns,
    )
    return policy if settings.remove else None


def _configured(file: SettingsFile) -> Configured:
    backups = [*_backup_mistakes(file)]
    if backups:
        raise refusal([*file.mistakes, *backups])
    found = _Findings(file)
    found.resolve()
    return found.told()


def _backup_mistakes(file: SettingsFile) -> Iterator[Mistake]:
    backups = file.settings.backups
    parts: dict[KeyPath, BackupSettings] = {
        ("backups", "directories", number): replace(backups, directories=(directory,), patterns=("*",))
        for number, directory in enumerate(backups.directories)
    }
    parts["backups", "patterns"] = replace(backups, directories=())
    for path, part in parts.items():
        try:
            backup_policy(part)
        except ValueError as error:
            yield Mistake(path, f"{file.document.place(path)}: {error}")


@dataclass(slots=True)
class _Findings:
    """Collects what is wrong with the services of one file, by their place in its list."""

    file: SettingsFile
    texts: dict[int, list[str]] = field(default_factory=dict)
    fatal: set[int] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    services: list[tuple[int, ServiceSettings]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for mistake in self.file.mistakes:
            number = service_number(mistake.path)
            assert number is not None
            self._add(number, mistake.text)
            self.names[number] = self._name_in_file(number)
        self.services = list(zip(self.file.numbers, self.file.settings.services, strict=True))
        self.names |= {number: one.name for number, one in self.services}

    def resolve(self) -> None:
        """Fill in what the assistant declares, then look whether each can be served."""
        if any(one.declared is not None for _, one in self.services):
            found = survey_assistant()
            self.services = [
                (number, resolved)
                for number, one in self.services
                if (resolved := self._resolved(number, one, found)) is not None
            ]
        numbers = [number for number, _ in self.services]
        settings = replace(self.file.settings, services=tuple(one for _, one in self.services))
        for mistake in service_mistakes(settings):
            self._tell(numbers[mistake.number], mistake)

    def told(self) -> Configured:
        """What is left, and what was wrong in the order of the file."""
        left = tuple(one for number, one in self.services if number not in self.fatal)
        problems = tuple(
            Problem(self.names[number], "\n".join(self.texts[number]), number in self.fatal)
            for number in sorted(self.texts)
        )
        return Configured(replace(self.file.settings, services=left), problems)

    def _resolved(self, number: int, one: ServiceSettings, found: Discovery) -> ServiceSettings | None:
        try:
            return resolve(one, found)
        except InvalidService as error:
            self._tell(number, ServiceMistake(number, error.key, str(error)))
            return None

    def _tell(self, number: int, mistake: ServiceMistake) -> None:
        if mistake.key == "name":
            self.names[number] = f"services[{number}]"
        path: KeyPath = ("services", number, *mistake.key.split("."))
        in_file = bool(self.file.document.origin)
        self._add(number, f"{self.file.document.place(path)}: {mistake.text}" if in_file else mistake.text)
        if not mistake.fatal:
            self.fatal.discard(number)

    def _add(self, number: int, text: str) -> None:
        self.texts.setdefault(number, []).append(text)
        self.fatal.add(number)

    def _name_in_file(self, number: int) -> str:
        services: Sequence[object] = self.file.document.values["services"]
        one = services[number]
        name = one.get("name") if isinstance(one, dict) else None
        return name if isinstance(name, str) and name.isprintable() and name else f"services[{number}]"
