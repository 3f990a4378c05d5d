"""Typed settings: what ``event-monitor.yaml`` may say, and the checked values that the parts get."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from event_monitor.model import Priority

Seconds = Annotated[float, Meta(gt=0, le=10_000_000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Limit = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Days = Annotated[float, Meta(gt=0, le=36_500)]


PRIORITIES = {
    "mcp.server.down": Priority.CRITICAL,
    "error.critical": Priority.CRITICAL,
    "mcp.call.failed": Priority.HIGH,
    "command.failed": Priority.HIGH,
    "system.#": Priority.HIGH,
    "hook.message_display": Priority.LOW,
}

BACKUPS = (
    *("*.tar", "*.tar.*", "*.tgz", "*.zip", "*.7z", "*.gz", "*.bz2", "*.xz", "*.zst"),
    *("*.bak", "*.dump", "*.sql", "*.age", "*.gpg"),
)

TIERS = {
    "critical_path": 5.0,
    "normal_operations": 30.0,
    "batch_processing": 300.0,
    "research_tasks": 1_800.0,
}

LONG_TARGETS = {"verification": "batch_processing", "cleanup": "research_tasks"}
"""Targets that read or remove much at once, and the tier that each is given where nothing else is said."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: an unknown key is a mistake, not a wish."""


class BusSettings(Section, frozen=True):
    """Limits on events, and the priority of types whose publisher names none."""

    max_payload_bytes: Annotated[int, Meta(ge=1_024, le=1_000_000)] = 262_144
    max_payload_depth: Annotated[int, Meta(ge=1, le=500)] = 64
    max_causation_depth: Count = 32
    priorities: dict[str, Priority] = msgspec.field(default_factory=lambda: dict(PRIORITIES))


class QueueSettings(Section, frozen=True):
    """``max_in_memory`` and ``max_in_memory_bytes`` bound the window that memory holds on the
    disk queue; ``max_backlog`` is the number of undelivered events past which publish is refused,
    save for ``reserve`` places kept for CRITICAL events and the bus's own. ``max_waiting`` is how many
    publishers of one source may wait for their turn while the disk is busy."""

    max_in_memory: Annotated[int, Meta(ge=16, le=1_000_000)] = 10_000
    max_in_memory_bytes: Annotated[int, Meta(ge=1_048_576)] = 33_554_432
    max_backlog: Count = 1_000_000
    reserve: Limit = 1_000
    max_waiting: Count = 10_000


class StormRule(Section, frozen=True):
    """What each source may publish of a topic pattern: ``rate`` events a second, and ``burst`` at once
    (as many as in a second, if absent). What is over that is, by ``action``: ``sample``, delivered 1 in
    ``keep`` (0: none) and else only stored; ``delay``, made to wait for at most ``max_wait`` seconds;
    ``refuse``, refused with the time after which it may be tried again."""

    rate: Annotated[float, Meta(gt=0, le=10_000_000)]
    burst: Count | None = None
    action: Literal["sample", "delay", "refuse"] = "sample"
    keep: Limit = 100
    max_wait: Annotated[float, Meta(gt=0, le=60)] = 5.0


# An assistant's text comes in chunks with an event for each: the one type that storms by its nature.
STORM = {"hook.message_display": StormRule(rate=50, burst=500, keep=10)}


class StoreSettings(Section, frozen=True):
    """``full`` syncs each commit to disk; ``normal`` survives a killed process, not a power cut. The
    days are ages at which something is forgotten: events with their idempotency keys, those with dead
    letters, seen alerts, minutes of analytics, patterns not seen since, and replays that have ended."""

    durability: Literal["full", "normal"] = "full"
    retention_days: Days = 30
    dead_letter_days: Days = 30
    alert_days: Days = 30
    max_alerts: Annotated[int, Meta(ge=10, le=100_000)] = 500
    analytics_days: Days = 30
    pattern_days: Days = 30
    replay_days: Days = 30


class RetrySettings(Section, frozen=True):
    strategy: Literal["exponential", "linear", "fibonacci", "fixed"] = "exponential"
    max_retries: Annotated[int, Meta(ge=0, le=1_000)] = 5
    max_delay: Seconds = 300
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.25


class BreakerSettings(Section, frozen=True):
    """Times are seconds, rates are shares of the last ``window`` calls; ``null`` turns a rate off."""

    failure_threshold: Annotated[int, Meta(ge=1, le=10_000)] = 5
    timeout: Seconds = 60.0
    recovery_timeout: Seconds = 30.0
    failure_rate: Annotated[float, Meta(gt=0, le=1)] | None = 0.5
    slow_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    slow_after: Seconds = 60.0
    window: Annotated[int, Meta(ge=1, le=100_000)] = 100
    minimum_calls: Annotated[int, Meta(ge=1, le=100_000)] = 20


