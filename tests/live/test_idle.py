"""idle_timeout: an unused instance ends, one that serves does not, and the next to knock starts another."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from harness import Superd, written

pytestmark = pytest.mark.live

ECHO = """
import socket, threading
listener = socket.socket(fileno=3)
def serve(connection):
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def service(address: str, script: Path) -> str:
    return f"""
        [services.echo]
        listen = ["tcp://{address}:7"]
        mode = "wait"
        exec = ["/usr/bin/python3", "-I", "-S", "{script}"]
        user = "nobody"
        idle_timeout = "300ms"
        """


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"x")
    return connection.recv(10)


def test_an_idle_instance_ends_and_the_next_client_is_served_by_another(address: str, folder: Path) -> None:
    script = written(folder / "echo.py", ECHO)
    with Superd(service(address, script)) as superd:
        for count in (1, 2):
            with socket.create_connection((address, 7), timeout=20) as connection:
                assert ask(connection) == b"x"
            superd.wait_for("end", count=count, service="echo", outcome="idle")


def test_an_open_connection_keeps_its_instance(address: str, folder: Path) -> None:
    """A second service, idle for as long and ended for it, is the clock."""
    script = written(folder / "echo.py", ECHO)
    clock = service(address, script).replace("services.echo", "services.clock").replace(":7", ":9")
    clock = clock.replace('"nobody"', '"games"')
    with Superd(service(address, script) + clock) as superd:
        with socket.create_connection((address, 7), timeout=20) as held:
            assert ask(held) == b"x"
            for count in (1, 2):
                with socket.create_connection((address, 9), timeout=20) as connection:
                    assert ask(connection) == b"x"
                superd.wait_for("end", count=count, service="clock", outcome="idle")
            assert ask(held) == b"x"
            assert not superd.log_events("end", service="echo")
        superd.wait_for("end", service="echo", outcome="idle")
