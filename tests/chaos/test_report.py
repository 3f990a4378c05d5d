"""The report: each figure is in each of its forms, and no text of a run can break out of them."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from event_monitor.chaos.report import FORMATS, as_html, as_json, as_svg, as_table, format_of, write_report
from event_monitor.chaos.report_figures import nice_top, share, spread, ticks
from event_monitor.chaos.results import (
    Account,
    ChaosReport,
    FaultMark,
    Sample,
    ScenarioResult,
    StateMark,
)
from event_monitor.grammar.text import width_of
from tests.chaos.made_up import CASCADE, FAILED, OFF, ON, SCENARIO, report

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</title></style><script>alert(1)</script><img src=x onerror='alert(2)'>\x1b[31m\x00\u202e&amp;\""


class Seen(HTMLParser):
    """What a browser makes of a page: the elements with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "

    def names(self) -> set[str]:
        return {name for name, _ in self.tags}


def pictures(page: str) -> list[ElementTree.Element]:
    """Each SVG of a page, read as XML."""
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def evil(scenario: ScenarioResult) -> ScenarioResult:
    """The same with markup in each of its texts."""
    return msgspec.structs.replace(
        scenario,
        name=EVIL,
        group=EVIL,
        title=EVIL,
        faults=(FaultMark(point=EVIL, detail=EVIL, began=1.0, healed=2.0),),
        states=(StateMark(at=0.0, state=EVIL, reason=EVIL),),
        failures=(EVIL,),
        notes=(EVIL,),
    )


def evil_report() -> ChaosReport:
    cascade = msgspec.structs.replace(
        CASCADE,
        services=(EVIL,),
        faults=(FaultMark(point=EVIL, detail=EVIL, began=1.0, healed=2.0),),
        off=msgspec.structs.replace(OFF, by_service={EVIL: (1, 1)}),
    )
    return report(evil(SCENARIO), version=EVIL, command=EVIL, started_at=EVIL, machine=EVIL, cascade=cascade)


# --- the table --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [100, 80])
def test_the_table_fits_and_is_aligned(width: int) -> None:
    long = msgspec.structs.replace(
        SCENARIO,
        name="a-name-that-is-longer-than-any-ought-to-be",
        account=Account(accepted=10**7, delivered=10**7),
    )
    lines = as_table(report(SCENARIO, FAILED, long), width).splitlines()
    assert max(map(width_of, lines)) <= width
    first = next(number for number, line in enumerate(lines) if line.startswith("scenario"))
    rule, rows = lines[first + 1], lines[first + 2 : first + 5]
    assert all(row.endswith((" ms", " –")) for row in rows)
    # Every gap of the rule under the headings is a gap of each row.
    gaps = [place for place, mark in enumerate(rule) if mark == " "]
    assert all(row[place : place + 1].strip() == "" for row in rows for place in gaps)


def test_the_table_tells_the_verdict_the_figures_and_how_to_repeat_them() -> None:
    text = as_table(report(SCENARIO, FAILED))
    assert text.startswith("FAILED: 1 of 2 scenarios, 2 faults, 33 s\n")
    (row,) = [line for line in text.splitlines() if line.startswith("bus-killed")]
    assert " ".join(row.split()) == "bus-killed passed 1,200 100 % 0 3 0.50 1.25 1.25 10 6.2 ms"
    assert "p50 0.50 s, p95 1.25 s, max 1.25 s" in text
    assert "1 event is nowhere: chaos-17" in text
    assert "20 failures cascaded with the layer, 160 without: 12 %" in text.replace("\n  ", " ")
    assert "again: event-cli chaos --seed 7" in text
    assert as_table(report()).startswith("PASSED: 1 of 1 scenarios")


def test_the_narrow_table_keeps_what_matters_most() -> None:
    (heading,) = [line for line in as_table(report(), 80).splitlines() if line.startswith("scenario")]
    assert heading.split() == ["scenario", "result", "accepted", "kept", "lost", "p50", "max", "latency"]


def test_no_text_of_a_run_moves_the_cursor() -> None:
    assert all(line.isprintable() for line in as_table(evil_report()).splitlines())