class TargetSettings(Section, frozen=True):
    """How one target is served. ``timeout`` is a tier's name or seconds."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 1
    timeout: Seconds | str = "normal_operations"
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()


class LogTargetSettings(Section, frozen=True):
    """``max_bytes`` is the size at which ``events.jsonl`` is rotated, ``keep`` how many old files stay."""

    max_bytes: Annotated[int, Meta(ge=4_096)] = 10_485_760
    keep: Annotated[int, Meta(ge=0, le=1_000)] = 5


class NotificationSettings(Section, frozen=True):
    """``auto`` takes tmux inside tmux, else the desktop's notifier, else a toast."""

    via: Literal["auto", "tmux", "desktop", "toast"] = "auto"


class BulkheadSettings(Section, frozen=True):
    """Calls at a time, calls that may wait, and how many seconds each may."""

    max_concurrent: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Calls at a time."""
    queue_size: Annotated[int, Meta(ge=0, le=1_000_000)] = 50
    """Calls that may wait for a place; one more is refused."""
    timeout: Seconds = 30.0
    """How long a call may wait for a place, in seconds."""


class ProbeSettings(Section, frozen=True):
    """Seconds between two checks and the longest that one may take; how many in a row decide."""

    interval: Seconds = 10.0
    """Seconds between two checks; a slow one never overlaps itself."""
    limit: Seconds = 10.0
    """Seconds that one check may take; then it has failed."""
    failures: Annotated[int, Meta(ge=1, le=1_000)] = 2
    """Failed checks in a row that count as failed."""
    successes: Annotated[int, Meta(ge=1, le=1_000)] = 1
    """Good checks in a row that count as passed."""


class ServiceProbes(Section, frozen=True):
    startup: ProbeSettings = ProbeSettings(interval=5.0, limit=30.0, failures=3)
    """Asked first; the others begin once it has passed. If it has not in two minutes it has failed."""
    readiness: ProbeSettings = ProbeSettings(limit=5.0)
    """Whether the service can take calls."""
    liveness: ProbeSettings = ProbeSettings(interval=30.0)
    """Whether it is alive at all; one that is not is restarted if it is ours."""


class RestartSettings(Section, frozen=True):
    """A supervised process that ends is started again after ``min_delay`` seconds, doubled each time
    up to ``max_delay``, and from the start again once it has run for ``steady_after``."""

    enabled: bool = True
    """`false`: what has ended stays so until a person restarts it."""
    min_delay: Seconds = 1.0
    """Seconds before the first restart."""
    max_delay: Seconds = 60.0
    """The longest wait before a restart, in seconds."""
    steady_after: Seconds = 60.0
    """Seconds after which a process counts as steady: the next wait is `min_delay` again."""


class DeclaredSettings(Section, frozen=True):
    """A server of the assistant's own configuration that a person approved: its command or address and
    its secrets are read there at each start. ``approved`` is the fingerprint of what was approved."""

    scope: Literal["user", "local", "project"]
    """Where the assistant's configuration declares it."""
    name: str
    """Its name there."""
    approved: str
    """The fingerprint of what a person approved; anything else is not started."""
    project: str | None = None
    """The directory of the project that declares it."""


class ServiceSettings(Section, frozen=True):
    """One protected service. Which of ``url``, ``host`` and ``port``, ``command``, ``pid_file`` and
    ``match`` it needs depends on its kind; ``command`` is a list, no shell is involved. With
    ``declared`` an mcp service takes its command or url from the assistant's configuration."""

    name: str
    """1 to 80 printable characters that do not begin with `target:`; breakers and events use it."""
    kind: Literal["http", "tcp", "command", "mcp", "process"]
    """What it is; see the kinds."""
    declared: DeclaredSettings | None = None
    """Written by `event-cli services adopt`."""
    url: str | None = None
    """The address: http or https."""
    host: str = "127.0.0.1"
    """Where the port is."""
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    """The port to connect to."""
    command: tuple[str, ...] = ()
    """The program and its arguments, a list; no shell is involved."""
    env: dict[str, str] = {}
    """Variables that are added to the environment; their values are never logged."""
    cwd: str | None = None
    """The working directory of the program."""
    headers: dict[str, str] = {}
    """Headers of each request; their values are never logged."""
    pid_file: str | None = None
    """A file that holds the process id."""
    match: str | None = None
    """A regular expression that finds the process by its command line."""
    critical: bool = False
    """`true`: while it fails the whole system is FAILED, not DEGRADED."""
    timeout: Seconds | str = "normal_operations"
    """The longest that a call may take: a tier, or seconds."""
    breaker: BreakerSettings = BreakerSettings()
    """When calls are stopped."""
    bulkhead: BulkheadSettings = BulkheadSettings()
    """How many calls there may be at a time."""
    retry: RetrySettings = RetrySettings(max_retries=2, max_delay=10.0)
    """How failed calls are tried again."""
    fallback: tuple[str, ...] = ()
    """What answers in its place, in this order: names of providers or of chains."""
    probes: ServiceProbes = ServiceProbes()
    """How its health is checked."""
    restart: RestartSettings = RestartSettings()
    """When a process that has ended is started again (kinds `command`, and `mcp` with a command)."""


