"""Accepting: batches of connections off a listener, each decided about, named and handed to dispatch."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, AddressFamily, inet_ntop, inet_pton
from time import monotonic_ns
from typing import Any

from superd.acceptor.dispatch import Dispatch
from superd.acceptor.headers import Announced, Headers
from superd.acceptor.poller import Poller
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Arrival, Child, Listener, Service
from superd.acceptor.timers import Timers
from superd.kernel import arrivals
from superd.policy.decision import UNIX, Client, Decision
from superd.policy.engine import Engine
from superd.policy.loops import answers_by_itself
from superd.policy.proxy_header import Header
from superd.policy.reason import Reason
from superd.wire.codec import encode_connection
from superd.wire.datagrams import MAX_DATAGRAM_BYTES
from superd.wire.messages import EPOCH_SHIFT, MAX_BATCH, Peer

BACK_OFF_S = 0.1
"""How long nothing is taken where the machine or this process is out of something."""

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
_MAPPED, _MAPPED_PREFIX = "::ffff:", 0xFFFF


def unmapped(address: str) -> str:
    """``192.0.2.1`` for ``::ffff:192.0.2.1``; every other address as it is."""
    return address[len(_MAPPED) :] if address.startswith(_MAPPED) and "." in address else address


def pack(address: str) -> tuple[int, bytes]:
    """Family and packed form of a numeric address (without scope), mapped ones unmapped."""
    address = unmapped(address)
    if ":" in address:
        return AF_INET6, inet_pton(AF_INET6, address.partition("%")[0])
    return AF_INET, inet_pton(AF_INET, address)


def send_at_once(descriptor: int, text: bytes) -> None:
    """Send as much of a text as the kernel takes without waiting: a new connection has room for a banner."""
    with borrowed(descriptor) as connection:
        try:
            connection.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass  # the client has gone, as whoever serves it will see


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
    """Takes connections while their service has room, and lets the policy decide about each.

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
        poller: Poller,
        refusals: Refusals,
        poll: Callable[[Service], None],
        exhausted: Callable[[Listener, OSError], None],
        took: Callable[[int], None],
    ) -> None:
        self._next_id = epoch << EPOCH_SHIFT
        self._dispatch = dispatch
        self._refusals = refusals
        self._poll = poll
        self._exhausted = exhausted
        self._took = took
        self._headers = Headers(
            poller, timers, self._announced, self._ill_announced, lambda: max(1, dispatch.credits // 2)
        )

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def accept(self, listener: Listener) -> None:
        """Accept what waits on a nowait listener, up to a batch and to the service's room."""
        service = listener.service
        batch: list[tuple[int, bytes, int]] = []
        now = monotonic_ns()
        room = min(listener.burst, self._dispatch.room(service), service.engine.room(now) - service.unjudged)
        for _ in range(room):
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
            admitted = self._receive(listener, descriptor, address, now)
            if admitted is not None:
                batch.append(admitted)
        else:
            listener.burst = min(MAX_BATCH, 2 * listener.burst)
        if batch:
            self._took(len(batch))
            self._dispatch.send(service, batch)
        if self._dispatch.room(service) <= 0 or service.engine.queues:
            self._poll(service)

    def _receive(
        self, listener: Listener, descriptor: int, address: Any, now: int
    ) -> tuple[int, bytes, int] | None:
        """Decide about one connection; returns what ``Dispatch.send`` takes of one that goes to a child now."""
        peer, source, port = identify(listener, descriptor, address)
        client = client_of(self.new_id(), peer)
        if not listener.is_unix and listener.service.engine.expects_header(client.version, client.value):
            return self._expect_header(listener, descriptor, peer, source, port)
        return self._decide(listener, descriptor, client, peer, source, port, now)

    def _decide(
        self,
        listener: Listener,
        descriptor: int,
        client: Client,
        peer: Peer,
        source: str,
        port: int,
        now: int,
    ) -> tuple[int, bytes, int] | None:
        decision = listener.service.engine.offer(client, now)
        if decision.reason is not None:
            self._refusals.refuse(listener, descriptor, source, port, decision)
            return None
        return self._admit(Arrival(listener, client.id, descriptor, peer, source, port))

    def _admit(self, arrival: Arrival) -> tuple[int, bytes, int] | None:
        """Greet who is admitted; returns what ``Dispatch.send`` takes of one that goes to a child."""
        service = arrival.listener.service
        if service.banner:
            send_at_once(arrival.descriptor, service.banner)
        if service.server is not None:
            service.accepted += 1
            service.server(arrival)
            return None
        return self.enter(service, arrival.id, arrival.descriptor, arrival.peer, arrival.source, arrival.port)

    def take(self, arrival: Arrival, greeting: bytes) -> bool:
        """Take a connection that came another way than through a listener of its service, which decides about it.

        Args:
            greeting: sent to who is admitted.

        Returns:
            Whether it is admitted; if not, its descriptor is still the caller's.
        """
        service = arrival.listener.service
        decision = service.engine.offer(client_of(arrival.id, arrival.peer), monotonic_ns())
        if decision.reason is not None:
            self._refusals.note(service, arrival.source, arrival.port, decision)
            return False
        if greeting:
            send_at_once(arrival.descriptor, greeting)
        admitted = self._admit(arrival)
        if admitted is not None:
            self._dispatch.send(service, [admitted])
        return True

    @staticmethod
    def enter(
        service: Service, id_: int, descriptor: int, peer: Peer, source: str, port: int
    ) -> tuple[int, bytes, int]:
        """Count an admitted connection among the children; returns what ``Dispatch.send`` takes."""
        service.accepted += 1
        service.children[id_] = Child(id_, source, port)
        return id_, encode_connection(id_, peer), descriptor

    def heard(self, listener: Listener) -> Iterator[arrivals.Arrival]:
        """What a UDP listener has heard that is served in this process, up to a batch."""
        for _ in range(MAX_BATCH):
            try:
                arrival = arrivals.receive(listener.sock, MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self.back_off(listener, error)
                return
            yield arrival

    # --- PROXY headers ---

    def _expect_header(
        self, listener: Listener, descriptor: int, peer: Peer, source: str, port: int
    ) -> tuple[int, bytes, int] | None:
        """Access is asked of the proxy first, and of the client it names afterwards."""
        engine = listener.service.engine
        decision = engine.ask_access(client_of(0, peer))
        if decision.reason is not None:
            engine.refuse(decision.reason, monotonic_ns())
            self._refusals.refuse(listener, descriptor, source, port, decision)
            return None
        sock = socket.socket(listener.sock.family, SOCK_STREAM, 0, fileno=descriptor)
        sock.setblocking(False)
        self._headers.expect(Announced(listener, sock, peer, source, port))
        return None

    def _announced(self, announced: Announced, header: Header) -> None:
        """A header is read: from now on its client counts, not the proxy."""
        listener, descriptor = announced.listener, announced.sock.detach()
        os.set_blocking(descriptor, True)
        peer, source, port = announced.peer, announced.source, announced.port
        if not header.local:
            peer, source, port = _named_by(header)
        client = client_of(self.new_id(), peer)
        admitted = self._decide(listener, descriptor, client, peer, source, port, monotonic_ns())
        if admitted is not None:
            self._dispatch.send(listener.service, [admitted])
        self._poll(listener.service)

    def _ill_announced(self, announced: Announced, problem: str) -> None:
        listener = announced.listener
        refused = listener.service.engine.refuse(Reason.PROXY_HEADER, monotonic_ns())
        decision = Decision(refused.reason, problem)
        self._refusals.refuse(listener, announced.sock.detach(), announced.source, announced.port, decision)
        self._poll(listener.service)

    def forget(self, listener: Listener) -> None:
        """A listener is closed: connections without a header yet go with it."""
        self._headers.forget(listener)

    def back_off(self, listener: Listener, error: OSError) -> None:
        """EMFILE, ENFILE, ENOBUFS, ENOMEM: leave the queue to the kernel for a moment, else we would spin."""
        self._exhausted(listener, error)
        self._dispatch.pause(listener.service, BACK_OFF_S, "its listener could not be read")


def _named_by(header: Header) -> tuple[Peer, str, int]:
    """The client that a header names; the local address is the one it connected to at the proxy."""
    peer = Peer(header.family, header.source, header.source_port, header.destination, header.destination_port)
    return peer, inet_ntop(AddressFamily(header.family), header.source), header.source_port


def judge_datagram(
    judge: Callable[[Client, int], Decision], engine: Engine, id_: int, address: tuple[Any, ...]
) -> Decision:
    """What the policy says of the first datagram of a peer.

    Args:
        judge: ``offer`` or ``glance`` of the engine.
        address: as recvfrom(2) gave it.
    """
    now = monotonic_ns()
    if answers_by_itself(address[1]):
        return engine.refuse(Reason.LOOP, now)
    family, packed = pack(address[0])
    return judge(Client(id_, 4 if family == AF_INET else 6, int.from_bytes(packed)), now)


def client_of(id_: int, peer: Peer) -> Client:
    """A peer as the policy sees it."""
    if peer.family == AF_UNIX:
        return Client(id_, UNIX, peer.uid)
    version, value = 4 if peer.family == AF_INET else 6, int.from_bytes(peer.remote)
    if version == 6 and value >> 32 == _MAPPED_PREFIX:  # of a PROXY header whose two ends differ in that
        version, value = 4, value & 0xFFFF_FFFF
    return Client(id_, version, value, peer.local, peer.local_port)


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
