"""An MCP server that misbehaves on demand: ``stub_server.py [--TROUBLE[=VALUE]]...``

``--era=handshake|modern|both``, ``--start=SECONDS`` before the first line is read, ``--hang`` (reads,
never answers), ``--die=METHOD``, ``--deaf`` (ignores end of input and SIGTERM), ``--flood`` (of stderr),
``--noise`` (on stdout, around every answer), ``--late=SECONDS`` for each tool call, ``--once=PATH``
(the trouble only at the first start: the file is made then), ``--mute`` (closes its output, lives on),
``--any`` (a tool that it does not know answers with its name and arguments).
Tools: ``echo`` returns its arguments, ``fail`` says isError, ``crash`` ends the process,
``slow`` answers after ``seconds``, ``break`` is an internal error, ``pings`` says how many came.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

OPTIONS = dict(word.removeprefix("--").partition("=")[::2] for word in sys.argv[1:])
if once := OPTIONS.get("once"):
    if os.path.exists(once):
        OPTIONS = {"era": OPTIONS.get("era", "handshake")}
    else:
        open(once, "x").close()
ERA = OPTIONS.get("era", "handshake")
LOCK = threading.Lock()
PINGS = 0


def say(message: dict[str, Any]) -> None:
    line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
    if "noise" in OPTIONS:
        line = "Listening on stdio...\n{}\n\x1b[2J\n" + line + "[DEBUG] done\n"
    with LOCK:
        sys.stdout.write(line)
        sys.stdout.flush()


def tool(number: Any, name: str, arguments: dict[str, Any]) -> None:
    time.sleep(float(OPTIONS.get("late", 0)) + float(arguments.get("seconds", 0)))
    if name == "crash":
        os._exit(7)
    if name == "break":
        say({"id": number, "error": {"code": -32603, "message": "internal error"}})
    elif name in ("echo", "slow", "fail", "pings"):
        text = str(PINGS) if name == "pings" else json.dumps(arguments)
        content = [{"type": "text", "text": text}]
        say({"id": number, "result": {"content": content, "isError": name == "fail"}})
    elif "any" in OPTIONS:
        content = [{"type": "text", "text": f"{name} {json.dumps(arguments)}"}]
        say({"id": number, "result": {"content": content, "isError": False}})
    else:
        say({"id": number, "error": {"code": -32602, "message": f"unknown tool {name}"}})


def answer(message: dict[str, Any]) -> None:
    global PINGS
    method, number, params = message.get("method"), message.get("id"), message.get("params") or {}
    if method == OPTIONS.get("die"):
        os._exit(9)
    if number is None or "hang" in OPTIONS:
        return
    info = {"name": "stub", "version": "1.0"}
    if method == "server/discover" and ERA in ("modern", "both"):
        PINGS += 1
        versions = ["2026-07-28"]
        say({"id": number, "result": {"supportedVersions": versions, "capabilities": {}, "serverInfo": info}})
    elif method == "initialize" and ERA in ("handshake", "both"):
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        say({"id": number, "result": result})
    elif method == "ping" and ERA == "handshake":
        PINGS += 1
        say({"id": number, "result": {}})
    elif method == "tools/call":
        arguments = params.get("arguments") or {}
        threading.Thread(target=tool, args=(number, params["name"], arguments), daemon=True).start()
    else:
        say({"id": number, "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    if "deaf" in OPTIONS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "flood" in OPTIONS:
        for _ in range(100):
            sys.stderr.write("x" * 99_999 + "\n")
    time.sleep(float(OPTIONS.get("start", 0)))
    if "mute" in OPTIONS:
        os.close(1)
        time.sleep(600)
    for line in sys.stdin:
        answer(json.loads(line))
    if "deaf" in OPTIONS:
        time.sleep(600)


main()
