"""A request of a stranger: taken from its connection, looked at, carried out. Done by his worker alone.

What is believed is what the kernel says: of who is there (``peers.credentials``), and of the socket itself. The
request names an address, no more.
"""

from __future__ import annotations

import array
import errno
import os
import signal
import socket

from attrs import field, frozen, mutable

from superd.bind import ANSWER, BIND, LIST, MAGIC, REQUEST
from superd.kernel import foreign
from superd.policy.grants import Wish

_SO_PROTOCOL, _SO_DOMAIN = 38, 39  # include/uapi/asm-generic/socket.h
_MPTCP = 262  # IPPROTO_MPTCP, include/uapi/linux/in.h: what Go's listeners ask for
_TRANSPORTS: dict[tuple[int, int], str] = {
    (socket.SOCK_STREAM, socket.IPPROTO_TCP): "tcp",
    (socket.SOCK_STREAM, _MPTCP): "tcp",
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP): "udp",
}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_ANCILLARY_BYTES = socket.CMSG_SPACE(2 * array.array("i").itemsize)  # more are never taken from the kernel
_FLAGS = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT


class RequestError(Exception):
    """A request that is answered with an errno and why."""

    def __init__(self, number: int, words: str) -> None:
        self.number = number
        super().__init__(words)


@mutable(eq=False)
class Client:
    """A connection, and what came over it.

    Args:
        link: the connection.
        pid, uid, gids: who connected.
        since: when, on the broker's clock (ns).
    """

    link: socket.socket
    pid: int
    uid: int
    gids: frozenset[int]
    since: int
    descriptors: list[int] = field(factory=list)

    def answer(self, number: int, words: str = "") -> None:
        """Say what became of it, and be done with it."""
        try:
            self.link.send(ANSWER.pack(number) + words.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:  # he has left
            pass
        self.close()

    def close(self) -> None:
        """Let go of everything that is his."""
        for descriptor in self.descriptors:
            try:
                os.close(descriptor)
            except OSError:  # a file system's last word; it is closed all the same (close(2))
                pass
        self.descriptors = []
        self.link.close()


@frozen
class BindRequest:
    """A socket to be bound: ``wish`` for whoever decides, ``address`` (a sockaddr) for bind itself."""

    wish: Wish
    address: bytes


@frozen
class ListRequest:
    """What may I bind?"""


def take(client: Client) -> BindRequest | ListRequest:
    """Read a request and look at what came with it.

    Raises:
        RequestError: it cannot be granted, whoever asks.
    """
    try:
        packet, ancillary, flags, _ = client.link.recvmsg(REQUEST.size + 1, _ANCILLARY_BYTES, _FLAGS)
    except OSError as error:
        raise RequestError(errno.EPROTO, f"nothing that could be read: {error.strerror}") from error
    for level, kind, raw in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            client.descriptors += array.array("i", raw)
    if len(packet) != REQUEST.size or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise RequestError(errno.EPROTO, "not a request")
    magic, kind, version, port, scope, packed = REQUEST.unpack(packet)
    if magic == MAGIC and kind == LIST and not client.descriptors:
        return ListRequest()
    if magic != MAGIC or kind != BIND or version not in _FAMILIES or len(client.descriptors) != 2:
        raise RequestError(errno.EPROTO, "not a request")
    return _bind_request(client, _FAMILIES[version], port, scope, packed)


def _bind_request(client: Client, family: int, port: int, scope: int, packed: bytes) -> BindRequest:
    if port == 0:
        raise RequestError(errno.EINVAL, "no port")
    descriptor, pidfd = client.descriptors
    _require_pidfd(pidfd)
    try:
        transport, reuse_port = _inspect(descriptor, family)
    except OSError as error:
        raise RequestError(error.errno or errno.ENOTSOCK, f"no socket: {error.strerror}") from error
    packed = packed[: 4 if family == socket.AF_INET else 16]
    wish = Wish(transport, socket.inet_ntop(family, packed), port, reuse_port)
    return BindRequest(wish, foreign.pack_address(family, port, packed, scope))


def _require_pidfd(descriptor: int) -> None:
    """Only a pidfd may go to the master: to close one never waits.

    Raises:
        RequestError: it is none, or its process has ended.
    """
    try:
        signal.pidfd_send_signal(descriptor, 0)
    except PermissionError:  # it is one, of another user, as nearly all are here
        return
    except OSError as error:
        raise RequestError(errno.EPROTO, f"no process: {error.strerror}") from error


def _inspect(descriptor: int, family: int) -> tuple[str, bool]:
    """Transport, and whether the port is to be shared, as the kernel has them.

    Raises:
        RequestError: it is a socket that no grant is for.
        OSError: it is none.
    """
    domain, kind, protocol, shared = (
        foreign.getsockopt(descriptor, option)
        for option in (_SO_DOMAIN, socket.SO_TYPE, _SO_PROTOCOL, socket.SO_REUSEPORT)
    )
    transport = _TRANSPORTS.get((kind, protocol)) if domain in _FAMILIES.values() else None
    if transport is None:
        raise RequestError(errno.EOPNOTSUPP, "neither a tcp nor a udp socket")
    if domain != family:
        raise RequestError(errno.EAFNOSUPPORT, "an address of another family than the socket's")
    if foreign.bound_port(descriptor):  # if it is given one after this, bind says the same
        raise RequestError(errno.EINVAL, "the socket is bound already")
    return transport, bool(shared)


def carry_out(client: Client, request: BindRequest) -> int:
    """Bind it; returns the errno, 0 for success."""
    try:
        foreign.bind(client.descriptors[0], request.address)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0
