"""Alerts: what a person should know, kept in the store until it is acknowledged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from msgspec.structs import replace

from event_monitor.bus.ledger import Ledger
from event_monitor.bus.store import EventStore
from event_monitor.clock import Clock, to_iso
from event_monitor.model import Alert, Severity

KEEP = 500
COALESCE = 60.0


class AlertBook:
    """The alerts of one home, the newest last.

    The same title raised again while it is unacknowledged counts up instead of adding a line, so
    a storm of one failure stays one alert. Within ``COALESCE`` seconds of the first it does so even
    if it was acknowledged, and waits to be seen again. So does one that was settled before a person had
    seen it: what comes and goes all night is one alert. At most ``keep`` are kept, acknowledged ones
    go first.
    """

    def __init__(self, store: EventStore, clock: Clock, keep: int = KEEP) -> None:
        self._keep = keep
        self._store = store
        self._clock = clock
        self._alerts: dict[int, Alert] = {}
        self._began: dict[int, float] = {}
        self._settled: set[int] = set()
        self._next_id = 1
        self.on_raised: Callable[[Alert], None] = lambda alert: None

    async def load(self) -> None:
        """Read what a former run left."""

        def read(connection: sqlite3.Connection) -> list[Alert]:
            rows = connection.execute(
                "SELECT id, at, severity, title, detail, event_id, count, last_at, acknowledged, about "
                "FROM alerts ORDER BY id DESC LIMIT ?",
                (self._keep,),
            ).fetchall()
            return [
                Alert(
                    id=row[0],
                    at=row[1],
                    severity=Severity(row[2]),
                    title=row[3],
                    detail=row[4],
                    event_id=row[5],
                    count=row[6],
                    last_at=row[7],
                    acknowledged=bool(row[8]),
                    about=row[9],
                )
                for row in reversed(rows)
            ]

        for alert in await self._store.read(read):
            self._alerts[alert.id] = alert
            self._next_id = alert.id + 1
        oldest = next(iter(self._alerts), 0)
        # A former run may have been told to keep more.
        self._store.change(
            lambda ledger: ledger.connection.execute("DELETE FROM alerts WHERE id < ?", (oldest,))
        )

    def raise_alert(
        self,
        severity: Severity,
        title: str,
        detail: str = "",
        event_id: int | None = None,
        *,
        about: str = "",
    ) -> Alert:
        """Add an alert, or count it on the one with the same title that is open or has just begun.
        ``about`` names the service or ``target:NAME`` that it is about."""
        now = to_iso(self._clock.wall())
        former = self._counting(title)
        if former is not None:
            alert = replace(
                former,
                count=former.count + 1,
                last_at=now,
                detail=detail,
                event_id=event_id,
                acknowledged=False,
                about=about,
            )
        else:
            alert = Alert(
                id=self._next_id,
                at=now,
                severity=severity,
                title=title,
                detail=detail,
                event_id=event_id,
                last_at=now,
                about=about,
            )
            self._next_id += 1
            self._began[alert.id] = self._clock.monotonic()
        self._settled.discard(alert.id)
        self._put(alert)
        self._forget_old()
        self.on_raised(alert)
        return alert

    def _counting(self, title: str) -> Alert | None:
        """The alert of this title that a repetition is counted on, if there is one."""
        since = self._clock.monotonic() - COALESCE
        for alert in self._alerts.values():
            recent = self._began.get(alert.id, since) > since
            unseen = not alert.acknowledged or alert.id in self._settled
            if alert.title == title and (recent or unseen):
                return alert
        return None

    def acknowledge(self, alert_id: int | None = None) -> int:
        """Mark one alert, or all, as seen. Answers how many changed."""
        self._settled -= {alert_id} if alert_id is not None else self._settled
        chosen = [
            alert
            for alert in self._alerts.values()
            if not alert.acknowledged and (alert_id is None or alert.id == alert_id)
        ]
        for alert in chosen:
            self._put(replace(alert, acknowledged=True))
        return len(chosen)

    def settle(self, title: str, note: str) -> None:
        """What the open alerts with this title told of is over: mark them as seen and add ``note``."""
        for alert in list(self._alerts.values()):
            if alert.title == title and not alert.acknowledged:
                detail = f"{alert.detail}; {note}" if alert.detail else note
                self._put(replace(alert, detail=detail, acknowledged=True))
                self._settled.add(alert.id)

    def amend(self, title: str, detail: str) -> None:
        """Say more exactly what the open alerts with this title tell of; it does not count as another."""
        for alert in list(self._alerts.values()):
            if alert.title == title and not alert.acknowledged:
                self._put(replace(alert, detail=detail))

    def newest(self, limit: int) -> tuple[Alert, ...]:
        """The newest alerts first."""
        return tuple(list(self._alerts.values())[: -limit - 1 : -1])

    @property
    def unacknowledged(self) -> int:
        """How many wait to be seen."""
        return sum(not alert.acknowledged for alert in self._alerts.values())

    def _put(self, alert: Alert) -> None:
        self._alerts[alert.id] = alert

        def change(ledger: Ledger) -> None:
            ledger.connection.execute(
                "INSERT OR REPLACE INTO alerts (id, at, severity, title, detail, event_id, count, "
                "last_at, acknowledged, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    alert.id,
                    alert.at,
                    alert.severity.value,
                    alert.title,
                    alert.detail,
                    alert.event_id,
                    alert.count,
                    alert.last_at,
                    int(alert.acknowledged),
                    alert.about,
                ),
            )

        self._store.change(change)

    async def forget(self, before: str) -> int:
        """Delete the acknowledged alerts that were last raised before a time, but for the newest, whose
        number is not used again. Answers how many."""
        newest = self._next_id - 1
        old = [
            one.id
            for one in self._alerts.values()
            if one.acknowledged and one.last_at < before and one.id != newest
        ]
        for alert_id in old:
            self._delete(alert_id)
        return len(old)

    def _forget_old(self) -> None:
        while len(self._alerts) > self._keep:
            self._delete(
                next((a.id for a in self._alerts.values() if a.acknowledged), next(iter(self._alerts)))
            )

    def _delete(self, alert_id: int) -> None:
        del self._alerts[alert_id]
        self._began.pop(alert_id, None)
        self._settled.discard(alert_id)
        self._store.change(
            lambda ledger: ledger.connection.execute("DELETE FROM alerts WHERE id = ?", (alert_id,))
        )