class FallbackSettings(Section, frozen=True):
    """What the fallback providers may use: directories that files are read from (and written to by
    ``local_fs`` only), repositories, and documentation that ``local_docs`` searches."""

    roots: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    docs: tuple[str, ...] = ()


class BackupSettings(Section, frozen=True):
    """Old backups. Nothing is removed unless ``remove`` is true, and then only regular files directly
    inside ``directories`` whose names match one of ``patterns``, once they are ``keep_days`` old; the
    ``keep_newest`` of each directory stay whatever their age."""

    remove: bool = False
    directories: tuple[str, ...] = ()
    patterns: tuple[str, ...] = BACKUPS
    keep_days: Annotated[float, Meta(gt=0, le=36_500)] = 30
    keep_newest: Annotated[int, Meta(ge=1, le=1_000_000)] = 5


class SocketSettings(Section, frozen=True):
    """Limits of the control socket. Sizes are bytes."""

    max_connections: Annotated[int, Meta(ge=1, le=10_000)] = 64
    max_frame_bytes: Annotated[int, Meta(ge=4_096, le=67_108_864)] = 1_048_576
    half_frame_timeout: Seconds = 5
    max_unread_bytes: Annotated[int, Meta(ge=4_096)] = 1_048_576


class WatchSettings(Section, frozen=True):
    """What the watchdog finds too much. ``stall`` is how many seconds the bus's loop may stand still,
    ``interval`` the seconds between two looks at the figures. ``rss``, ``wal`` and ``disk_free`` are bytes,
    ``rss_growth`` bytes a minute over half an hour, ``fds`` a share of the descriptors that the process
    may have, ``queue_age`` the seconds that the oldest event may have waited. 0 turns a limit off."""

    stall: Annotated[float, Meta(ge=0.1, le=60)] = 0.5
    interval: Annotated[float, Meta(ge=0.1, le=3_600)] = 5.0
    rss: Annotated[int, Meta(ge=0)] = 536_870_912
    rss_growth: Annotated[int, Meta(ge=0)] = 1_048_576
    fds: Annotated[float, Meta(ge=0, le=1)] = 0.8
    queue_age: Annotated[float, Meta(ge=0, le=10_000_000)] = 600.0
    wal: Annotated[int, Meta(ge=0)] = 83_886_080
    disk_free: Annotated[int, Meta(ge=0)] = 67_108_864


class DashboardSettings(Section, frozen=True):
    """``refresh`` is seconds between two pictures; ``keys`` remaps actions by their id. ``bell``,
    ``toast``, ``banner`` and ``title`` are the ways in which a change of state or an alert is told."""

    refresh: Annotated[float, Meta(ge=0.2, le=60)] = 1.0
    theme: str = "event-monitor-dark"
    bell: bool = True
    toast: bool = True
    banner: bool = True
    title: bool = True
    mouse: bool = True
    reduced_motion: bool = False
    feed_lines: Annotated[int, Meta(ge=10, le=5_000)] = 200
    keys: dict[str, str] = {}


class Settings(Section, frozen=True):
    """All settings of one home. ``timeouts`` are the tiers, in seconds; ``upcasters`` name, for a topic
    pattern and the schema version to go on from, a function that makes a payload of the next version."""

    bus: BusSettings = BusSettings()
    queue: QueueSettings = QueueSettings()
    storm: dict[str, StormRule] = msgspec.field(default_factory=lambda: dict(STORM))
    store: StoreSettings = StoreSettings()
    timeouts: dict[str, Seconds] = msgspec.field(default_factory=lambda: dict(TIERS))
    target_defaults: TargetSettings = TargetSettings()
    targets: dict[str, TargetSettings] = {}
    log: LogTargetSettings = LogTargetSettings()
    notification: NotificationSettings = NotificationSettings()
    mask: tuple[str, ...] = (
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "apikey",
        "authorization",
        "credential",
        "private_key",
    )
    services: tuple[ServiceSettings, ...] = ()
    fallback: FallbackSettings = FallbackSettings()
    backups: BackupSettings = BackupSettings()
    upcasters: dict[str, dict[str, str]] = {}
    socket: SocketSettings = SocketSettings()
    watch: WatchSettings = WatchSettings()
    dashboard: DashboardSettings = DashboardSettings()

    def target(self, name: str) -> TargetSettings:
        """The settings of one target: its own, else the defaults, and a long tier for long work."""
        own = self.targets.get(name)
        if own is None and name in LONG_TARGETS:
            return msgspec.structs.replace(self.target_defaults, timeout=LONG_TARGETS[name])
        return own or self.target_defaults

    def timeout_of(self, target: TargetSettings) -> float:
        """A target's timeout in seconds, its tier's name resolved."""
        return self.seconds(target.timeout)

    def seconds(self, timeout: float | str) -> float:
        """A timeout in seconds, a tier's name resolved."""
        return self.timeouts[timeout] if isinstance(timeout, str) else timeout
