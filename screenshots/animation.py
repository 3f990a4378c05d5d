"""An animated picture of a terminal: SVG with CSS alone, as a README may show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich.color import Color
from rich.segment import Segment
from rich.terminal_theme import DIMMED_MONOKAI

_CELL, _ROW, _SIZE = 8.4, 18, 14
_EDGE = 10
_FONTS = "ui-monospace, 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


@dataclass(frozen=True)
class Frame:
    """What the screen showed from a moment on, and what was being done."""

    at: float
    rows: tuple[tuple[Segment, ...], ...]
    caption: str


class Animation:
    """Collects frames. A row that stays as it is, or comes back, is kept once."""

    def __init__(self, columns: int, rows: int, ground: str, ink: str) -> None:
        self._columns, self._rows = columns, rows
        self._ground, self._ink = ground, ink
        self._frames: list[Frame] = []
        self._classes: dict[str, str] = {}

    def add(self, frame: Frame) -> None:
        """Take a frame, later than the ones before."""
        self._frames.append(frame)

    def svg(self, length: float) -> str:
        """The picture, which takes ``length`` seconds and begins again. Who wants no motion sees its last
        frame."""
        shown: dict[tuple[int, str], list[int]] = {}
        for number, frame in enumerate(self._frames):
            for place, row in enumerate((*map(self._row, frame.rows), self._caption(frame.caption))):
                shown.setdefault((place, row), []).append(number)
        contents = {row: f"r{n}" for n, row in enumerate(dict.fromkeys(row for _, row in shown if row))}
        times: dict[tuple[int, ...], str] = {}
        uses = []
        for (place, row), numbers in shown.items():
            if row:
                name = times.setdefault(tuple(numbers), f"t{len(times)}")
                uses.append(f'<use class="{name}" href="#{contents[row]}" y="{place * _ROW}"/>')
        width = round(self._columns * _CELL + 2 * _EDGE, 1)
        height = (self._rows + 2) * _ROW + 2 * _EDGE
        last = len(self._frames) - 1
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                f'width="{width}" height="{height}">',
                "<title>event-monitor: a service fails, and is mended from the dashboard</title>",
                "<style>",
                f"text {{ font: {_SIZE}px {_FONTS}; white-space: pre; fill: {self._ink} }}",
                f"use {{ visibility: hidden; animation: {length:g}s step-end infinite }}",
                *(f".{name} {{ {style} }}" for style, name in self._classes.items()),
                *(self._keyframes(name, numbers, length) for numbers, name in times.items()),
                "@media (prefers-reduced-motion: reduce) { use { animation: none !important }",
                *(f".{name} {{ visibility: visible }}" for numbers, name in times.items() if last in numbers),
                "}",
                "</style>",
                "<defs>",
                *(f'<g id="{name}">{row}</g>' for row, name in contents.items()),
                "</defs>",
                f'<rect width="100%" height="100%" rx="8" fill="{self._ground}"/>',
                f'<g transform="translate({_EDGE} {_EDGE})">',
                *uses,
                "</g>",
                "</svg>",
                "",
            )
        )

    def _keyframes(self, name: str, numbers: Sequence[int], length: float) -> str:
        steps, visible = [], set(numbers)
        for number, frame in enumerate(self._frames):
            before = number - 1 in visible
            if number == 0 or (number in visible) != before:
                state = "visible" if number in visible else "hidden"
                # What is there first is there from the beginning.
                at = frame.at if number else 0.0
                steps.append(f"{100 * at / length:.2f}%{{visibility:{state}}}")
        return f".{name}{{animation-name:{name}}}@keyframes {name}{{{''.join(steps)}}}"

    def _row(self, segments: Sequence[Segment]) -> str:
        grounds, texts, column = [], [], 0
        for segment in segments:
            width = segment.cell_length
            x, span = round(column * _CELL, 1), round(width * _CELL, 1)
            column += width
            ground, name = self._look(segment)
            if ground != self._ground:
                grounds.append(f'<rect x="{x}" width="{span}" height="{_ROW}" fill="{ground}"/>')
            if segment.text.strip():
                texts.append(
                    f'<text class="{name}" x="{x}" y="{_SIZE}" textLength="{span}" '
                    f'lengthAdjust="spacingAndGlyphs">{escape(segment.text)}</text>'
                )
        return "".join((*grounds, *texts))

    def _look(self, segment: Segment) -> tuple[str, str]:
        style = segment.style
        ink, ground = self._ink, self._ground
        look = ""
        if style is not None:
            ink, ground = _hex(style.color, self._ink), _hex(style.bgcolor, self._ground)
            if style.reverse:
                ink, ground = ground, ink
            look += "font-weight: bold; " if style.bold else ""
            look += "text-decoration: underline; " if style.underline else ""
            look += "opacity: 0.6; " if style.dim else ""
        look = f"{look}fill: {ink}"
        return ground, self._classes.setdefault(look, f"c{len(self._classes)}")

    def _caption(self, caption: str) -> str:
        y = _ROW + _SIZE
        return f'<text x="0" y="{y}" opacity="0.85">{escape(caption)}</text>' if caption else ""


def _hex(color: Color | None, default: str) -> str:
    if color is None or color.is_default:
        return default
    return color.get_truecolor(DIMMED_MONOKAI).hex
