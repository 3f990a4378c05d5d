"""Commands about the services that are watched, and those that the assistant declares."""

from __future__ import annotations

from event_monitor.grammar.shared import user
from event_monitor.grammar.spec import Argument, Command, Example, Option, Values
from event_monitor.messages import ForgetService, Message, PlanAdoption, QueryDiscovered, QueryServices

_SCOPES = ("user", "local", "project")


def _plan(values: Values) -> Message:
    return PlanAdoption(
        name=values["name"], scope=values["scope"], project=values["project"], service=values["as"]
    )


SERVING = (
    Command(
        path=("services",),
        summary="Show the services that are watched",
        examples=(
            Example("event-cli services", "state, process, restarts and breaker of each"),
            Example("event-cli services --output json | jq 'select(.restarts > 0)'", "which fell over"),
        ),
        notes="Services stand in event-monitor.yaml, which is read again when it changes.",
        build=lambda values: QueryServices(),
    ),
    Command(
        path=("services", "discover"),
        summary="Show the MCP servers that your assistant declares",
        examples=(Example("event-cli services discover", "with scope, transport and who watches them"),),
        notes="Reads the assistant's configuration ($CLAUDE_CONFIG_DIR or ~/.claude). Nothing is started.",
        build=lambda values: QueryDiscovered(),
    ),
    Command(
        path=("services", "adopt"),
        summary="Have a server that your assistant declares started and watched",
        arguments=(Argument(name="name", help="its name there", source="declared"),),
        options=(
            Option(name="scope", metavar="S", help="where it is declared", choices=_SCOPES),
            Option(name="project", metavar="DIR", help="the project that it belongs to", source="files"),
            Option(name="as", metavar="NAME", help="the service's name here (default: the same)"),
            Option(name="yes", kind="flag", help="do not ask"),
        ),
        examples=(
            Example("event-cli services adopt github", "shows what would be started, and asks"),
            Example("event-cli services adopt db --scope project --as shop-db --yes", "without asking"),
        ),
        notes=(
            "Writes a reference to event-monitor.yaml, none of the server's secrets: command, environment "
            "and headers are read from the assistant's file at each start. If they are no longer what you "
            "approved, the server is not started. It is a second instance, beside the assistant's own."
        ),
        build=_plan,
    ),
    Command(
        path=("services", "forget"),
        summary="Undo services adopt",
        arguments=(Argument(name="name", help="the service's name", source="services"),),
        examples=(Example("event-cli services forget github", "end it and take it out of the settings"),),
        build=lambda values: ForgetService(service=values["name"], by=user()),
    ),
)
