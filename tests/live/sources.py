"""Clients from as many sources as a test needs: every address of 127.0.0.0/8 is this machine's."""

from __future__ import annotations

import socket
from contextlib import suppress

from harness import PATIENCE_S


def connect_from(source: str, address: str, port: int = 7) -> socket.socket:
    """A connection from an address of 127.0.0.0/8."""
    return socket.create_connection((address, port), PATIENCE_S, source_address=(source, 0))


def ask(source: str, address: str, data: bytes = b"hello", port: int = 7) -> bytes:
    """What a service answers to a source, up to its end or to a reset; empty when it refuses."""
    answer = b""
    with connect_from(source, address, port) as client:
        with suppress(OSError):  # who is refused at once may be too late to say anything
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while part := client.recv(65536):
                answer += part
    return answer
