"""Times and figures as people read them."""

from __future__ import annotations


def clock(timestamp: str) -> str:
    """A timestamp to the second; what is none stays as it is."""
    return timestamp[:19].replace("T", " ") if len(timestamp) >= 20 else timestamp


def ms(value: float | None) -> str:
    """Milliseconds; a dash for what was not measured."""
    return "-" if value is None else f"{value:,.1f} ms"


def figure(value: float | int | None) -> str:
    """A count, or a mean with one decimal; a dash for none."""
    if value is None:
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def size(count: int) -> str:
    """Bytes in the unit that suits."""
    left = float(count)
    for unit in ("B", "KiB", "MiB"):
        if left < 1024:
            return f"{left:,.0f} {unit}" if unit == "B" else f"{left:,.1f} {unit}"
        left /= 1024
    return f"{left:,.1f} GiB"


def duration(seconds: float) -> str:
    """The two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:g} s"
