"""What a bench found, as a table for people and JSON lines for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO


@dataclass(frozen=True)
class Report:
    """Rows of one bench. A row may lack columns; what could not be measured says so in ``note``."""

    bench: str
    title: str
    columns: Sequence[str]
    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Aligned text with one line a row."""
        cells = [[_cell(row.get(column)) for column in self.columns] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        numeric = [
            all(isinstance(row.get(column), int | float | None) for row in self.rows)
            for column in self.columns
        ]
        lines = [self.title, ""]
        lines += [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, numeric, strict=True)
            ).rstrip()
            for line in ([*self.columns], ["-" * width for width in widths], *cells)
        ]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), ""])

    def write(self, out: TextIO, tables: TextIO = sys.stderr) -> None:
        """The table to ``tables``, the JSON lines to ``out``."""
        print(self.table(), file=tables, flush=True)
        for row in self.rows:
            print(json.dumps({"bench": self.bench, **row}), file=out)
        for note in self.notes:
            print(json.dumps({"bench": self.bench, "note": note}), file=out)
        out.flush()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return (
            f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
        )
    return f"{value:,}" if isinstance(value, int) else str(value)
