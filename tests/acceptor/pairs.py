"""Connected stream sockets, the far ends of which a test holds as a client and as a backend would."""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import ParamSpec

import trio

P = ParamSpec("P")

PATIENCE_S = 20
"""Only a hang lasts as long."""


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        return far, listener.accept()[0]


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a unix stream."""
    return socket.socketpair()


def in_trio(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test by trio on the real clock, since its peers are real; a hang fails."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            with trio.fail_after(PATIENCE_S):
                await test(*args, **kwargs)

        trio.run(bounded)

    return run


async def send_all(sock: socket.socket, data: bytes) -> None:
    """Write all of it, however long the other end takes."""
    await trio.SocketStream(trio.socket.from_stdlib_socket(sock)).send_all(data)


async def read_to_end(sock: socket.socket) -> bytes:
    """Read until the other end has shut down writing."""
    return b"".join([part async for part in trio.SocketStream(trio.socket.from_stdlib_socket(sock))])


async def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        await trio.lowlevel.wait_readable(sock)
        part = sock.recv(size - len(data))
        assert part, f"it ended after {data[-100:]!r}"
        data += part
    return data


def reset(sock: socket.socket) -> None:
    """Close a TCP connection with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
