"""Accepting: batches of connections off a listener, named and handed to dispatch."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import AF_INET, AF_INET6, AF_UNIX, inet_pton
from typing import Any

from superd.acceptor.dispatch import Dispatch
from superd.acceptor.services import Child, Listener, Service
from superd.acceptor.timers import Timers
from superd.wire.codec import encode_connection
from superd.wire.messages import EPOCH_SHIFT, MAX_BATCH, Peer

BACK_OFF_S = 0.1

# accept(2): errors of a connection that died while it waited, or of the network below it; the next may be fine.
_IGNORED = frozenset(
    {
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.ENETDOWN,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
        errno.EPERM,  # a firewall rule forbids the connection
        errno.EINTR,
    }
)
_UCRED = struct.Struct("iII")
_MAPPED = "::ffff:"


def unmapped(address: str) -> str:
    """``192.0.2.1`` for ``::ffff:192.0.2.1``; every other address as it is."""
    return address[len(_MAPPED) :] if address.startswith(_MAPPED) and "." in address else address


def pack(address: str) -> tuple[int, bytes]:
    """Family and packed form of a numeric address (without scope), mapped ones unmapped."""
    address = unmapped(address)
    if ":" in address:
        return AF_INET6, inet_pton(AF_INET6, address.partition("%")[0])
    return AF_INET, inet_pton(AF_INET, address)


@contextmanager
def borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A socket object for a moment; the descriptor stays open."""
    sock = socket.socket(fileno=descriptor)
    try:
        yield sock
    finally:
        sock.detach()


def fixed_local(sock: socket.socket) -> tuple[bytes, int] | None:
    """Packed address and port that every connection of a listener has at this end; None when they differ."""
    if sock.family == AF_UNIX:
        return b"", 0
    address, port = sock.getsockname()[:2]
    if address in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound
        return None
    return pack(address)[1], port


class Accepting:
    """Takes connections while their service has room.

    Args:
        epoch: number of this acceptor; ids of two acceptors never meet.
        poll: asked to look again at whether a service is to be polled.
        exhausted: told (errno) when the machine or this process is out of something.
        took: told how many connections were accepted at once.
    """

    def __init__(
        self,
        epoch: int,
        dispatch: Dispatch,
        timers: Timers,
        poll: Callable[[Service], None],
        exhausted: Callable[[Listener, OSError], None],
        took: Callable[[int], None],
    ) -> None:
        self._next_id = epoch << EPOCH_SHIFT
        self._dispatch = dispatch
        self._timers = timers
        self._poll = poll
        self._exhausted = exhausted
        self._took = took

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def accept(self, listener: Listener) -> None:
        """Accept what waits on a nowait listener, up to a batch and to the service's room."""
        service = listener.service
        batch: list[tuple[int, bytes, int]] = []
        for _ in range(min(listener.burst, self._dispatch.room(service))):
            try:
                descriptor, address = accept4(listener.sock)
            except BlockingIOError:
                listener.burst = 1
                break
            except OSError as error:
                if error.errno in _IGNORED:
                    continue
                self.back_off(listener, error)
                break
            batch.append(self.admit(listener, descriptor, address))
        else:
            listener.burst = min(MAX_BATCH, 2 * listener.burst)
        if batch:
            service.accepted += len(batch)
            self._took(len(batch))
            self._dispatch.send(service, batch)
        if self._dispatch.room(service) <= 0:
            self._poll(service)

    def admit(self, listener: Listener, descriptor: int, address: Any) -> tuple[int, bytes, int]:
        """Give a connection its id and count it among the children; returns what ``Dispatch.send`` takes."""
        self._next_id = id_ = self._next_id + 1
        peer, source, port = identify(listener, descriptor, address)
        listener.service.children[id_] = Child(id_, source, port)
        return id_, encode_connection(id_, peer), descriptor

    def back_off(self, listener: Listener, error: OSError) -> None:
        """EMFILE, ENFILE, ENOBUFS, ENOMEM: leave the queue to the kernel for a moment, else we would spin."""
        service = listener.service
        self._exhausted(listener, error)
        self._dispatch.retry_later(service, lambda: None)


def accept4(listener: socket.socket) -> tuple[int, Any]:
    """accept4(2) with SOCK_CLOEXEC: the descriptor and the peer's address.

    ``socket.accept`` is this call and then a socket object, which costs two system calls and is thrown away.
    """
    accepted: tuple[int, Any] = listener._accept()  # type: ignore[attr-defined]  # what accept() itself calls
    return accepted


def identify(listener: Listener, descriptor: int, address: Any) -> tuple[Peer, str, int]:
    """Who is at the other end: for the spawner, and as text and port for the log."""
    if listener.is_unix:
        with borrowed(descriptor) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, gid = _UCRED.unpack(credentials)
        return Peer(AF_UNIX, pid=pid, uid=uid, gid=gid), f"uid:{uid}", 0
    source = unmapped(address[0])
    family, remote = pack(source)
    local = listener.local
    if local is None:
        with borrowed(descriptor) as connection:
            host, local_port = connection.getsockname()[:2]
        local = pack(host)[1], local_port
    scope = address[3] if len(address) == 4 else 0
    peer = Peer(family, remote, address[1], local[0], local[1], scope, datagram=listener.datagram)
    return peer, source, address[1]
