"""A link: one end of a ``SOCK_SEQPACKET`` pair that carries messages with descriptors, and never blocks.

What does not fit the kernel's queue waits in the link's own; the owner polls for writing while ``wants_write``.
A message longer than one packet travels in several, each marked whether more follow.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from superd.errors import WireError
from superd.wire.codec import Direction
from superd.wire.messages import MAX_DESCRIPTORS
from superd.wire.table import Phase, Role

PACKET_BYTES = 64 * 1024
_LAST, _MORE = b"\0", b"\1"
_ANCILLARY_BYTES = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
# Plain integers: the arithmetic of enum's flags would cost more than the system call.
_RECEIVE_FLAGS = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
_SEND_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_DESCRIPTORS_CUT = int(socket.MSG_CTRUNC)
_CUT = int(socket.MSG_CTRUNC | socket.MSG_TRUNC)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, closed on exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_packet(sock: socket.socket, payload: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send one whole message that fits a packet.

    Raises:
        BlockingIOError: the queue is full.
        OSError: ETOOMANYREFS when too many descriptors of this user are in flight (unix(7)), EPIPE, …
    """
    ancillary = (
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]
        if descriptors
        else []
    )
    sock.sendmsg((_LAST, payload), ancillary, _SEND_FLAGS)


def receive_packet(sock: socket.socket, size: int = PACKET_BYTES) -> tuple[bytes, list[int]]:
    """One packet and its descriptors, which are closed on exec from the first instant.

    Raises:
        BlockingIOError: nothing there.
        EOFError: the other end is gone.
        WireError: a longer packet than ``size``, or descriptors that did not arrive (MSG_CTRUNC): without that
            check another connection's socket would be taken for the missing one.
    """
    data, ancillary, flags, _ = sock.recvmsg(size, _ANCILLARY_BYTES, _RECEIVE_FLAGS)
    descriptors: list[int] = []
    for level, kind, raw in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received = array.array("i")
            received.frombytes(raw[: len(raw) - len(raw) % received.itemsize])
            descriptors.extend(received)
    if flags & _CUT:
        close_all(descriptors)
        raise WireError("descriptors were cut off" if flags & _DESCRIPTORS_CUT else "packet too long")
    if not data:
        close_all(descriptors)
        raise EOFError
    return data, descriptors


def close_all(descriptors: Sequence[int]) -> None:
    """Close each descriptor."""
    for descriptor in descriptors:
        os.close(descriptor)


@frozen
class Received:
    """A message and the descriptors that came with it; whoever takes it owns them."""

    message: Any
    descriptors: list[int]


class Link:
    """One end of a link between two roles.

    Args:
        sock: an end of ``pair()``; the link owns it.
        here, there: the role of this side and of the other.
    """

    def __init__(self, sock: socket.socket, here: Role, there: Role) -> None:
        self.socket = sock
        self.phase = Phase.SERVING
        self._outgoing = Direction.of(here, there)
        self._incoming = Direction.of(there, here)
        self._outbox: deque[tuple[bytes, tuple[int, ...], bool]] = deque()
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._descriptors: list[int] = []
        self._longest = max((row.max_bytes for row in self._incoming.by_kind.values()), default=0) + 1

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def wants_write(self) -> bool:
        return bool(self._outbox)

    def post(self, message: object, descriptors: Sequence[int] = (), *, close: bool = False) -> None:
        """Queue a message and send what the kernel takes.

        Args:
            message: one that the table lets this side say.
            descriptors: sent along, with the last packet.
            close: close them here once they are sent (or the link is).

        Raises:
            OSError: the other end is gone (EPIPE, ECONNRESET).
        """
        payload = self._outgoing.encode(message)
        cuts = range(0, len(payload), PACKET_BYTES - 1)
        last = len(cuts) - 1
        for number, cut in enumerate(cuts):
            part = payload[cut : cut + PACKET_BYTES - 1]
            whole = number == last
            self._outbox.append(
                ((_LAST if whole else _MORE) + part, tuple(descriptors) if whole else (), close)
            )
        self.flush()
        if self._outbox and descriptors and not close:
            self._keep_descriptors()

    def _keep_descriptors(self) -> None:
        """The last message must wait: its owner may close its descriptors meanwhile, so it waits with copies."""
        packet, descriptors, _ = self._outbox.pop()
        copies = tuple(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3) for descriptor in descriptors)
        self._outbox.append((packet, copies, True))

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it. Raises OSError as ``post``."""
        while self._outbox:
            packet, descriptors, close = self._outbox[0]
            ancillary = (
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]
                if descriptors
                else []
            )
            try:
                self.socket.sendmsg((packet,), ancillary, _SEND_FLAGS)
            except BlockingIOError:
                return
            self._outbox.popleft()
            if close:
                close_all(descriptors)

    def receive(self, most_packets: int = sys.maxsize) -> Iterator[Received]:
        """Every message that is there.

        Args:
            most_packets: stop after that many packets. 1 saves a busy loop, which will be told by its poller if
                there is more, the error that says there is not.

        Raises:
            EOFError: the other end is gone.
            WireError: what came is not what the table allows; the link is not usable any more.
        """
        for _ in range(most_packets):
            try:
                data, descriptors = receive_packet(self.socket)
            except BlockingIOError:
                return
            self._parts.append(data[1:])
            self._parts_bytes += len(data) - 1
            self._descriptors += descriptors
            if self._parts_bytes > self._longest or len(self._descriptors) > MAX_DESCRIPTORS:
                raise WireError("message too long")
            if data[:1] == _LAST:
                yield self._take()

    def _take(self) -> Received:
        payload, descriptors = b"".join(self._parts), self._descriptors
        self._parts, self._parts_bytes, self._descriptors = [], 0, []
        try:
            message = self._incoming.decode(payload, len(descriptors), self.phase)
        except WireError:
            close_all(descriptors)
            raise
        return Received(message, descriptors)

    def discard(self) -> None:
        """Forget what waits to be sent: nobody is left who wants it."""
        for _, descriptors, close in self._outbox:
            if close:
                close_all(descriptors)
        self._outbox.clear()

    def close(self) -> None:
        """Close this end, and every descriptor that waits in it."""
        self.discard()
        close_all(self._descriptors)
        self._descriptors = []
        self.socket.close()
