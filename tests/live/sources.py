"""Clients from as many sources as a test needs: every address of 127.0.0.0/8 is this machine's."""

from __future__ import annotations

import socket

from harness import PATIENCE_S, read_all


def connect_from(source: str, address: str, port: int = 7) -> socket.socket:
    """A connection from an address of 127.0.0.0/8."""
    return socket.create_connection((address, port), PATIENCE_S, source_address=(source, 0))


def ask(source: str, address: str, data: bytes = b"hello", port: int = 7) -> bytes:
    """What a service answers to a source; empty when it refuses."""
    try:
        with connect_from(source, address, port) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)
    except TimeoutError:
        raise
    except OSError:  # reset, at whatever moment
        return b""
