"""What a handler is given: one connection, who is at its ends, and a way into the log.

As little as can be is imported here, and in what the caller imports besides: a process is forked for every connection,
and each megabyte it does not have is time saved.
"""

from __future__ import annotations

import functools
import io
import socket

TYPE_CHECKING = False  # typing's own would have typing loaded
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from superd.handler.concurrent import Stream

BUFFER_BYTES = 64 * 1024
"""Of the reader for datagrams, none of which is longer."""


class Address:
    """One end of a connection.

    Args:
        host: an address as text, ``192.0.2.7`` or ``fe80::1%2``; empty for a unix socket.
        port: 0 for a unix socket.
        pid, uid, gid: of the peer of a unix socket, as the kernel knew it when it connected; else 0.
    """

    __slots__ = ("gid", "host", "pid", "port", "uid")

    def __init__(self, host: str, port: int, pid: int = 0, uid: int = 0, gid: int = 0) -> None:
        self.host = host
        self.port = port
        self.pid = pid
        self.uid = uid
        self.gid = gid

    def __str__(self) -> str:
        if not self.host:
            return f"uid:{self.uid}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"<Address {self}>"


class Connection:
    """One connection, in the process that serves it alone.

    Args:
        sock: the connection's socket; it blocks.
        peer: who is there. Behind a trusted PROXY header: the client it names.
        local: where they arrived.
        service: the service's name.
        log: writes one line to superd's log.
        datagram: it carries datagrams, those of one peer.
    """

    def __init__(
        self,
        sock: socket.socket,
        peer: Address,
        local: Address,
        service: str,
        log: Callable[[str], object],
        *,
        datagram: bool = False,
    ) -> None:
        self.socket = sock
        self.peer = peer
        self.local = local
        self.service = service
        self.datagram = datagram
        self._log = log

    @functools.cached_property
    def reader(self) -> io.BufferedReader:
        """Reads bytes, blocking. Before it waits for more, what was written is sent."""
        return io.BufferedReader(_Receiver(self), BUFFER_BYTES if self.datagram else io.DEFAULT_BUFFER_SIZE)

    @functools.cached_property
    def writer(self) -> BinaryIO | socket.SocketIO:
        """Writes bytes. They are sent when the reader waits, by ``flush``, and at the end; a datagram at once."""
        if self.datagram:
            return self.socket.makefile("wb", 0)
        return self.socket.makefile("wb")

    @functools.cached_property
    def stream(self) -> Stream:
        """The connection as a ``trio.SocketStream``, for handlers that are ``async def``.

        Raises:
            ValueError: it carries datagrams; use ``trio.socket.from_stdlib_socket(connection.socket)``.
        """
        from superd.handler.concurrent import stream_of

        return stream_of(self)

    def log(self, text: object) -> None:
        """Write one line to superd's log, whatever stands in the text: clients cannot forge another."""
        self._log(str(text).replace("\r", "\\r").replace("\n", "\\n"))

    def flush(self) -> None:
        """Send what was written. Raises OSError: the peer is gone."""
        writer = self.__dict__.get("writer")
        if writer is not None and not writer.closed:
            writer.flush()


class _Receiver(io.RawIOBase):
    """The reader's source."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._connection.socket.fileno()

    def readinto(self, buffer: Any) -> int:
        self._connection.flush()
        return self._connection.socket.recv_into(buffer)
