"""A handler in a sandbox: no process of its own is executed, and what holds it is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Superd, exchange
from served import handler

pytestmark = pytest.mark.live

TRIES = """
    import json, os, socket

    def came_of(attempt):
        try:
            return attempt() or "done"
        except OSError as error:
            return error.errno

    def tell(connection):
        told = {
            "network": came_of(lambda: socket.create_connection(("127.0.0.1", 7), 5)),
            "etc": came_of(lambda: open("/etc/superd-was-here", "w")),
            "init": came_of(lambda: os.kill(1, 9)),
            "others": [name for name in os.listdir("/proc") if name.isdigit() and int(name) > 99],
        }
        connection.writer.write(json.dumps(told).encode())
"""


def test_a_strict_handler(address: str, folder: Path) -> None:
    keys = '[services.it.sandbox]\nprofile = "strict"\nprivate_tmp = false'
    with Superd(handler(address, folder, TRIES, "tell", keys)) as superd:
        for _ in range(3):
            told = json.loads(exchange(address, 7))
            assert told == {"network": 1, "etc": 30, "init": "done", "others": []}
        assert len(superd.spawners("it")) == 1
        ends = [superd.wait_for("end", service="it", count=3), *superd.log_events("end", service="it")]
        assert all(end["outcome"] == "clean" for end in ends)
