"""A chaos run's report, for a terminal, for programs, and as a page or a picture to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from event_monitor.chaos.report_page import as_html
from event_monitor.chaos.report_picture import as_svg
from event_monitor.chaos.report_table import as_table
from event_monitor.chaos.results import ChaosReport

__all__ = ["FORMATS", "as_html", "as_json", "as_svg", "as_table", "format_of", "write_report"]


def as_json(report: ChaosReport) -> str:
    """All that was found; ``msgspec.json.decode(text, type=ChaosReport)`` is the report again."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


FORMATS: dict[str, Callable[[ChaosReport], str]] = {
    ".json": as_json,
    ".html": as_html,
    ".svg": as_svg,
    ".txt": as_table,
}
"""What a file's suffix makes of a report."""


def format_of(file: str | Path) -> Callable[[ChaosReport], str]:
    """How a file of this name is written. Raises ``ValueError`` that names the suffixes there are: ask
    before the run, not after it."""
    suffix = Path(file).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{str(file)!r} is no report's name: it must end in {', '.join(FORMATS)}")
    return FORMATS[suffix]


def write_report(report: ChaosReport, file: str | Path) -> None:
    """Write it in the form that the suffix asks for. Raises ``ValueError`` and ``OSError``."""
    Path(file).write_text(format_of(file)(report), encoding="utf-8")
