"""The recorded session of the README plays, in any browser and without anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from rich.segment import Segment
from rich.style import Style

from screenshots.animation import Animation, Frame

SESSION = Path(__file__).parents[2] / "screenshots" / "session.svg"
SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 1_500_000


def shown(svg: str, percent: float) -> list[str]:
    """The rows that are seen at a moment, top first, by the rules of CSS for steps."""
    root = ElementTree.fromstring(svg)
    contents = {
        group.get("id"): "".join(group.itertext()) for group in root.iter(f"{SVG}g") if group.get("id")
    }
    seen = []
    for use in root.iter(f"{SVG}use"):
        frames = re.search(rf"@keyframes {use.get('class')}\{{((?:[^{{}}]*\{{[^}}]*\}})*)\}}", svg)
        assert frames is not None
        steps = re.findall(r"([\d.]+)%\{visibility:(\w+)\}", frames[1])
        state = [state for at, state in steps if float(at) <= percent][-1]
        if state == "visible":
            seen.append((int(use.get("y", "0")), contents[use.get("href", "")[1:]]))
    return [text for _, text in sorted(seen)]


def test_each_frame_is_seen_in_its_time() -> None:
    animation = Animation(10, 2, "#000000", "#ffffff")
    bold = Style(bold=True, color="#ff0000", bgcolor="#222222")
    first, second = (Segment("one <&>"),), (Segment("two", bold), Segment(" plain"))
    animation.add(Frame(0.01, (first, first), "at rest"))
    animation.add(Frame(1.0, (first, second), "moved"))
    animation.add(Frame(3.0, (first, first), "at rest"))
    svg = animation.svg(4.0)
    assert shown(svg, 0) == ["one <&>", "one <&>", "at rest"]
    assert shown(svg, 24) == ["one <&>", "one <&>", "at rest"]
    assert shown(svg, 26) == ["one <&>", "two plain", "moved"]
    assert shown(svg, 80) == ["one <&>", "one <&>", "at rest"]
    assert svg.count("one &lt;&amp;&gt;") == 1, "a row that comes back is kept once"


def test_the_session_tells_its_story() -> None:
    svg = SESSION.read_text(encoding="utf-8")
    assert len(svg) < LARGEST
    beginning, end = "\n".join(shown(svg, 0)), "\n".join(shown(svg, 99.9))
    assert "HEALTHY" in beginning and "DEGRADED" not in beginning
    assert "HEALTHY" in end and "github: breaker CLOSED" in svg and "DEGRADED" in svg


def test_the_session_asks_for_nothing_from_elsewhere() -> None:
    svg = SESSION.read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {
        *("svg", "title", "style", "defs", "g", "rect", "text", "use")
    }
    assert "@import" not in svg and "url(" not in svg
    assert all(use.get("href", "").startswith("#") for use in root.iter(f"{SVG}use"))
    assert "prefers-reduced-motion" in svg
