"""Makes the targets of the shipped rules and gives them to the bus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from event_monitor.bus.event_bus import EventBus
from event_monitor.bus.replay.desk import ReplayDesk
from event_monitor.config import Settings
from event_monitor.configured import backup_policy
from event_monitor.kill_switch import KillSwitch
from event_monitor.model import DeliveryState
from event_monitor.paths import HomePaths
from event_monitor.services.recoverables import Recoverables
from event_monitor.services.registry import ServiceRegistry
from event_monitor.system.alerts import AlertBook
from event_monitor.targets import analytics, cleanup, learning, log
from event_monitor.targets.alert import AlertTarget
from event_monitor.targets.analytics import AnalyticsTarget
from event_monitor.targets.cleanup import CleanupTarget, LogPolicy
from event_monitor.targets.evaluation import EvaluationTarget
from event_monitor.targets.kill_switch import KillSwitchTarget
from event_monitor.targets.learning import LearningTarget
from event_monitor.targets.log import LogTarget
from event_monitor.targets.notification import NotificationTarget
from event_monitor.targets.recovery import RecoveryTarget
from event_monitor.targets.retention import StoreRetention
from event_monitor.targets.storage import StorageTarget
from event_monitor.targets.verification import VerificationTarget

LINGER = 0.003


@dataclass(frozen=True, slots=True)
class BuiltinTargets:
    """Those that others ask too."""

    analytics: AnalyticsTarget
    cleaning: CleanupTarget


def add_targets(
    bus: EventBus,
    paths: HomePaths,
    settings: Settings,
    *,
    alerts: AlertBook,
    replays: ReplayDesk,
    services: ServiceRegistry,
    switch: KillSwitch,
) -> BuiltinTargets:
    """Have the bus deliver to all targets of the shipped rules."""
    store, mask, clock = bus.store, settings.mask, bus.clock
    analytics_target = AnalyticsTarget(store)
    log_target = LogTarget(
        Path(paths.logs), settings.log, mask=mask, sync=settings.store.durability == "full"
    )
    bus.add_target("log", log_target.handle, batch_size=log.BATCH, linger=LINGER)
    bus.add_target("analytics", analytics_target.handle, batch_size=analytics.BATCH, linger=LINGER)
    bus.add_target("storage", StorageTarget(store, clock).handle, batch_size=64)
    bus.add_target("alert", AlertTarget(alerts, mask).handle, batch_size=64)
    notification = NotificationTarget(settings.notification.via, alerts, mask=mask)
    bus.add_target("notification", notification.handle)
    bus.add_target("recovery", RecoveryTarget(Recoverables(services), mask).handle)
    bus.add_target("kill-switch", KillSwitchTarget(switch, mask).handle)
    learner = LearningTarget(store, bus.publish)
    bus.add_target("learning", learner.handle, batch_size=learning.BATCH)
    bus.add_target("evaluation", EvaluationTarget(store, clock).handle, batch_size=64)
    bus.add_target("verification", VerificationTarget(bus.publish).handle)
    log_policy = LogPolicy(log_target.path, settings.store.retention_days, settings.log.keep)
    counts = bus.dispatcher.counts
    retention = StoreRetention(
        store,
        clock,
        settings.store,
        on_forgotten=lambda gone: counts.subtract({DeliveryState.DEAD: gone.dead_letters}),
        replays=replays.forget,
        alerts=alerts.forget,
    )
    cleaning = CleanupTarget(retention, clock, logs=log_policy, backups=backup_policy(settings.backups))
    bus.add_target("cleanup", cleaning.handle, batch_size=cleanup.BATCH)
    return BuiltinTargets(analytics_target, cleaning)