# --- JSON -------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [report(), report(SCENARIO, FAILED, cascade=None), evil_report()])
def test_json_is_the_report_again(whole: ChaosReport) -> None:
    assert msgspec.json.decode(as_json(whole), type=ChaosReport) == whole


# --- the page ---------------------------------------------------------------------------------


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = as_html(report(SCENARIO, FAILED))
    seen = Seen(page)
    assert seen.open == []
    assert not seen.names() & {"script", "link", "img", "iframe", "object", "base", "form", "foreignObject"}
    for name, attributes in seen.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "style")], name
        assert (attributes.get("href") or "#").startswith("#")
    assert re.findall(r"https?://[^\s\"']+", page) == ["http://www.w3.org/2000/svg"] * page.count("<svg")
    assert "url(" not in page and "@import" not in page
    assert "prefers-color-scheme" in page and "@media print" in page and 'name="viewport"' in page


def test_each_link_leads_somewhere_and_each_id_is_there_once() -> None:
    seen = Seen(as_html(report(SCENARIO, FAILED)))
    assert "cascade" in {attributes.get("id") for _, attributes in seen.tags}
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"] for _, attributes in seen.tags if "href" in attributes]
    assert targets and {str(target)[1:] for target in targets} <= set(ids)


def test_the_page_tells_all_in_text_too() -> None:
    seen = Seen(as_html(report(SCENARIO, FAILED)))
    for told in (
        "✕ failed",
        "1 of 2 scenarios passed",
        "bus-killed",
        "disk-full",
        "1 event is nowhere: chaos-17",
        "event-cli chaos --seed 7",
        "its store was 3 MB",
        "process.kill",
        "2.5 s FAILED: the bus is gone",
        "1,200 accepted: 1,190 delivered, 7 dead, 2 expired, 1 sampled, 0 lost.",
        "2,345 ms",
        "20 failures cascaded with the layer, 160 without: 12 %",
        "pricing hangs",
        "a machine with 2 CPUs",
        "99.95 %",
    ):
        assert told in seen.text, told


def test_every_picture_is_well_formed_and_says_what_it_shows() -> None:
    found = pictures(as_html(report(SCENARIO, FAILED)))
    # Two rows of recoveries and of latencies, two scenarios, two sides.
    assert len(found) == 8
    for picture in found:
        names = (picture.get("aria-labelledby") or "").split()
        title, description = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
        assert title is not None and title.text and description is not None and description.text
        assert picture.get("role") == "img" and names == [title.get("id"), description.get("id")]


def _by_class(picture: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in picture.iter() if name in (one.get("class") or "").split()]


def test_a_scenario_is_drawn_with_its_faults_states_and_recoveries() -> None:
    (picture,) = [one for one in pictures(as_html(report())) if "throughput" in str(one[0].text)]
    assert len(_by_class(picture, "fault")) == 2
    assert [one.text for one in _by_class(picture, "fault-name")] == ["1", "2"]
    assert [one.text for one in _by_class(picture, "back-name")] == ["+1.2 s", "+0.5 s"]
    assert len(_by_class(picture, "back")) == 2
    assert len(_by_class(picture, "s-healthy")) == 2 and len(_by_class(picture, "s-failed")) == 1
    # While the bus could not be asked the queue's line is broken.
    assert len(_by_class(picture, "queue")) == 2
    places = [float(one.get("x", "0")) for one in _by_class(picture, "fault")]
    assert places == sorted(places)


def test_nothing_is_drawn_outside_of_a_picture() -> None:
    wild = msgspec.structs.replace(
        SCENARIO,
        faults=(FaultMark(point="process.kill", detail="", began=-1e9, healed=1e9),),
        recoveries=(1e9,),
        samples=(
            Sample(at=0.0, published=0, handled=0, queue_depth=0, latency_p95=None),
            Sample(at=1e7, published=10**9, handled=10**9, queue_depth=10**9, latency_p95=1e9),
        ),
    )
    for picture in pictures(as_html(report(wild))):
        *_, width, height = map(float, str(picture.get("viewBox")).split())
        for shape in picture.iter():
            for key, most in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height)):
                assert -0.01 <= float(shape.get(key, "0")) <= most + 0.01
            assert 0 <= float(shape.get("width", "0")) <= width + 0.01
            points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", shape.get("d") or "")
            assert all(-5 <= float(x) <= width and -0.01 <= float(y) <= height for x, y in points)


