"""Writing without waiting: what a descriptor is decides how records go down it."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from superd.log.opening import JOURNAL_SOCKET, SYSLOG_SOCKET, SinkKind

_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_GONE = frozenset({errno.ECONNREFUSED, errno.ENOTCONN, errno.ECONNRESET})
_WELL_KNOWN = {SinkKind.JOURNAL: JOURNAL_SOCKET, SinkKind.SYSLOG: SYSLOG_SOCKET}

_MAX_WRITE_BYTES = 64 * 1024
"""A write to a file or a stream: large enough that its cost is shared, small enough to copy."""


class Transport(Protocol):
    """One way down a descriptor, which it owns."""

    def send(self, queue: deque[bytes]) -> None:
        """Sends from the front of a queue that is not empty, and removes what was sent.

        Raises:
            OSError: nothing can be sent now (BlockingIOError: the other end is slow), or ever (EMSGSIZE).
        """

    def close(self) -> None:
        """Closes the descriptor."""


def transport_for(kind: SinkKind, fd: int) -> Transport:
    """The transport that suits the descriptor, which it takes over."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        sock = socket.socket(fileno=fd)
        if sock.type == socket.SOCK_STREAM:
            return Stream(lambda chunk: sock.send(chunk, _FLAGS), sock.close, _MAX_WRITE_BYTES)
        return Datagrams(kind, sock)
    # Several processes write to one pipe. Up to PIPE_BUF bytes go in whole or not at all (pipe(7)), so no
    # line is torn; a file opened O_APPEND needs no such care.
    limit = select.PIPE_BUF if stat.S_ISFIFO(mode) else _MAX_WRITE_BYTES
    may_block = not stat.S_ISREG(mode) and os.get_blocking(fd)
    write = _polled_write(fd) if may_block else lambda chunk: os.write(fd, chunk)
    return Stream(write, lambda: os.close(fd), limit)


def _polled_write(fd: int) -> Callable[[bytes], int]:
    """write(2) to a blocking descriptor only while it has room: a pipe then takes PIPE_BUF bytes at once."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)

    def write(chunk: bytes) -> int:
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(fd, chunk)

    return write


class Datagrams:
    """A datagram a record, to a daemon that may be restarted meanwhile."""

    def __init__(self, kind: SinkKind, sock: socket.socket) -> None:
        self._sock = sock
        self._peer = self._find_peer(kind)

    def _find_peer(self, kind: SinkKind) -> str | bytes:
        try:
            name: str | bytes = self._sock.getpeername()
        except OSError:  # the daemon is down at this moment, and the kernel has noticed
            return _WELL_KNOWN.get(kind, "")
        return name

    def send(self, queue: deque[bytes]) -> None:
        try:
            self._sock.send(queue[0], _FLAGS)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self._sock.connect(self._peer)
            self._sock.send(queue[0], _FLAGS)
        queue.popleft()

    def close(self) -> None:
        self._sock.close()


class Stream:
    """Many records in one write; of a record written in part, the rest goes first next time.

    Args:
        write: writes some of its argument without waiting and says how much, as write(2).
        close: closes the descriptor.
        limit_bytes: no more in one write, unless a single record is longer.
    """

    def __init__(self, write: Callable[[bytes], int], close: Callable[[], None], limit_bytes: int) -> None:
        self._write = write
        self._close = close
        self._limit_bytes = limit_bytes

    def send(self, queue: deque[bytes]) -> None:
        written = self._write(self._chunk(queue))
        while written:
            record = queue.popleft()
            if written < len(record):
                queue.appendleft(record[written:])
                return
            written -= len(record)

    def close(self) -> None:
        self._close()

    def _chunk(self, queue: deque[bytes]) -> bytes:
        count, size = 0, 0
        for record in queue:
            size += len(record)
            if size > self._limit_bytes and count:
                break
            count += 1
        return b"".join(islice(queue, count))
