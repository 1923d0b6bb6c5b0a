"""A protocol of JSON lines: each request is an object on a line, each answer is too.

    [services.counter]
    listen = ["unix:///run/counter.sock"]
    handler = "/etc/superd/handlers/counter.py:serve"
    user = "nobody"

Requests are {"do": "add", "numbers": [1, 2]} and {"do": "who"}. With trio, a client that falls silent for a minute is
left in one line.
"""

import json
from typing import Any

import trio

from superd.handler import Connection

SILENCE_S = 60
MOST_BYTES = 64 * 1024


async def serve(connection: Connection) -> None:
    buffer = b""
    while len(buffer) <= MOST_BYTES:
        data = b""
        with trio.move_on_after(SILENCE_S):
            data = await connection.stream.receive_some()
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            answer = answered(line, str(connection.peer))
            if "error" in answer:
                connection.log(f"{connection.peer}: {answer['error']}")
            await connection.stream.send_all(json.dumps(answer).encode() + b"\n")


def answered(line: bytes, peer: str) -> dict[str, Any]:
    """The answer to one request."""
    try:
        match json.loads(line):
            case {"do": "add", "numbers": [*numbers]} if all(
                isinstance(number, int | float) for number in numbers
            ):
                return {"sum": sum(numbers)}
            case {"do": "who"}:
                return {"you": peer}
    except (ValueError, RecursionError):
        return {"error": "not JSON"}
    return {"error": "no such request"}