@pytest.mark.parametrize("form", [as_html, as_svg])
def test_markup_in_a_text_of_a_run_is_inert(form: Any) -> None:
    drawn = form(evil_report())
    seen = Seen(drawn)
    assert "script" not in seen.names() and "img" not in seen.names()
    assert "<script" not in drawn and "onerror='" not in drawn
    assert "<script>alert(1)</script>" in seen.text
    assert drawn.replace("\n", " ").isprintable()
    for picture in pictures(drawn):
        assert picture.find(f"{SVG}title") is not None


def test_a_run_without_anything_is_drawn_too() -> None:
    empty = report(cascade=None)
    empty = msgspec.structs.replace(empty, scenarios=())
    for form in FORMATS.values():
        assert form(empty)
    bare = msgspec.structs.replace(CASCADE, off=msgspec.structs.replace(OFF, cascaded=0, per_second=()))
    assert "shows nothing" in Seen(as_html(report(cascade=bare))).text


def test_the_comparison_alone_is_told_without_events() -> None:
    alone = msgspec.structs.replace(report(), scenarios=())
    assert as_table(alone).startswith("PASSED: compared with and without the layer, 33 s\n")
    for drawn in (as_table(alone), as_html(alone), as_svg(alone)):
        assert "20 failures cascaded with the layer, 160 without" in drawn
        assert "accepted" not in drawn and "0 of 0" not in drawn


def test_a_run_fails_by_its_cascades_alone_and_says_so() -> None:
    for cascaded in (81, 0):
        off = msgspec.structs.replace(OFF, cascaded=160 if cascaded else 0)
        worse = msgspec.structs.replace(CASCADE, off=off, on=msgspec.structs.replace(ON, cascaded=cascaded))
        failed = report(cascade=worse)
        assert not failed.passed
        assert as_table(failed).startswith("FAILED: 1 of 1 scenarios") and "cascade FAILED" in as_table(
            failed
        )
        page = as_html(failed)
        assert "What failed" in page and "not halved" in page and 'href="#cascade"' in page
    assert "What failed" not in as_html(report())


# --- the picture, and the files ---------------------------------------------------------------


def test_the_picture_tells_the_verdict_and_each_scenario() -> None:
    picture = ElementTree.fromstring(as_svg(report(SCENARIO, FAILED)))
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert "✕ failed: 1 of 2 scenarios" in texts
    assert "bus-killed" in texts and "disk-full" in texts and "0.50 s, 1.25 s" in texts
    assert "20 failures cascaded with the layer, 160 without: 12 %" in texts


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_written_in_the_form_of_its_suffix(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"found{suffix.upper()}"
    write_report(report(), file)
    assert file.read_text(encoding="utf-8") == FORMATS[suffix](report())


def test_another_suffix_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"report\.pdf.*\.json, \.html, \.svg"):
        format_of("report.pdf")


# --- the figures ------------------------------------------------------------------------------


def test_percentiles_are_values_that_were_seen() -> None:
    found = spread([float(number) for number in range(1, 21)])
    assert found is not None and (found.p50, found.p95, found.longest) == (10.0, 19.0, 20.0)
    assert spread([]) is None
    one = spread([3.0])
    assert one is not None and (one.p50, one.p95, one.longest) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("part", "said"),
    [(1.0, "100 %"), (0.0, "0 %"), (0.99999999, "> 99.99 %"), (1e-9, "< 0.01 %"), (0.9995, "99.95 %")],
)
def test_what_is_not_whole_is_never_written_as_whole(part: float, said: str) -> None:
    assert share(part) == said


def test_axes_end_above_what_they_show_and_have_few_round_places() -> None:
    for value in (0.0, 0.3, 1.0, 7.0, 99.0, 101.0, 2_345.0, 1e6):
        assert value <= nice_top(value) <= max(1.0, 2.1 * value)
    for longest in (1.0, 6.1, 17.0, 61.0, 3_599.0):
        places = ticks(longest)
        assert places[0] == 0.0 and places[-1] <= longest and 2 <= len(places) <= 7
        assert len({round(b - a, 6) for a, b in itertools.pairwise(places)}) == 1
