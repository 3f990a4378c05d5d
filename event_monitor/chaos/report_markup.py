"""Markup that cannot be broken by what stands in it: all text goes through ``text`` or an attribute."""

from __future__ import annotations

from html import escape

from event_monitor.grammar.text import plain

Markup = str
"""Well-formed markup, as opposed to text."""

STATES = ("HEALTHY", "DEGRADED", "RECOVERING", "FAILED", "MAINTENANCE", "INITIALIZING")


def text(value: object) -> Markup:
    """Any text, inert: nothing in it is markup, and what is not printable is not passed on."""
    return escape(plain(str(value)), quote=True)


def tag(name: str, /, *children: Markup, **attributes: object) -> Markup:
    """An element. In the names of attributes ``_`` stands for ``-`` and is dropped at the end; those that
    are None are left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children and name in _EMPTY:
        return f"<{name}{written}/>"
    return f"<{name}{written}>{''.join(children)}</{name}>"


_EMPTY = {"rect", "line", "path", "circle", "polyline", "meta", "br"}


def _value(value: object) -> Markup:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return text(value)


def svg(width: float, height: float, title: str, description: str, *children: Markup, key: str) -> Markup:
    """A picture that is read out as its title and description. ``key`` is unlike any other's on the page."""
    return tag(
        "svg",
        tag("title", text(title), id=f"{key}-t"),
        tag("desc", text(description), id=f"{key}-d"),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )


def path_of(points: list[tuple[float, float]]) -> str:
    """Straight lines from point to point."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


PALETTE = """
:root{--paper:#f7f8fa;--card:#fff;--ink:#1d232a;--dim:#58626d;--line:#d3dae1;--grid:#e6eaee;
--good:#0b6e8f;--bad:#b23a10;--handled:#2f6fab;--handled-fill:#2f6fab2b;--published:#1d232a;
--queue:#7a4fa3;--queue-fill:#7a4fa32b;--fault:#e69f0038;--fault-edge:#b67800;--cascaded:#c9501c;
--s-healthy:#4aa3b8;--s-degraded:#e6a817;--s-recovering:#3f6fd1;--s-failed:#8c1d18;--s-maintenance:#a58ac4;
--s-initializing:#aab4be;--code:#eef1f4;color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{
--paper:#14181d;--card:#1a1f26;--ink:#dde2e8;--dim:#9aa5b0;
--line:#333e4a;--grid:#28313a;--good:#62bcd8;--bad:#f08a5d;--handled:#6ea8dc;--handled-fill:#6ea8dc33;
--published:#dde2e8;--queue:#b99ad6;--queue-fill:#b99ad633;--fault:#e6a81733;--fault-edge:#d9a441;
--cascaded:#f08a5d;--s-healthy:#3f93a8;--s-degraded:#d9a441;--s-recovering:#6c95e8;--s-failed:#d8584f;
--s-maintenance:#9a80bb;--s-initializing:#66717c;--code:#222a33}}
"""
"""The colours, told apart by lightness too, in a light and a dark form."""

CHART_STYLE = """
svg text{font:10px system-ui,sans-serif;fill:var(--dim)} svg .end{text-anchor:end}
svg .mid{text-anchor:middle}
.grid{stroke:var(--grid);stroke-width:1} .axis{stroke:var(--line);stroke-width:1}
.fault{fill:var(--fault)} .fault-edge{stroke:var(--fault-edge);stroke-width:1}
svg .fault-name{fill:var(--ink);font-weight:600}
.handled{fill:none;stroke:var(--handled);stroke-width:1.8;stroke-linejoin:round}
.handled-fill{fill:var(--handled-fill)}
.published{fill:none;stroke:var(--published);stroke-width:1;stroke-dasharray:3 2.5}
.queue{fill:none;stroke:var(--queue);stroke-width:1.5;stroke-linejoin:round}
.queue-fill{fill:var(--queue-fill)}
.back{stroke:var(--good);stroke-width:1.4} .back-head{fill:var(--good)}
svg .back-name{fill:var(--good);font-weight:600}
.bar{fill:var(--handled)} .bar-soft{fill:var(--handled-fill)} .cascaded{fill:var(--cascaded)}
.goal{stroke:var(--dim);stroke-width:1;stroke-dasharray:2 2}
.limit{stroke:var(--bad);stroke-width:1.6} .dot{fill:var(--ink)}
svg .big{font:600 22px system-ui,sans-serif;fill:var(--ink)} svg .ink{fill:var(--ink)}
svg .large{font-size:13px}
svg .good{fill:var(--good)} svg .bad{fill:var(--bad)} .paper{fill:var(--paper)}
""" + "".join(f".s-{state.lower()}{{fill:var(--s-{state.lower()})}}" for state in STATES)
