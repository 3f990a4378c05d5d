"""The dashboard: asks its client for a picture once a second and shows it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic
from typing import Any, ClassVar

from textual import constants, events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.command import CommandPalette
from textual.driver import Driver

from event_monitor.clock import from_iso
from event_monitor.config import DashboardSettings
from event_monitor.control.client import Client
from event_monitor.dashboard.action import act
from event_monitor.dashboard.actions import BY_ID, bindings, key_of, remap
from event_monitor.dashboard.announcer import Announcer
from event_monitor.dashboard.commands import Commands
from event_monitor.dashboard.footer import footer_keys
from event_monitor.dashboard.link import BusLink
from event_monitor.dashboard.memory import Memory
from event_monitor.dashboard.overview.tab import OverviewTab
from event_monitor.dashboard.tab import Tab
from event_monitor.dashboard.tabs import TABS, TabStack
from event_monitor.dashboard.terminal import silence_terminal
from event_monitor.dashboard.themes import DARK, OWN
from event_monitor.errors import EventMonitorError, NoBus
from event_monitor.messages import GetSnapshot
from event_monitor.model import Alert, Severity, Snapshot, SystemState
from event_monitor.widgets import content
from event_monitor.widgets.feed import FeedPanel
from event_monitor.widgets.footer import FooterPanel
from event_monitor.widgets.header import HeaderPanel, TabMark
from event_monitor.widgets.overview import BannerPanel
from event_monitor.widgets.services_panel import ServicesPanel
from event_monitor.widgets.text import line, plain

logger = logging.getLogger(__name__)

# Seconds without an answer after which the screen says so.
_PATIENCE = 1.0
# Seconds between pictures of a bus that is starting.
_SOON = 0.1
# What textual-serve asks for.
_FOR_BROWSERS = "textual.drivers.web_driver:WebDriver"
_SEVERITIES = {Severity.INFO: "information", Severity.WARNING: "warning", Severity.CRITICAL: "error"}


class EventMonitorApp(App[int]):
    """One view of a bus. It must be given its client; it never ends because the bus did."""

    TITLE = "event-monitor"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = [
        Binding("ctrl+q", act("quit"), show=False, priority=True),
        Binding("ctrl+c", "quit", show=False),
        *bindings(),
    ]

    def __init__(
        self,
        client: Client,
        settings: DashboardSettings | None = None,
        *,
        mask: tuple[str, ...] = (),
        read_only: bool = False,
        memory: Memory | None = None,
        spool: str | None = None,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = monotonic,
        on_first_paint: Callable[[], None] = lambda: None,
        on_first_picture: Callable[[], None] = lambda: None,
        on_leaving: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.client = client
        self.settings = settings or DashboardSettings()
        self.mask = mask
        self.read_only = read_only
        self.spool = spool
        self.snapshot: Snapshot | None = None
        self.followers: list[Callable[[], Awaitable[None]]] = []
        self._on_first_paint = on_first_paint
        self._on_first_picture = on_first_picture
        self._on_leaving = on_leaving
        self._leaving = False
        self.now = now
        self._feed_revision = -1
        self._lost: str | None = None
        self._asked = asyncio.Event()
        self.link = BusLink(self, memory or Memory())
        self.commands = Commands(self, self.link)
        self.tabs = TabStack(self.link, OverviewTab(self.link, self.commands.overrides))
        self._announcer = Announcer(self, self.settings, clock)
        self.keys_of, self._key_mistakes = remap(self.settings.keys)
        for theme in OWN:
            self.register_theme(theme)
        self._begin_with_own_theme()
        if self.settings.reduced_motion:
            self.animation_level = "none"

    def _begin_with_own_theme(self) -> None:
        """Have the rules read in our colours at once: changing the theme later applies all of them anew."""
        self._wanted_theme = self._first_theme()
        theme = self.get_theme(self._wanted_theme)
        if theme in OWN:
            self.set_reactive(App.theme, theme.name)
            self.stylesheet.set_variables(self.get_css_variables())
            self.set_class(theme.dark, "-dark-mode", update=False)
            self.set_class(not theme.dark, "-light-mode", update=False)
            self.set_class(True, f"-theme-{theme.name}", update=False)

    # --- the screen -------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        self.screen.add_class("-waiting")
        yield HeaderPanel(id="header")
        yield BannerPanel(id="lost")
        yield BannerPanel(id="banner")
        yield self.tabs
        yield FooterPanel(id="footer")

    def on_mount(self) -> None:
        """Lay out, listen to the signals that end a terminal program, and begin to ask."""
        self.theme = self._wanted_theme
        self.set_keymap(self.keys_of)
        self._choose_layout(self.size.width, self.size.height)
        self.tabs.active.focus_main()
        footer = self.query_one(FooterPanel)
        self.screen.bindings_updated_signal.subscribe(footer, lambda _: self._show_footer())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, self._leave, number)
                # The loop's own handler does nothing, and is told of the signal all the same.
                signal.signal(number, self._see_that_it_ends)
        for mistake in self._key_mistakes:
            logger.warning("%s", mistake)
            self.say(mistake, Severity.WARNING)
        self.call_after_refresh(self._on_first_paint)
        self.run_worker(self._watch(), name="watch", exit_on_error=False)
        last = self.link.memory.get("tab", OverviewTab.NAME)
        if last != OverviewTab.NAME and f"tab_{last}" in BY_ID:
            self.action_act(f"tab_{last}")

    def get_driver_class(self) -> type[Driver]:
        """What the screen is drawn with: for a browser one that ends with it."""
        if constants.DRIVER == _FOR_BROWSERS:
            from event_monitor.dashboard.browser import BrowserDriver

            return BrowserDriver
        return super().get_driver_class()

    def _leave(self, number: int = signal.SIGHUP) -> None:
        """End because of a signal, or because the terminal is gone, in which case nothing more may be
        written to it: Textual waits for ever for such a write."""
        self._see_that_it_ends()
        if number == signal.SIGHUP:
            silence_terminal()
        self.exit()

    def _see_that_it_ends(self, *_: object) -> None:
        """A signal has come, and it may be that the loop is held up and will not hear of it."""
        if not self._leaving:
            self._leaving = True
            self._on_leaving()
            if (give_up := getattr(self._driver, "give_up", None)) is not None:
                give_up()

    def on_unmount(self) -> None:
        """Leave the terminal as it was found."""
        self._announcer.close()

    def on_resize(self, event: events.Resize) -> None:
        """Choose the layout for the new size."""
        self._choose_layout(event.size.width, event.size.height)

    def _choose_layout(self, width: int, height: int) -> None:
        sliver = width < 60 or height < 18
        compact = not sliver and (width < 100 or height < 30)
        for screen in self.screen_stack:
            screen.set_class(sliver, "-sliver")
            screen.set_class(compact, "-compact")

    @property
    def feed(self) -> FeedPanel:
        """The live feed, also while a dialog is open."""
        return self._overview.feed

    @property
    def services(self) -> ServicesPanel:
        """The services' table, also while a dialog is open."""
        return self._overview.services

    @property
    def chosen_alert(self) -> Alert | None:
        """The alert that is selected on the screen."""
        return self._overview.chosen_alert if self.tabs.active is self._overview else None

    @property
    def _overview(self) -> OverviewTab:
        tab = self.tabs.get(OverviewTab.NAME)
        assert isinstance(tab, OverviewTab)
        return tab

    @property
    def person(self) -> str:
        """Who decides here, for the record."""
        return f"{os.environ.get('USER') or os.environ.get('LOGNAME') or 'a person'} (dashboard)"

    # --- the picture ------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Ask for a picture, show it, wait; one at a time, so that a slow bus is never asked twice."""
        while True:
            self._asked.clear()
            try:
                snapshot = await self._picture()
                self._lost = None
                self.show_snapshot(snapshot)
            except EventMonitorError as error:
                self._show_loss(error)
            except Exception:
                logger.exception("a picture could not be taken or drawn")
                self._show_loss(NoBus("the picture could not be taken", "see logs/event-monitor.log"))
            await self._tell_followers()
            if self.link.memory.unsaved:
                await asyncio.to_thread(self.link.memory.save)
            if not _terminal_alive():
                self._leave()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._asked.wait()

    @property
    def _pause(self) -> float:
        """Seconds until the next picture: a bus that starts has news soon."""
        starting = self.snapshot is not None and self.snapshot.state is SystemState.INITIALIZING
        return min(self.settings.refresh, _SOON) if starting else self.settings.refresh

    async def _tell_followers(self) -> None:
        """Let dialogs follow; one that fails must not hold the pictures up for good."""
        for follow in tuple(self.followers):
            try:
                await follow()
            except Exception:
                logger.exception("a dialog could not follow")

    async def _picture(self) -> Snapshot:
        """The next picture. While it does not come the last one stays, with a line that says why."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        timer: asyncio.TimerHandle

        def say() -> None:
            nonlocal timer
            timer = loop.call_later(_PATIENCE, say)
            why = self.client.silence() or f"nothing for {loop.time() - asked:.0f} s"
            self._show_lost_line(f"the bus does not answer: {why}")

        timer = loop.call_later(_PATIENCE, say)
        try:
            picture: Snapshot = await self.client.request(GetSnapshot(feed_revision=self._feed_revision))
            return picture
        finally:
            timer.cancel()

    def refresh_soon(self) -> None:
        """Take the next picture at once: something was changed from here."""
        self._asked.set()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Give a picture to the panels; each repaints only what differs."""
        if self.snapshot is None:
            self.call_after_refresh(self._begin_with_keys)
            self.call_after_refresh(self._on_first_picture)
        self.snapshot = snapshot
        base = self.screen_stack[0]
        with self.batch_update():
            base.remove_class("-waiting")
            base.query_one("#lost", BannerPanel).show(None)
            base.query_one("#banner", BannerPanel).show(
                content.banner(snapshot, self.size.width, self.link.key("acknowledge"))
                if self.settings.banner
                else None
            )
            self._show_header()
            self.tabs.active.show(snapshot)
            if snapshot.feed is not None:
                self._feed_revision = snapshot.feed_revision
                self.feed.show(snapshot.feed)
        self._announcer.show(snapshot, toasts=not (base.has_class("-sliver") and self.settings.banner))

    def _begin_with_keys(self) -> None:
        """Put the focus where keys work: what was hidden until there was a picture could not take it."""
        if self.screen_stack[0].focused is None:
            self.tabs.active.focus_main()

    def _show_header(self) -> None:
        header = self.screen_stack[0].query_one(HeaderPanel)
        clock = self.now().strftime("%H:%M:%S")
        header.show(self.snapshot, clock, self._tab_marks(), lost=self._lost is not None)

    def _tab_marks(self) -> tuple[TabMark, ...]:
        dead = self.snapshot.queue.dead if self.snapshot is not None else 0
        return tuple(
            TabMark(
                info.name,
                key_of(f"tab_{info.name}", self.keys_of),
                info.label,
                count=dead if info.name == "dead_letters" else 0,
                active=info.name == self.tabs.active.NAME,
            )
            for info in TABS
        )

    def _show_footer(self) -> None:
        base = self.screen_stack[0]
        base.query_one(FooterPanel).show(
            footer_keys(base, self.keys_of, self.tabs.active.NAME, read_only=self.read_only)
        )

    def _show_loss(self, error: EventMonitorError) -> None:
        """Say that the picture is old and why; keep it."""
        if self._lost is None:
            self._feed_revision = -1
        self._lost = str(error)
        self._show_lost_line(f"no connection: {plain(error)}  trying again every {self.settings.refresh:g} s")
        self._show_header()
        self._announcer.lose()

    def _show_lost_line(self, text: str) -> None:
        shown = line(f" ✖ {plain(text)}", row="banner-bad")
        self.screen_stack[0].query_one("#lost", BannerPanel).show(shown)

    def say(self, text: str, severity: Severity = Severity.INFO) -> None:
        """A short message in the corner. It may hold anything: it is data."""
        shown = "\n".join(plain(row, 300) for row in text.split("\n"))
        self.notify(shown, severity=_SEVERITIES[severity], markup=False)  # type: ignore[arg-type]

    # --- actions ----------------------------------------------------------------------------

    def action_act(self, action_id: str) -> None:
        """Carry out an action of the table."""
        action = BY_ID[action_id]
        if self.read_only and action.changes:
            self.say(f"{action.label}: this view is read-only", Severity.WARNING)
            return
        if not action.tab:
            self.commands.run(action_id)
        elif action.tab == self.tabs.active.NAME:
            self.tabs.active.run(action_id)
        else:
            self.link.work(self._run_on(action.tab, action_id))

    async def _run_on(self, tab: str, action_id: str) -> None:
        (await self.open_tab(tab)).run(action_id)

    async def open_tab(self, name: str) -> Tab:
        """Bring a tab on the screen."""
        tab = await self.tabs.open(name)
        self.link.memory.set("tab", name)
        self._show_header()
        return tab

    async def open_replay(self, since: str, until: str, event_type: str = "") -> None:
        """Open the Replay tab with a span (ISO 8601, ``until`` excluded) and a type pattern chosen."""
        from event_monitor.dashboard.replay.tab import ReplayTab

        await self.open_tab(ReplayTab.NAME)
        assert isinstance(self.tabs.active, ReplayTab)
        self.tabs.active.choose(from_iso(since), from_iso(until), event_type)

    def action_use_theme(self, theme: str) -> None:
        """Change the colours, and keep them until the configuration names others."""
        self.theme = theme
        self.link.memory.set("theme", [self.settings.theme, theme])

    def _first_theme(self) -> str:
        wanted = self.settings.theme
        if wanted not in self.available_themes:
            self._key_mistakes.append(f"dashboard.theme: no theme is named {wanted}")
            wanted = DARK.name
        match self.link.memory.get("theme", []):
            case [self.settings.theme, str(chosen)] if chosen in self.available_themes:
                return chosen
        return wanted

    def action_command_palette(self) -> None:
        """Open the palette with every action of the table."""
        from event_monitor.dashboard.palette import ActionProvider

        if not any(isinstance(screen, CommandPalette) for screen in self.screen_stack):
            self.push_screen(CommandPalette(providers=[ActionProvider], placeholder="Search for actions …"))

    def now_text(self) -> str:
        """The time of day for a file's name."""
        return self.now().strftime("%Y%m%d-%H%M%S")

    def describe(self, action_id: str) -> str:
        """The present state, for the palette's description of an action."""
        snapshot = self.snapshot
        if snapshot is None:
            return ""
        tab = self.tabs.get(BY_ID[action_id].tab)
        if tab is not None:
            return tab.describe(action_id)
        return {
            "acknowledge": _first_words(self.chosen_alert or content.foremost(snapshot)),
            "acknowledge_all": f"{snapshot.unacknowledged} wait to be seen",
            "alerts": f"{snapshot.unacknowledged} wait to be seen",
            "maintenance_on": f"now {snapshot.state}",
            "maintenance_off": f"now {snapshot.state}",
            "resume": f"the kill switch is {'engaged' if snapshot.kill_switch else 'off'}",
            "state_history": f"now {snapshot.state}",
            "declared": f"{snapshot.unwatched} not watched",
            "retry_dead_letters": f"{snapshot.queue.dead} dead letters",
        }.get(action_id, "")

    def on_header_panel_chosen(self, message: HeaderPanel.Chosen) -> None:
        """A tab was clicked."""
        self.action_act(f"tab_{message.tab}")

    async def on_footer_panel_chosen(self, message: FooterPanel.Chosen) -> None:
        """The footer was clicked."""
        await self.run_action(message.action)


def _first_words(alert: Alert | None) -> str:
    return plain(alert.title, 60) if alert is not None and not alert.acknowledged else "none waits to be seen"


def _terminal_alive() -> bool:
    """Whether the terminal that the program was started on is still there."""
    output = sys.__stdout__
    if output is None or output.closed:
        return True
    try:
        os.ttyname(output.fileno())
    except OSError as error:
        return error.errno != 5
    except ValueError:
        return True
    return True
