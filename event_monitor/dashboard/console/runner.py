"""Carries out what is typed in the console: the commands of event-cli, over the dashboard's own link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from event_monitor.control.client import Client
from event_monitor.dashboard.console.log import Log, Result, Text, Typed
from event_monitor.dashboard.console.publishing import publish
from event_monitor.dashboard.console.streams import Watching
from event_monitor.dashboard.link import BusLink
from event_monitor.errors import EventMonitorError, InvalidRequest
from event_monitor.grammar.help import help_text
from event_monitor.grammar.parser import HelpWanted, to_message
from event_monitor.grammar.repl.history import History, without_secrets
from event_monitor.grammar.repl.line import place_of, understand
from event_monitor.grammar.repl.table import REPL
from event_monitor.grammar.spec import Invocation
from event_monitor.grammar.steps import Complain, Confirm, Say, Send, Show, Step, Steps, steps_of
from event_monitor.messages import Message, PublishText, QueryEvents, StartReplay, Subscribe

# More than that nobody reads on a screen; event-cli shows all.
MOST_ROWS = 500
# Seconds that an answer may take, as with event-cli.
_PATIENCE = 30.0
_SHOWN_BEFORE = 20
_HELP_WIDTH = 100
_LEFT_OUT = "(a line that may hold a secret)"


class Runner:
    """One console's commands, one at a time."""

    def __init__(self, link: BusLink, log: Log, history: History, changed: Callable[[], None]) -> None:
        self._link = link
        self._log = log
        self._history = history
        self._changed = changed
        self._watching = Watching(self._ask, log, changed, link.mask)
        self._client: Client | None = None
        self._job: asyncio.Task[None] | None = None
        self.last = ""
        self.running = ""

    def start(self, text: str) -> None:
        """Carry a line out. Nothing is done while another one is."""
        if self.running:
            return
        self.running = text.split("\n")[0].strip() or "…"
        self._link.work(self._run(text))

    def stop(self) -> bool:
        """Stop what runs, if anything does."""
        if self._job is None:
            return False
        self._job.cancel()
        return True

    def tick(self) -> None:
        """A picture was taken: streams look again."""
        self._watching.tick()

    async def _run(self, text: str) -> None:
        typed = Typed(without_secrets(text, self._link.mask) or _LEFT_OUT)
        self._log.add(typed)
        self._changed()
        self._job = asyncio.ensure_future(self._carry_out(text, typed))
        try:
            await asyncio.wait([self._job])
            if self._job.cancelled():
                self._log.add(Text("stopped", "dim"))
            else:
                self._job.result()
            self.last = text
        finally:
            self._job.cancel()
            self._job, self.running = None, ""
            if self._client is not None:
                await self._client.close()
                self._client = None
            self._changed()

    async def _carry_out(self, text: str, typed: Typed) -> None:
        await asyncio.to_thread(self._history.add, text)
        try:
            invocation = understand(text)
            if invocation is not None:
                await self._command(invocation)
        except HelpWanted as wanted:
            self._help(wanted.path)
        except EventMonitorError as error:
            if typed.text == text:
                typed.place = place_of(text, error)
                self._log.changed(typed)
            self._log.add(Text(str(error), "bad"))
        if self._history.trouble:
            self._log.add(Text(self._history.trouble, "warn"))
            self._history.trouble = None

    async def _command(self, invocation: Invocation) -> None:
        if self._about_the_prompt(invocation):
            return
        self._watching.fixed = None if invocation.output is None else invocation.output == "json"
        values = invocation.values
        match invocation.command.path:
            case ("publish",):
                await self._publish(invocation)
            case ("events",) if values["follow"]:
                query = to_message(invocation)
                assert isinstance(query, QueryEvents)
                await self._watching.events(query, values["limit"] or MOST_ROWS)
            case ("subscribe",) if values["handler"] == "-":
                message = to_message(invocation)
                assert isinstance(message, Subscribe)
                query = QueryEvents(type=message.pattern, filter=message.filter)
                await self._watching.events(query, 0, values["count"])
            case ("stats",) if values["live"]:
                await self._watching.stats()
            case ("replay",) if not values["dry-run"]:
                replay = to_message(invocation)
                assert isinstance(replay, StartReplay)
                await self._watching.replay(replay, detach=values["detach"])
            case _:
                bounded = _bounded(invocation)
                await self._drive(steps_of(bounded))
                if bounded is not invocation:
                    self._log.add(Text(f"at most {MOST_ROWS} are shown here: event-cli shows all", "dim"))

    async def _publish(self, invocation: Invocation) -> None:
        message = to_message(invocation)
        assert isinstance(message, PublishText)
        published = await publish(self._link, self._ask, message)
        self._log.add(Result(Show(published), self._link.mask, self._watching.fixed))

    def _about_the_prompt(self, invocation: Invocation) -> bool:
        values = invocation.values
        match invocation.command.path:
            case ("help",):
                self._help(tuple(values["command"]))
            case ("history",):
                self._log.add(Text("\n".join(self._history.shown(values["count"] or _SHOWN_BEFORE))))
            case ("set", "output"):
                self._log.json = values["format"] == "json"
            case ("clear",):
                self._log.clear()
            case ("exit",):
                self._link.act("tab_overview")
            case _:
                return False
        return True

    def _help(self, path: tuple[str, ...]) -> None:
        if any(command.path[: len(path)] == path for command in REPL.commands):
            self._log.add(Text(help_text(path, _HELP_WIDTH, REPL)))
        else:
            self._log.add(Text(f"no command is named {' '.join(path)} (help shows all)", "bad"))

    # --- steps ------------------------------------------------------------------------------

    async def _ask(self, message: Message) -> Any:
        if "by" in message.__struct_fields__:
            message = msgspec.structs.replace(message, by=self._link.person)
        if self._client is None:
            # A command may take long: no picture and no completion waits behind it.
            self._client = self._link.apart(_PATIENCE)
        return await self._client.request(message)

    async def _drive(self, steps: Steps) -> None:
        try:
            step = next(steps)
            while True:
                try:
                    value = await self._take(step)
                except EventMonitorError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(value)
        except StopIteration:
            return

    async def _take(self, step: Step) -> Any:
        match step:
            case Send(message):
                return await self._ask(message)
            case Show():
                self._log.add(Result(step, self._link.mask, self._watching.fixed))
            case Say(text):
                self._log.add(Text(text, "dim"))
            case Complain(error):
                self._log.add(Text(str(error), "bad"))
                return 1
            case Confirm(question, shown):
                if shown is not None:
                    self._log.add(Result(Show(shown), self._link.mask))
                raise InvalidRequest(f"{question} Nothing was done yet", "add --yes to do it")
        return None


def _bounded(invocation: Invocation) -> Invocation:
    """A list's command with a limit that a screen can hold."""
    limit = invocation.values.get("limit")
    if limit is None or 0 < limit <= MOST_ROWS:
        return invocation
    return msgspec.structs.replace(invocation, values=invocation.values | {"limit": MOST_ROWS})
