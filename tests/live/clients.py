"""Clients of live tests, and the small service that most of them talk to."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness import PATIENCE_S, stat_fields, wait_until

MANY_OF_ONE_SOURCE = '[services.echo.limits]\nmax_connections_per_source = "infinity"\n'
"""For tests that open more connections from one address than a service has room for by itself."""


def service(name: str, listen: str, exec: str, user: str, more: str = "") -> str:
    """A service, as TOML; ``exec`` is TOML too."""
    return f'[services.{name}]\nlisten = ["{listen}"]\nexec = {exec}\nuser = "{user}"\n{more}\n'


def echo(address: str, port: int = 7, name: str = "echo", user: str = "daemon", more: str = "") -> str:
    """A service that sends back what it gets."""
    return service(name, f"tcp://{address}:{port}", '["/bin/cat"]', user, more)


def connect(address: str, port: int = 7) -> socket.socket:
    return socket.create_connection((address, port), PATIENCE_S)


@contextmanager
def connections(address: str, count: int, port: int = 7) -> Iterator[list[socket.socket]]:
    """So many open connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(address, port)) for _ in range(count)]


def echoes(client: socket.socket, data: bytes = b"still there") -> bool:
    """Whether an open connection is served, by a service that echoes."""
    client.sendall(data)
    return client.recv(len(data), socket.MSG_WAITALL) == data


def first_line(client: socket.socket) -> bytes:
    return client.makefile("rb", buffering=0).readline()


def stop(pid: int) -> None:
    """SIGSTOP, and wait until it stands."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: (fields := stat_fields(pid)) and fields[1] == "T", "a stopped process")
