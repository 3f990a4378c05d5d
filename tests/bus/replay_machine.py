"""The model of the queue with replays in it: begun, paused, stepped, stopped, and cut short by kills."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import rule

from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.errors import Conflict
from event_monitor.messages import ControlReplay, StartReplay
from event_monitor.model import Event, Priority
from event_monitor.topics import TopicPattern
from tests.bus.helpers import rows
from tests.bus.queue_books import ACTS, Books, job_of, replay_targets
from tests.bus.queue_machine import QueueMachine

LIVE = ("running", "paused")
PATTERNS = (None, "to.*", "to.both", "#.a")
Job = tuple[str, StartReplay, int, int]
"""State, request, the highest id that was planned, and how many events were."""


class ReplayMachine(QueueMachine):
    """``replayed`` counts, for each replay, how often each original was; ``standing`` are the replays that
    may publish nothing more but the ``steps`` that a person asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.desk: ReplayDesk
        self.requests: dict[int, StartReplay] = {}
        self.replayed: dict[int, Counter[int]] = {}
        self.standing: set[int] = set()
        self.steps: Counter[int] = Counter()

    async def open(self) -> None:
        await super().open()
        self.desk = ReplayDesk(self.bus, lambda: {ACTS: "it acts on the world"})
        await self.desk.start()

    async def close(self) -> None:
        await self.desk.stop()
        await super().close()

    # --- what the model hears ---------------------------------------------------------------

    def targets_of(self, event: Event) -> tuple[str, ...]:
        if event.replay_of is None:
            return super().targets_of(event)
        request = self.requests.get(job_of(event.key))
        return replay_targets(event.event_type, request.targets if request is not None else ())

    def accepted(self, records: Any) -> None:
        for record in records:
            if record.event.replay_of is not None:
                self.hear(record.event, record.targets)
        super().accepted(records)

    def hear(self, event: Event, targets: tuple[str, ...]) -> None:
        """A replayed event is accepted."""
        number, original = job_of(event.key), self.events[event.replay_of or 0]
        self.expect(number in self.requests, f"{event.id} is replayed under the key {event.key}")
        counts = self.replayed.setdefault(number, Counter())
        counts[original.id] += 1
        self.expect(counts[original.id] == 1, f"replay {number} has replayed {original.id} before")
        self.expect(event.id > original.id, f"{event.id} replays {original.id}, which is later")
        self.expect(event.event_type == original.event_type, f"{event.id} is of another type")
        self.expect(event.priority is Priority.LOW, f"the replay {event.id} is {event.priority}")
        self.expect(original.replay_of is None, f"{event.id} replays a replay")
        self.expect(
            set(targets) == set(self.targets_of(event)), f"the replay {event.id} goes to {targets} instead"
        )
        if number in self.standing:
            self.steps[number] -= 1
            self.expect(self.steps[number] >= 0, f"replay {number} stands still and publishes {event.id}")

    # --- rules ------------------------------------------------------------------------------

    @rule(
        pattern=st.sampled_from(PATTERNS),
        recent=st.booleans(),
        named=st.sampled_from([(), (), ("a",), ("b",), ("a", "b")]),
        speed=st.sampled_from(["max", "max", 100.0, 10.0]),
        paused=st.booleans(),
    )
    def begin_replay(
        self, pattern: str | None, recent: bool, named: tuple[str, ...], speed: Any, paused: bool
    ) -> None:
        """Replay all of history, or the last seconds."""
        since = "-20s" if recent else "-1d"
        request = StartReplay(since=since, type=pattern, targets=named, speed=speed, paused=paused)

        async def begin() -> None:
            # The model must know the request before the first event of it is accepted.
            self.requests[self.desk._highest + 1] = request
            try:
                report = await self.desk.begin(request)
            except Conflict:
                assert any(one.state in LIVE for one in self.desk.reports()), "nothing to be in conflict with"
                return
            if paused:
                self.standing.add(report.id)

        self.run(begin())

    @rule(
        place=st.integers(0, 3),
        action=st.sampled_from(["pause", "resume", "resume", "step", "stop"]),
        count=st.sampled_from([1, 3, 50]),
    )
    def control_replay(self, place: int, action: Any, count: int) -> None:
        live = [one.id for one in self.desk.reports() if one.state in LIVE]
        for number in live[place : place + 1]:
            self.run(self._control(number, action, count))

    @rule(
        pattern=st.sampled_from(PATTERNS),
        speed=st.sampled_from(["max", 10.0]),
        actions=st.lists(
            st.sampled_from(["step", "resume", "pause", "stop", "kill", "restart", "wait"]), max_size=5
        ),
    )
    def lead_replay(self, pattern: str | None, speed: Any, actions: list[str]) -> None:
        """A replay that is paused at first, and led by hand through whatever happens."""
        self.begin_replay(pattern, False, (), speed, True)
        for action in actions:
            if action == "kill":
                self.kill(3)
            elif action == "restart":
                self.restart()
            elif action == "wait":
                self.wait(0.5)
            else:
                self.control_replay(0, action, 3)

    async def _control(self, number: int, action: Any, count: int) -> None:
        self.steps[number] = count if action == "step" and number in self.standing else 0
        if action == "resume":
            self.standing.discard(number)
        try:
            await self.desk.control(ControlReplay(replay_id=number, action=action, count=count))
        except Conflict:
            assert self.desk.report(number).state not in LIVE
        if action != "resume":
            self.standing.add(number)

    @rule(
        pattern=st.sampled_from(PATTERNS),
        count=st.sampled_from([1, 5, 20]),
        mode=st.sampled_from(["ok", "fail", "block"]),
        seconds=st.sampled_from([0.0, 0.01, 5.0]),
        steps=st.integers(0, 12),
    )
    def kill_while_replaying(
        self, pattern: str | None, count: int, mode: str, seconds: float, steps: int
    ) -> None:
        """Some history, a replay of all of it, and a kill in the middle."""
        self.publish(count, "to.both", Priority.NORMAL, None, None, True)
        self.wait(1.0)
        self.become("a", mode)
        self.begin_replay(pattern, False, (), "max", False)
        self.wait(seconds)
        self.kill(steps)
        self.become("a", "ok")

    # --- the books --------------------------------------------------------------------------

    def take_over(self, books: Books) -> None:
        super().take_over(books)
        for *_, replay_of, key in books.events.values():
            if replay_of is not None:
                self.replayed.setdefault(job_of(key), Counter())[replay_of] = 1

    def check_events(self, books: Books) -> None:
        super().check_events(books)
        on_disk: dict[int, Counter[int]] = {}
        for *_, replay_of, key in books.events.values():
            if replay_of is not None:
                on_disk.setdefault(job_of(key), Counter())[replay_of] += 1
        for number, (state, request, last_id, planned) in self.jobs().items():
            found, wanted = on_disk.get(number, Counter()), self.wanted(books, request, last_id)
            assert found.total() == len(found), f"replay {number} has replayed an event twice: {found}"
            assert set(found) <= wanted, f"replay {number} takes {set(found) - wanted} unasked"
            assert planned == len(wanted), f"replay {number} plans {planned} events, there are {len(wanted)}"
            if state == "done":
                assert set(found) == wanted, f"replay {number} has left out {wanted - set(found)}"

    def jobs(self) -> dict[int, Job]:
        """The replays as they are kept."""
        return {
            number: (state, msgspec.json.decode(request, type=StartReplay), last_id, planned)
            for number, state, request, last_id, planned in rows(
                self.path,
                "SELECT id, state, request, plan ->> '$.last_id', plan ->> '$.events' FROM replays",
            )
        }

    def wanted(self, books: Books, request: StartReplay, last_id: int) -> set[int]:
        """The originals that a replay of what was known up to ``last_id`` is to take."""
        pattern = TopicPattern(request.type) if request.type else None
        return {
            event_id
            for event_id, (_, _, _, event_type, _, timestamp, replay_of, _) in books.events.items()
            if event_id <= last_id and replay_of is None and request.since <= timestamp
            if request.until is None or timestamp < request.until
            if pattern is None or pattern.matches(event_type)
            if replay_targets(event_type, request.targets)
        }

    def heal(self) -> None:
        """Replays go on too, to their end."""
        for number in [one.id for one in self.desk.reports() if one.state == "paused"]:
            self.run(self._control(number, "resume", 1))
        super().heal()

    def check_end(self) -> None:
        super().check_end()
        live = [number for number, (state, *_) in self.jobs().items() if state in LIVE]
        assert not live, f"replays that never ended: {live}"
