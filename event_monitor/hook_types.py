"""Which event an assistant's hook becomes. ``docs/reference/events.md`` is made from these tables."""

from __future__ import annotations

from typing import Literal

import msgspec

from event_monitor.model import Priority

ToolKind = Literal["", "command", "mcp", "tool"]


class HookType(msgspec.Struct, frozen=True):
    """A hook by the name that the assistant gives it, and the event that it becomes. ``tool`` tells
    apart what the hook is about: a shell command, a call to an MCP server, any other tool. ``keys`` are
    what its payload holds besides ``COMMON_KEYS``."""

    hook: str
    event_type: str
    when: str
    keys: tuple[str, ...] = ()
    tool: ToolKind = ""
    priority: Priority | None = None


_TOOL = ("tool_name", "tool_input", "tool_use_id")
_DONE = (*_TOOL, "tool_response", "duration_ms")
_FAILED = (*_TOOL, "error", "is_interrupt", "duration_ms")

HOOK_TYPES: tuple[HookType, ...] = (
    HookType("SessionStart", "session.started", "a session begins or goes on", ("source",)),
    HookType("SessionEnd", "session.ended", "a session ends", ("reason",)),
    HookType("UserPromptSubmit", "prompt.submitted", "the user has sent a prompt", ("prompt",)),
    HookType(
        "Stop",
        "turn.done",
        "the assistant has finished its answer",
        ("last_assistant_message", "stop_hook_active", "background_tasks", "session_crons"),
    ),
    HookType("StopFailure", "turn.failed", "the answer ended with an error", ("error",)),
    HookType("Notification", "user.needed", "the assistant waits for its user", ("message",)),
    HookType("SubagentStart", "subagent.started", "a helper of the assistant begins"),
    HookType("SubagentStop", "subagent.stopped", "a helper of the assistant ends"),
    HookType("PreCompact", "context.compacting", "the conversation is about to be shortened"),
    HookType("PostCompact", "context.compacted", "the conversation was shortened"),
    HookType("PermissionRequest", "permission.requested", "a tool needs the user's permission", _TOOL),
    HookType("PermissionDenied", "permission.denied", "a tool was not permitted", _TOOL),
    HookType("PreToolUse", "command.started", "a shell command begins", _TOOL, "command"),
    HookType("PostToolUse", "command.executed", "a shell command has ended well", _DONE, "command"),
    HookType("PostToolUseFailure", "command.failed", "a shell command has failed", _FAILED, "command"),
    HookType("PreToolUse", "mcp.call.started", "a call to an MCP server begins", _TOOL, "mcp"),
    HookType("PostToolUse", "mcp.call.ok", "a call to an MCP server was answered", _DONE, "mcp"),
    HookType("PostToolUseFailure", "mcp.call.failed", "a call to an MCP server has failed", _FAILED, "mcp"),
    HookType("PreToolUse", "tool.started", "any other tool begins", _TOOL, "tool"),
    HookType("PostToolUse", "tool.executed", "any other tool has ended well", _DONE, "tool"),
    HookType("PostToolUseFailure", "tool.failed", "any other tool has failed", _FAILED, "tool"),
    HookType("PostToolBatch", "hook.post_tool_batch", "tools that ran together have ended", ("tool_calls",)),
    # One process and one event for each chunk of text on the assistant's screen.
    HookType(
        "MessageDisplay",
        "hook.message_display",
        "a piece of text has appeared on the assistant's screen",
        ("delta", "final", "index", "message_id", "turn_id"),
        priority=Priority.LOW,
    ),
)

UNKNOWN = "hook.unknown"
"""The type of hook input that names no hook. Any other hook becomes ``hook.`` and its name in snake case."""

COMMON_KEYS: tuple[str, ...] = (
    "hook_event_name",
    "session_id",
    "prompt_id",
    "transcript_path",
    "cwd",
    "permission_mode",
    "effort",
)
"""What the payload of most hooks holds."""

KEYS: dict[str, tuple[str, str]] = {
    "hook_event_name": ("text", "the hook's name"),
    "session_id": ("text", "the assistant's session"),
    "prompt_id": ("text", "the prompt that it belongs to"),
    "transcript_path": ("text", "the file in which the assistant keeps the session"),
    "cwd": ("text", "the assistant's working directory"),
    "permission_mode": ("text", "what the assistant may do without asking"),
    "effort": ("object", "how hard the assistant was told to think"),
    "source": ("text", "how the session began, such as startup or resume"),
    "reason": ("text", "why the session ended"),
    "prompt": ("text", "what the user wrote"),
    "message": ("text", "what the assistant says of it"),
    "last_assistant_message": ("text", "the end of the answer"),
    "stop_hook_active": ("true or false", "whether a hook has made the assistant go on before"),
    "background_tasks": ("list", "what still runs"),
    "session_crons": ("list", "what the session will do later"),
    "tool_name": ("text", "the tool: Bash for a shell command, mcp__SERVER__TOOL for an MCP server's"),
    "tool_input": ("object", "what the tool was given; command for a shell command"),
    "tool_response": ("anything", "what the tool answered"),
    "tool_use_id": ("text", "the same at the beginning and the end of one use; also the correlation id"),
    "mcp_server": ("object", "the MCP server: name and source"),
    "error": ("text", "what went wrong"),
    "is_interrupt": ("true or false", "whether the user has stopped it"),
    "duration_ms": ("number", "how long it took, in milliseconds"),
    "tool_calls": ("list", "the uses of tools"),
    "delta": ("text", "the piece of text"),
    "final": ("true or false", "whether it is the last piece"),
    "index": ("number", "the number of the piece"),
    "message_id": ("text", "the message that it belongs to"),
    "turn_id": ("text", "the turn that it belongs to"),
}
"""The type and the meaning of each key."""
