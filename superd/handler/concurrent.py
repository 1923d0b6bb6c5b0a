"""Handlers that are ``async def``, run by trio. Nothing else of superd's below the acceptor loads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from superd.handler.connection import Connection

Stream = trio.SocketStream


def stream_of(connection: Connection) -> Stream:
    """The connection as trio has it.

    Raises:
        ValueError: it carries datagrams.
    """
    if connection.datagram:
        remedy = "use trio.socket.from_stdlib_socket(connection.socket)"
        raise ValueError(f"datagrams are no stream; {remedy}")
    return trio.SocketStream(trio.socket.from_stdlib_socket(connection.socket))


def serving(function: Callable[..., Awaitable[object]], *, alone: bool) -> Callable[[Connection], None]:
    """A function that serves a connection by one that must be awaited.

    Args:
        alone: it is called without the connection.
    """

    def serve(connection: Connection) -> None:
        trio.run(function, *(() if alone else (connection,)))
        if connection.socket.fileno() >= 0:
            connection.socket.setblocking(True)  # for what the writer still holds

    return serve
