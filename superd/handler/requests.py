"""Classes made for the standard library's socketserver, http.server's among them, used as they are."""

from __future__ import annotations

import socketserver
from collections.abc import Callable
from typing import Any

from superd.handler.connection import BUFFER_BYTES, Address, Connection


class _Server:
    """What such a class asks of its server."""

    def __init__(self, local: Address, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.server_address = _as_tuple(local)
        self.server_name, self.server_port = local.host, local.port
        self.RequestHandlerClass = handler
        self.timeout = None


def serving(handler: type[socketserver.BaseRequestHandler]) -> Callable[[Connection], None]:
    """A function that serves a connection by a class: its constructor does all, as socketserver has it."""

    def serve(connection: Connection) -> None:
        request: Any = connection.socket
        if connection.datagram:  # as a UDPServer has it
            request = connection.socket.recv(BUFFER_BYTES), connection.socket
        server: Any = _Server(connection.local, handler)
        handler(request, _as_tuple(connection.peer), server)

    return serve


def _as_tuple(address: Address) -> Any:
    """An address as ``accept`` gives it; of a unix socket that has no name."""
    if not address.host:
        return ""
    host, _, scope = address.host.partition("%")
    return (host, address.port, 0, int(scope or 0)) if ":" in host else (host, address.port)
