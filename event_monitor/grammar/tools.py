"""Commands for other programs: hooks and shells."""

from __future__ import annotations

from event_monitor.grammar.spec import Argument, Command, Example

TOOLS = (
    Command(
        path=("hook",),
        summary="Publish an assistant's hook input from stdin",
        examples=(
            Example(
                '{"hooks": {"PostToolUse": [{"hooks": [{"type": "command", "command": "event-cli hook"}]}]}}',
                "in the assistant's settings.json",
            ),
        ),
        notes="Always exits 0 and prints nothing. EVENT_MONITOR_DEBUG=1 shows on stderr what went wrong.",
    ),
    Command(
        path=("completion",),
        summary="Print a completion script for a shell",
        arguments=(
            Argument(
                name="shell",
                help="bash, zsh or fish; or the values that the scripts ask for",
                choices=("bash", "zsh", "fish", "types", "targets", "subscriptions"),
            ),
        ),
        examples=(
            Example('eval "$(event-cli completion bash)"', "in ~/.bashrc"),
            Example("event-cli completion zsh > ~/.zfunc/_event-cli", "in a directory of $fpath"),
            Example("event-cli completion fish > ~/.config/fish/completions/event-cli.fish", "for fish"),
        ),
    ),
)
