"""What is heard and seen of a change when nobody looks: bells, toasts and the terminal's title."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_monitor.dashboard.alert_policy import (
    BELL_INTERVAL,
    BETTER,
    LONGEST_INTERVAL,
    TOAST_INTERVAL,
    TOASTS,
    WORSE,
    AlertPolicy,
)
from event_monitor.dashboard.title import TerminalTitle, title_of
from event_monitor.model import Alert, Severity, Snapshot, SystemState
from event_monitor.widgets.content import banner
from tests.dashboard import scene

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def alerting(*ids: int, severity: Severity = WARNING, **changes: object) -> Snapshot:
    alerts = tuple(Alert(id=number, at="", severity=severity, title=f"alert {number}") for number in ids)
    return scene.snapshot(alerts=alerts, **changes)


def at(state: SystemState) -> Snapshot:
    return alerting(state=state)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def begun(
    first: SystemState = SystemState.HEALTHY, *, bell: bool = True, toast: bool = True
) -> tuple[AlertPolicy, Clock]:
    clock = Clock()
    policy = AlertPolicy(clock, bell=bell, toast=toast)
    policy.observe(at(first))
    return policy, clock


# --- alerts ---------------------------------------------------------------------------------


def test_what_was_there_at_the_start_makes_no_noise() -> None:
    noise = AlertPolicy(Clock()).observe(alerting(1, 2))
    assert (noise.bells, noise.toasts) == (0, ())


def test_an_alert_is_told_once() -> None:
    policy, clock = begun()
    noise = policy.observe(alerting(1))
    assert noise.bells == WORSE and [toast.title for toast in noise.toasts] == ["alert 1"]
    clock.now += 60
    noise = policy.observe(alerting(1))
    assert (noise.bells, noise.toasts) == (0, ())


@pytest.mark.parametrize("later", [False, True], ids=["same picture", "next picture"])
def test_a_change_of_state_and_the_alert_about_it_make_one_toast(later: bool) -> None:
    policy, clock = begun()
    about = Alert(id=1, at="", severity=CRITICAL, title="HEALTHY → DEGRADED", detail="github failed")
    changed = scene.snapshot(state=SystemState.DEGRADED, state_reason="github failed", alerts=())
    alerted = scene.snapshot(state=SystemState.DEGRADED, state_reason="github failed", alerts=(about,))
    told = []
    for picture in (changed, alerted) if later else (alerted,):
        clock.now += 1
        told += policy.observe(picture).toasts
    assert [(toast.title, toast.text) for toast in told] == [("HEALTHY → DEGRADED", "github failed")]


def test_an_alert_that_was_seen_and_comes_again_is_told_again() -> None:
    policy, clock = begun()
    first = Alert(id=1, at="", severity=WARNING, title="disk")
    seen = Alert(id=1, at="", severity=WARNING, title="disk", acknowledged=True)
    again = Alert(id=1, at="", severity=WARNING, title="disk", count=2)
    told = []
    for alert in (first, seen, again):
        clock.now += 600
        told.append(policy.observe(scene.snapshot(alerts=(alert,))).bells)
    assert told == [WORSE, 0, WORSE]


def test_information_does_not_ring() -> None:
    policy, _ = begun()
    noise = policy.observe(alerting(1, severity=INFO))
    assert noise.bells == 0 and len(noise.toasts) == 1


def test_a_storm_is_coalesced_and_nothing_goes_uncounted() -> None:
    policy, clock = begun()
    rings, toasts = 0, []
    for number in range(1, 101):
        clock.now += 0.1
        noise = policy.observe(alerting(number))
        rings += bool(noise.bells)
        toasts += noise.toasts
    assert rings <= 10 / BELL_INTERVAL + 1
    assert len(toasts) <= TOASTS * (10 / TOAST_INTERVAL + 1)
    clock.now += TOAST_INTERVAL
    (summary,) = policy.observe(alerting()).toasts
    told = sum(toast.title.startswith("alert") for toast in toasts)
    summed = sum(int(toast.text.split()[0]) for toast in toasts if toast.title == "Many alerts")
    assert told + summed + int(summary.text.split()[0]) == 100


def test_bell_and_toasts_can_be_turned_off() -> None:
    policy, _ = begun(bell=False, toast=False)
    noise = policy.observe(alerting(1))
    assert (noise.bells, noise.toasts) == (0, ())


# --- states ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "bells"),
    [
        ("HEALTHY", "DEGRADED", WORSE),
        ("DEGRADED", "FAILED", WORSE),
        ("RECOVERING", "DEGRADED", WORSE),
        ("INITIALIZING", "FAILED", WORSE),
        ("DEGRADED", "RECOVERING", BETTER),
        ("RECOVERING", "HEALTHY", BETTER),
        ("FAILED", "RECOVERING", BETTER),
        ("INITIALIZING", "HEALTHY", 0),
        ("HEALTHY", "MAINTENANCE", 0),
        ("FAILED", "MAINTENANCE", 0),
        ("MAINTENANCE", "INITIALIZING", 0),
    ],
)
def test_worse_and_better_sound_different(before: str, after: str, bells: int) -> None:
    policy, _ = begun(SystemState(before))
    noise = policy.observe(at(SystemState(after)))
    assert noise.bells == bells
    if after != "MAINTENANCE":
        assert [toast.title for toast in noise.toasts] == [f"{before} → {after}"]


def test_a_change_of_state_is_told_with_its_reason() -> None:
    policy, _ = begun()
    noise = policy.observe(alerting(state=SystemState.DEGRADED, state_reason="disk full"))
    assert [toast.text for toast in noise.toasts] == ["disk full"]


def test_what_is_worse_than_what_it_rang_for_is_not_held_back() -> None:
    policy, clock = begun()
    assert policy.observe(at(SystemState.DEGRADED)).bells == WORSE
    clock.now += 1
    assert policy.observe(at(SystemState.RECOVERING)).bells == 0
    clock.now += 1
    assert policy.observe(at(SystemState.FAILED)).bells == WORSE


def test_maintenance_is_silent_and_what_came_in_it_stays_so() -> None:
    policy, clock = begun()
    for number in range(1, 5):
        clock.now += 60
        silent = policy.observe(alerting(number, state=SystemState.MAINTENANCE))
        assert (silent.bells, silent.toasts) == (0, ())
    clock.now += 60
    after = policy.observe(alerting(4))
    assert [toast.title for toast in after.toasts] == ["MAINTENANCE → HEALTHY"] and after.bells == 0


def test_a_flapping_service_rings_more_and_more_seldom() -> None:
    policy, clock = begun()
    rung = []
    for second in range(600):
        clock.now += 1
        state = SystemState.DEGRADED if second // 3 % 2 else SystemState.HEALTHY
        if policy.observe(at(state)).bells:
            rung.append(clock.now)
    assert 600 / LONGEST_INTERVAL - 2 <= len(rung) <= 600 / LONGEST_INTERVAL + 6
    clock.now += 10 * LONGEST_INTERVAL
    policy.observe(at(SystemState.HEALTHY))
    clock.now += 10 * LONGEST_INTERVAL
    assert policy.observe(at(SystemState.DEGRADED)).bells == WORSE


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(list(SystemState))), max_size=60))
def test_it_never_rings_twice_in_the_interval_for_the_same(
    story: list[tuple[float, SystemState]],
) -> None:
    policy, clock = begun()
    rung: list[tuple[float, int]] = []
    for wait, state in story:
        clock.now += wait
        noise = policy.observe(at(state))
        assert not (noise.bells and state is SystemState.MAINTENANCE)
        if noise.bells:
            rank = {SystemState.FAILED: 3, SystemState.DEGRADED: 2}.get(state, 1) if noise.bells > 1 else 0
            if rung:
                last, told = rung[-1]
                assert clock.now - last >= BELL_INTERVAL or rank > told
            rung.append((clock.now, rank))


# --- the title ------------------------------------------------------------------------------


def test_the_title_has_the_state_as_a_word() -> None:
    for state in SystemState:
        assert str(state) in title_of(scene.snapshot(state=state), lost=False)
    assert title_of(scene.snapshot(), lost=False) == "● HEALTHY  ▲ 1 alert  event-monitor"
    assert title_of(scene.calm(), lost=False) == "● HEALTHY  event-monitor"
    assert "NO CONNECTION" in title_of(None, lost=True)


def test_the_title_is_kept_set_when_it_changes_and_given_back_once() -> None:
    written: list[str] = []
    title = TerminalTitle(written.append)
    title.restore()
    assert written == []
    for text in ("one", "one", "two"):
        title.show(text)
    title.restore()
    title.restore()
    assert written == ["\x1b[22;2t\x1b]2;one\x1b\\", "\x1b]2;two\x1b\\", "\x1b]2;\x1b\\\x1b[23;2t"]


def test_the_banner_names_the_worst_that_is_open_and_the_key_for_it() -> None:
    found = (
        Alert(id=4, at="", severity=CRITICAL, title="settled", acknowledged=True),
        Alert(id=3, at="", severity=WARNING, title="newest"),
        Alert(id=2, at="", severity=CRITICAL, title="worst"),
        Alert(id=1, at="", severity=CRITICAL, title="worst and older"),
    )
    shown = banner(scene.snapshot(alerts=found), 80, "K")
    assert shown is not None and shown.row == "banner-bad"
    assert shown.text.split() == ["✖", "worst", "K", "acknowledge"]
    assert banner(scene.snapshot(alerts=found[:1]), 80, "K") is None
    unbound = banner(scene.snapshot(alerts=found), 80, "")
    assert unbound is not None and "acknowledge" not in unbound.text
