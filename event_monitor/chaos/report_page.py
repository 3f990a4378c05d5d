"""A report as one page that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from event_monitor.chaos.report_charts import (
    LATENCY_GOAL,
    cascade_chart,
    latency_bar,
    recovery_bar,
    scenario_chart,
)
from event_monitor.chaos.report_figures import (
    NOTHING,
    Totals,
    millis,
    seconds_of,
    share,
    spread,
    totals,
    what_ran,
    whole,
)
from event_monitor.chaos.report_markup import STATES, Markup, tag, text
from event_monitor.chaos.report_style import STYLE
from event_monitor.chaos.report_table import CASCADE_ROWS, cascade_verdict
from event_monitor.chaos.results import CascadeResult, ChaosReport, ScenarioResult
from event_monitor.chaos.shop_calls import PATIENCE

Cells = tuple[str, Callable[[ScenarioResult], str]]
_SHOWN_STATES = 12


def as_html(report: ChaosReport) -> str:
    """The page. Whatever text the report holds is only text in it."""
    parts = [_header(report), _failed(report)]
    if report.scenarios:
        parts.append(_recovery(report.scenarios))
    if report.cascade is not None:
        parts.append(_cascade(report.cascade))
    if report.scenarios:
        parts += [_over_time(report.scenarios), _tables(report.scenarios)]
    parts.append(_footer(report))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'",
        ),
        tag("title", text(f"Chaos report, seed {report.seed}: {_word(report.passed)}")),
        f"<style>{STYLE}</style>",
    )
    body = tag("body", tag("main", *parts))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _word(passed: bool) -> str:
    return "passed" if passed else "failed"


def _mark(passed: bool, said: str | None = None) -> Markup:
    sign = "✓" if passed else "✕"
    return tag("span", text(f"{sign} {said or _word(passed)}"), class_=f"mark {'good' if passed else 'bad'}")


# --- the top ----------------------------------------------------------------------------------


def _event_cards(found: Totals) -> list[Markup]:
    """What became of the events of all scenarios."""
    account = found.account
    cards = [
        _card(
            "accounted for",
            share(account.accounted_share),
            f"{whole(account.accepted - account.lost)} of {whole(account.accepted)} accepted events",
        ),
        _card("lost", whole(account.lost), f"{whole(account.delivered)} delivered", good=not account.lost),
        _card(
            "deadlocks", whole(found.deadlocks), f"faults injected: {found.faults}", good=not found.deadlocks
        ),
    ]
    if found.recovery is not None:
        back = found.recovery
        cards.append(
            _card(
                "recovery, median",
                seconds_of(back.p50),
                f"p95 {seconds_of(back.p95)}, longest {seconds_of(back.longest)}",
            )
        )
    cards.append(_card("latency, p95", millis(found.slowest_p95), "in the slowest scenario, between faults"))
    return cards


def _header(report: ChaosReport) -> Markup:
    found = totals(report)
    cards = _event_cards(found) if report.scenarios else []
    if report.cascade is not None:
        ratio = report.cascade.ratio
        cards.append(
            _card(
                "what cascades",
                share(ratio, 0) if ratio is not None else NOTHING,
                f"{whole(report.cascade.on.cascaded)} failures with the layer, "
                f"{whole(report.cascade.off.cascaded)} without",
                good=report.cascade.halved,
            )
        )
    said = what_ran(report) + (" passed" if report.scenarios else "")
    return tag(
        "header",
        tag("p", text("event-monitor · chaos report"), class_="over"),
        tag("h1", _mark(report.passed), " ", tag("span", text(said))),
        tag("div", *cards, class_="cards"),
        tag(
            "p",
            text(
                f"Seed {report.seed} · begun {report.started_at} · took {report.seconds:.0f} s"
                f" · {report.machine}"
            ),
            class_="dim",
        ),
        tag("p", "The same again: ", tag("code", text(report.command))),
    )


def _card(label: str, value: str, below: str, *, good: bool = True) -> Markup:
    return tag(
        "div",
        tag("span", text(label), class_="label"),
        tag("strong", text(value), class_=None if good else "bad"),
        tag("span", text(below), class_="dim"),
        class_="card",
    )


def _failed(report: ChaosReport) -> Markup:
    lines = [
        tag(
            "li",
            tag("a", text(scenario.name), href=f"#{_key(scenario, place)}"),
            *(tag("p", text(failure)) for failure in scenario.failures),
        )
        for place, scenario in enumerate(report.scenarios)
        if scenario.failures
    ]
    if report.cascade is not None and not report.cascade.halved:
        said = tag("p", text(cascade_verdict(report.cascade)))
        lines.append(tag("li", tag("a", "cascade", href="#cascade"), said))
    if not lines:
        return ""
    return tag("section", tag("h2", "What failed"), tag("ul", *lines), class_="failed")


def _key(scenario: ScenarioResult, place: int) -> str:
    """An anchor; a name may hold anything."""
    return f"scenario-{place + 1}"


# --- recoveries -------------------------------------------------------------------------------


def _recovery(scenarios: Sequence[ScenarioResult]) -> Markup:
    longest = max(
        [0.001, *(s.recovery_limit for s in scenarios), *(r for s in scenarios for r in s.recoveries)]
    )
    rows = [
        tag(
            "tr",
            tag("th", tag("a", text(one.name), href=f"#{_key(one, place)}"), scope="row"),
            tag("td", recovery_bar(one, longest, f"r{place}"), class_="picture"),
            *(tag("td", text(cell)) for cell in _spread_cells(one)),
        )
        for place, one in enumerate(scenarios)
    ]
    every = spread(seconds for one in scenarios for seconds in one.recoveries)
    if every is not None:
        cells = (every.p50, every.p95, every.longest)
        rows.append(
            tag(
                "tr",
                tag("th", "all", scope="row"),
                tag("td"),
                *(tag("td", text(seconds_of(cell))) for cell in cells),
                tag("td"),
                class_="sum",
            )
        )
    return tag(
        "section",
        tag("h2", "How long it takes to be well again"),
        tag(
            "p",
            text(
                "From each heal until the system was HEALTHY and all was settled. The bar ends at the "
                "median, its lighter part at the longest; a dot is one recovery, the line is what the "
                "scenario allows."
            ),
            class_="dim",
        ),
        _table(("scenario", "", "p50", "p95", "max", "limit"), rows, "Recovery times", pictures=True),
    )


def _spread_cells(scenario: ScenarioResult) -> list[str]:
    found = spread(scenario.recoveries)
    values = (found.p50, found.p95, found.longest) if found else (None, None, None)
    return [*(seconds_of(value) for value in values), f"{scenario.recovery_limit:g} s"]


# --- over time --------------------------------------------------------------------------------


def _over_time(scenarios: Sequence[ScenarioResult]) -> Markup:
    legend = [
        _swatch("line-handled", "handled"),
        _swatch("line-published", "published"),
        _swatch("line-queue", "queued"),
        _swatch("box-fault", "a fault is at work"),
        _swatch("line-back", "well again, and how long after the heal"),
        *(_swatch(f"box-{state.lower()}", state) for state in STATES if _seen(state, scenarios)),
    ]
    parts: list[Markup] = []
    group = ""
    for place, scenario in enumerate(scenarios):
        if scenario.group != group:
            group = scenario.group
            parts.append(tag("h3", text(group), class_="group"))
        parts.append(_panel(scenario, place))
    return tag(
        "section",
        tag("h2", "What happened, second by second"),
        tag("ul", *legend, class_="legend"),
        tag("div", *parts, class_="panels"),
    )


def _seen(state: str, scenarios: Iterable[ScenarioResult]) -> bool:
    return any(mark.state == state for scenario in scenarios for mark in scenario.states)


def _swatch(kind: str, said: str) -> Markup:
    return tag("li", tag("span", class_=f"swatch {kind}"), text(said))


def _panel(scenario: ScenarioResult, place: int) -> Markup:
    account = scenario.account
    faults = [
        tag(
            "li",
            tag("code", text(mark.point)),
            text(f" {mark.detail}" if mark.detail else ""),
            tag("span", text(f" {mark.began:.1f}–{mark.healed:.1f} s"), class_="dim"),
        )
        for mark in scenario.faults
    ]
    settled = [("delivered", account.delivered), ("dead", account.dead), ("expired", account.expired)]
    settled += [("sampled", account.sampled), ("lost", account.lost)]
    told = ", ".join(f"{whole(n)} {what}" for what, n in settled if n or what in ("delivered", "lost"))
    return tag(
        "article",
        tag("h4", tag("span", text(scenario.name)), _mark(not scenario.failures)),
        tag("p", text(scenario.title)),
        scenario_chart(scenario, f"c{place}"),
        *(tag("p", text(failure), class_="bad") for failure in scenario.failures),
        tag("p", text(f"{whole(account.accepted)} accepted: {told}."), class_="dim"),
        tag("ol", *faults, class_="faults") if faults else "",
        _more(scenario),
        id=_key(scenario, place),
    )


def _more(scenario: ScenarioResult) -> Markup:
    shown = scenario.states[:_SHOWN_STATES]
    lines = [
        tag("li", text(f"{mark.at:.1f} s {mark.state}" + (f": {mark.reason}" if mark.reason else "")))
        for mark in shown
    ]
    if len(scenario.states) > len(shown):
        lines.append(tag("li", text(f"and {len(scenario.states) - len(shown)} more")))
    lines += [tag("li", text(note)) for note in scenario.notes]
    if not lines:
        return ""
    return tag("details", tag("summary", "States and notes"), tag("ul", *lines))


# --- tables -----------------------------------------------------------------------------------

_ACCOUNT: tuple[Cells, ...] = (
    ("accepted", lambda s: whole(s.account.accepted)),
    ("delivered", lambda s: whole(s.account.delivered)),
    ("dead letters", lambda s: whole(s.account.dead)),
    ("expired", lambda s: whole(s.account.expired)),
    ("sampled", lambda s: whole(s.account.sampled)),
    ("lost", lambda s: whole(s.account.lost)),
    ("accounted for", lambda s: share(s.account.accounted_share)),
    ("seen again", lambda s: whole(s.account.again)),
    ("refused", lambda s: whole(s.account.refused)),
    ("deadlocks", lambda s: whole(s.deadlocks)),
)
_LATENCY: tuple[Cells, ...] = (
    ("p50, no fault", lambda s: millis(s.latency.steady_p50)),
    ("p95, no fault", lambda s: millis(s.latency.steady_p95)),
    ("p99, no fault", lambda s: millis(s.latency.steady_p99)),
    ("p95, all", lambda s: millis(s.latency.all_p95)),
    ("max, all", lambda s: millis(s.latency.all_max)),
)


def _tables(scenarios: Sequence[ScenarioResult]) -> Markup:
    return tag(
        "section",
        tag("h2", "Where each event is"),
        tag(
            "p",
            text(
                "An event is accepted when its publisher was told so. Each must be delivered, or settled on "
                "purpose; none may be nowhere. A refused publish was never accepted: its publisher knows."
            ),
            class_="dim",
        ),
        _cells(scenarios, _ACCOUNT, "The account"),
        tag("h2", "From publish to handled"),
        tag(
            "p",
            text(
                "The bar is from the median to the p99 of the events published while no fault was at work, "
                "the dot their p95, the lighter part up to the largest of all events; on a logarithmic scale "
                f"from 0.1 ms to 10 s, with a line at {LATENCY_GOAL:g} ms."
            ),
            class_="dim",
        ),
        _cells(scenarios, _LATENCY, "Latency", latency_bar),
    )


def _cells(
    scenarios: Sequence[ScenarioResult],
    columns: Sequence[Cells],
    title: str,
    picture: Callable[[ScenarioResult, str], Markup] | None = None,
) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", text(one.name), scope="row"),
            tag("td", picture(one, f"l{place}"), class_="picture") if picture is not None else "",
            *(tag("td", text(cell(one))) for _, cell in columns),
        )
        for place, one in enumerate(scenarios)
    ]
    headings = ["scenario", *([""] if picture is not None else []), *(heading for heading, _ in columns)]
    return _table(headings, rows, title, pictures=picture is not None)


def _table(headings: Sequence[str], rows: Sequence[Markup], title: str, *, pictures: bool = False) -> Markup:
    """A table that can be scrolled by itself where the page is narrow."""
    head = tag(
        "tr", *(tag("th" if one else "td", text(one), scope="col" if one else None) for one in headings)
    )
    drawn = tag("table", tag("thead", head), tag("tbody", *rows), class_="pictures" if pictures else None)
    return tag("div", drawn, class_="scroll", role="region", aria_label=title, tabindex="0")


# --- the cascade ------------------------------------------------------------------------------


def _cascade(result: CascadeResult) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", text(label), scope="row"),
            tag("td", text(cell(result.off))),
            tag("td", text(cell(result.on))),
        )
        for label, cell in CASCADE_ROWS
    ]
    services = [
        tag(
            "tr",
            tag("th", text(name), scope="row"),
            *(
                tag("td", text(whole(number)))
                for side in (result.off, result.on)
                for number in side.by_service.get(name, (0, 0))
            ),
        )
        for name in result.services
    ]
    sides = (("Without the layer", result.off, "k0"), ("With the layer", result.on, "k1"))
    faults = [
        tag(
            "li", text(mark.detail), tag("span", text(f" {mark.began:.1f}–{mark.healed:.1f} s"), class_="dim")
        )
        for mark in result.faults
    ]
    return tag(
        "section",
        tag("h2", "Does one fault take others with it?"),
        tag(
            "p",
            _mark(result.halved, "halved at least" if result.halved else "not halved"),
            " ",
            text(cascade_verdict(result)) + ".",
        ),
        tag(
            "p",
            text(
                "The same small shop twice, at the same time: the same visitors at the same "
                "moments, the same faults in one service at a time. Without the layer a call has a "
                f"socket timeout of {PATIENCE:g} s; with it each call goes through a breaker, a "
                "bulkhead, shorter timeouts, a budget of retries and, where an earlier answer would "
                "do, a stand-in. What cascaded is each call that a service without a fault of its "
                "own did not answer. A call to the faulty service that a stand-in made good stays a "
                "failure of that service."
            ),
            class_="dim",
        ),
        tag(
            "div",
            *(
                tag("figure", tag("figcaption", text(name)), cascade_chart(result, side, name, key))
                for name, side, key in sides
            ),
            class_="sides",
        ),
        tag("ol", *faults, class_="faults"),
        tag(
            "div",
            _table(("", "off", "on"), rows, "With and without the layer"),
            _table(
                ("service", "calls, off", "failed, off", "calls, on", "failed, on"),
                services,
                "Calls by service",
            ),
            class_="sides",
        ),
        id="cascade",
    )


def _footer(report: ChaosReport) -> Markup:
    return tag(
        "footer",
        text(f"event-monitor {report.version}. This page needs no network and no script: it can be kept."),
        class_="dim",
    )
