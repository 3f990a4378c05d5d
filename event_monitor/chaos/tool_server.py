"""A little MCP server over stdio with one tool, ``echo``: ``python -m event_monitor.chaos.tool_server``."""

from __future__ import annotations

import json
import sys
from typing import Any

_INFO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "echo", "version": "1.0"},
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What it answers, but for the request's number."""
    match request["method"]:
        case "initialize":
            return {"result": _INFO}
        case "ping":
            return {"result": {}}
        case "tools/call":
            text = json.dumps(request["params"].get("arguments", {}))
            return {"result": {"content": [{"type": "text", "text": text}], "isError": False}}
        case _:
            return {"error": {"code": -32601, "message": "Method not found"}}


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" in request:
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer(request)}), flush=True)


if __name__ == "__main__":
    main()
