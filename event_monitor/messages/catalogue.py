"""Which messages there are, which of them change something, and what each answers."""

from __future__ import annotations

from typing import Any

from event_monitor.messages.base import Message
from event_monitor.messages.dead_letters import (
    ControlRetryRun,
    CorrectDeadLetter,
    DropDeadLetters,
    QueryDeadGroups,
    QueryDeadLetters,
    QueryRetryRuns,
    RetryDeadLetters,
    StartRetryRun,
)
from event_monitor.messages.events import (
    GetEvent,
    Publish,
    PublishHook,
    PublishLines,
    PublishText,
    QueryEvents,
    QuerySubscriptions,
    ResolveRoute,
    Subscribe,
    Unsubscribe,
)
from event_monitor.messages.explorer import FindMoment, QueryHistory
from event_monitor.messages.replay import (
    ControlReplay,
    GetHistogram,
    PlanReplay,
    QueryReplayed,
    QueryReplays,
    QueryReplayTargets,
    StartReplay,
)
from event_monitor.messages.services import (
    AdoptService,
    ForgetService,
    GetService,
    PlanAdoption,
    QueryBreakers,
    QueryDiscovered,
    QueryHealth,
    QueryServices,
    RestartService,
    SetBreaker,
)
from event_monitor.messages.store import (
    CancelStoreWork,
    GetStoreStats,
    ImportLines,
    QueryStoreWork,
    StartStoreWork,
)
from event_monitor.messages.system import (
    AcknowledgeAlerts,
    GetAnalytics,
    GetSnapshot,
    GetState,
    GetStats,
    GetTasks,
    Ping,
    QueryAlerts,
    Reload,
    ReloadRules,
    Resume,
    SetMaintenance,
)
from event_monitor.model import Snapshot
from event_monitor.replies.dead_letters import Corrected, DeadGroups, RetryRun, RetryRuns
from event_monitor.replies.explorer import HistoryPage, Moment
from event_monitor.replies.general import (
    AdoptionPlan,
    Alerts,
    Analytics,
    BreakerReport,
    Breakers,
    DeadLetterPage,
    DiscoveredServers,
    Done,
    EventDetail,
    EventPage,
    HealthReport,
    Pong,
    Published,
    PublishedLines,
    Route,
    ServiceDetail,
    Services,
    StateReport,
    Stats,
    Subscription,
    Subscriptions,
    Tasks,
)
from event_monitor.replies.replays import (
    Histogram,
    ReplayedEvents,
    ReplayPlan,
    ReplayReport,
    Replays,
    ReplayTargets,
)
from event_monitor.replies.store import ImportedLines, StoreStats, StoreWork

COMMANDS: tuple[type[Message], ...] = (
    Publish,
    PublishText,
    PublishLines,
    PublishHook,
    Subscribe,
    Unsubscribe,
    RetryDeadLetters,
    DropDeadLetters,
    StartRetryRun,
    ControlRetryRun,
    CorrectDeadLetter,
    AcknowledgeAlerts,
    ReloadRules,
    Reload,
    SetBreaker,
    SetMaintenance,
    Resume,
    RestartService,
    AdoptService,
    ForgetService,
    StartReplay,
    ControlReplay,
    StartStoreWork,
    CancelStoreWork,
    ImportLines,
)

AnyMessage = (
    Publish
    | PublishText
    | PublishLines
    | PublishHook
    | Subscribe
    | Unsubscribe
    | RetryDeadLetters
    | DropDeadLetters
    | StartRetryRun
    | ControlRetryRun
    | CorrectDeadLetter
    | AcknowledgeAlerts
    | ReloadRules
    | Reload
    | SetBreaker
    | SetMaintenance
    | Resume
    | RestartService
    | AdoptService
    | ForgetService
    | StartReplay
    | ControlReplay
    | Ping
    | GetSnapshot
    | GetStats
    | GetState
    | GetTasks
    | QueryEvents
    | QueryHistory
    | FindMoment
    | GetEvent
    | QueryDeadLetters
    | QueryDeadGroups
    | QueryRetryRuns
    | ResolveRoute
    | QuerySubscriptions
    | QueryBreakers
    | QueryHealth
    | QueryServices
    | QueryDiscovered
    | PlanAdoption
    | GetService
    | QueryAlerts
    | GetAnalytics
    | PlanReplay
    | QueryReplays
    | QueryReplayed
    | QueryReplayTargets
    | GetHistogram
    | StartStoreWork
    | CancelStoreWork
    | ImportLines
    | GetStoreStats
    | QueryStoreWork
)


REPLY_OF: dict[type[Message], type[Any]] = {
    Publish: Published,
    PublishText: Published,
    PublishLines: PublishedLines,
    PublishHook: Published,
    Subscribe: Subscription,
    Unsubscribe: Done,
    RetryDeadLetters: Done,
    DropDeadLetters: Done,
    StartRetryRun: RetryRun,
    ControlRetryRun: RetryRun,
    CorrectDeadLetter: Corrected,
    AcknowledgeAlerts: Done,
    ReloadRules: Done,
    Reload: Done,
    SetBreaker: BreakerReport,
    SetMaintenance: StateReport,
    Resume: StateReport,
    RestartService: Done,
    AdoptService: Done,
    ForgetService: Done,
    Ping: Pong,
    GetSnapshot: Snapshot,
    GetStats: Stats,
    GetState: StateReport,
    GetTasks: Tasks,
    QueryEvents: EventPage,
    QueryHistory: HistoryPage,
    FindMoment: Moment,
    GetEvent: EventDetail,
    QueryDeadLetters: DeadLetterPage,
    QueryDeadGroups: DeadGroups,
    QueryRetryRuns: RetryRuns,
    ResolveRoute: Route,
    QuerySubscriptions: Subscriptions,
    QueryBreakers: Breakers,
    QueryHealth: HealthReport,
    QueryServices: Services,
    QueryDiscovered: DiscoveredServers,
    PlanAdoption: AdoptionPlan,
    GetService: ServiceDetail,
    QueryAlerts: Alerts,
    GetAnalytics: Analytics,
    StartReplay: ReplayReport,
    ControlReplay: ReplayReport,
    PlanReplay: ReplayPlan,
    QueryReplays: Replays,
    QueryReplayed: ReplayedEvents,
    QueryReplayTargets: ReplayTargets,
    GetHistogram: Histogram,
    StartStoreWork: StoreWork,
    CancelStoreWork: StoreWork,
    ImportLines: ImportedLines,
    GetStoreStats: StoreStats,
    QueryStoreWork: StoreWork,
}
