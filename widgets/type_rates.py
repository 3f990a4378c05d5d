"""What comes most just now, by event type, as lines."""

from __future__ import annotations

from collections.abc import Sequence

from event_monitor.model import TypeRate
from event_monitor.widgets.text import Line, clip, count, fit, line, plain, sparkline

_TREND = 24
_FIGURES = 9 + 6
_LEAST_NAME = 16


def type_rates(rates: Sequence[TypeRate], width: int, height: int) -> list[Line]:
    """One line a type: how many a second in the last minute, its part of all, and two minutes of history.
    What there is no row for is summed up in the last one."""
    if not rates:
        return [clip(line((" no event in the last two minutes", "dim")), width)][:height]
    return [_row(rate, width) for rate in _shown(rates, height)]


def _shown(rates: Sequence[TypeRate], height: int) -> list[TypeRate]:
    if len(rates) <= height or height < 2:
        return list(rates[:height])
    kept, rest = rates[: height - 1], rates[height - 1 :]
    series = tuple(map(sum, zip(*(one.series for one in rest), strict=True)))
    others = TypeRate(
        event_type="",
        per_second=sum(one.per_second for one in rest),
        share=sum(one.share for one in rest),
        series=series,
    )
    return [*kept, others]


def _row(rate: TypeRate, width: int) -> Line:
    trend = min(_TREND, max(0, width - 2 - _FIGURES - _LEAST_NAME))
    name = max(1, width - 2 - _FIGURES - (trend + 1 if trend else 0))
    bars = (" ", (sparkline(rate.series, trend), "accent")) if trend else ()
    others = not rate.event_type
    return clip(
        line(
            " ",
            (fit("all others" if others else plain(rate.event_type), name), "dim" if others else ""),
            (f"{per_second(rate.per_second):>9}", "strong"),
            (f"{rate.share:>5.0%} ", "dim"),
            *bars,
        ),
        width,
    )


def per_second(rate: float) -> str:
    """``142/s``, ``3.2/s``, and of what is seldom how many come in a minute: ``5/min``."""
    if rate >= 10:
        return f"{count(rate)}/s"
    if rate >= 1:
        return f"{rate:.1f}/s"
    return f"{rate * 60:.0f}/min"
