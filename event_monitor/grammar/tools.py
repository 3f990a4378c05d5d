"""Commands for other programs: hooks and shells."""

from __future__ import annotations

from event_monitor.grammar.spec import BUS_SOURCES, Argument, Command, Example

TOOLS = (
    Command(
        path=("repl",),
        summary="Type commands at a prompt, with completion and history",
        examples=(
            Example("event-cli repl", 'event> publish build.done {"exit_code": 0}'),
            Example("event-cli repl < commands.txt", "a command a line, without a prompt"),
        ),
        notes="At the prompt event-cli is left out, and JSON needs no quotes. Without a terminal every line "
        "is carried out, and the exit status is that of the first one that failed.",
    ),
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
                choices=("bash", "zsh", "fish", *BUS_SOURCES),
            ),
        ),
        examples=(
            Example('eval "$(event-cli completion bash)"', "in ~/.bashrc"),
            Example("event-cli completion zsh > ~/.zfunc/_event-cli", "in a directory of $fpath"),
            Example("event-cli completion fish > ~/.config/fish/completions/event-cli.fish", "for fish"),
        ),
    ),
)
