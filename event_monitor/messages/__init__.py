"""Every command and query that a person or a program can send.

One message is one frozen struct. On the socket a message is a JSON object whose ``do`` names it;
in process it is passed as it is. ``Runtime.handle`` is the only place that receives them.
Commands (``catalogue.COMMANDS``) change something; queries never do.

A message's module is loaded when the message is first asked for: ``event-cli publish`` needs one of seven.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from event_monitor.messages.base import Message, Number, Reason
    from event_monitor.messages.dead_letters import (
        ControlRetryRun,
        CorrectDeadLetter,
        DeadLetterSelection,
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
    from event_monitor.messages.explorer import FindMoment, HistoryFilter, HistoryTerms, QueryHistory
    from event_monitor.messages.replay import (
        ControlReplay,
        GetHistogram,
        PlanReplay,
        QueryReplayed,
        QueryReplays,
        QueryReplayTargets,
        ReplaySelection,
        Speed,
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

_MODULES = ("base", "events", "dead_letters", "explorer", "replay", "services", "store", "system")

__all__ = [
    "AcknowledgeAlerts",
    "AdoptService",
    "CancelStoreWork",
    "ControlReplay",
    "ControlRetryRun",
    "CorrectDeadLetter",
    "DeadLetterSelection",
    "DropDeadLetters",
    "FindMoment",
    "ForgetService",
    "GetAnalytics",
    "GetEvent",
    "GetHistogram",
    "GetService",
    "GetSnapshot",
    "GetState",
    "GetStats",
    "GetStoreStats",
    "GetTasks",
    "HistoryFilter",
    "HistoryTerms",
    "ImportLines",
    "Message",
    "Number",
    "Ping",
    "PlanAdoption",
    "PlanReplay",
    "Publish",
    "PublishHook",
    "PublishLines",
    "PublishText",
    "QueryAlerts",
    "QueryBreakers",
    "QueryDeadGroups",
    "QueryDeadLetters",
    "QueryDiscovered",
    "QueryEvents",
    "QueryHealth",
    "QueryHistory",
    "QueryReplayTargets",
    "QueryReplayed",
    "QueryReplays",
    "QueryRetryRuns",
    "QueryServices",
    "QueryStoreWork",
    "QuerySubscriptions",
    "Reason",
    "Reload",
    "ReloadRules",
    "ReplaySelection",
    "ResolveRoute",
    "RestartService",
    "Resume",
    "RetryDeadLetters",
    "SetBreaker",
    "SetMaintenance",
    "Speed",
    "StartReplay",
    "StartRetryRun",
    "StartStoreWork",
    "Subscribe",
    "Unsubscribe",
]


def __getattr__(name: str) -> Any:
    for module in _MODULES if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
