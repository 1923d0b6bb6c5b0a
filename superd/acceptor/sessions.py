"""``forward`` of datagrams: a session for each client, which is an address and a port.

A session has a socket of its own, connected to the backend, so whatever the backend says to that socket is for that
client alone. Answers leave through the listener, from the address that the client asked. A session ends when nothing
was said for ``idle_timeout``; the policy bounds how many there are. What cannot be sent at once is dropped, as a
network would.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import trio

from superd.acceptor.accept import Accepting, judge_datagram, unmapped
from superd.acceptor.backends import Address, Backends
from superd.acceptor.poller import Poller
from superd.acceptor.pump import BACKEND
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Listener, Service
from superd.acceptor.timers import Timer, Timers
from superd.kernel.arrivals import Arrival
from superd.log import EventName, Forwarded, ForwardEnd, Level, Logger
from superd.policy.decision import Decision
from superd.policy.outcome import Outcome
from superd.wire.datagrams import MAX_DATAGRAM_BYTES
from superd.wire.messages import MAX_BATCH

_DROPPED = frozenset(
    {
        errno.EAGAIN,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EMSGSIZE,  # it is longer than the way to the backend takes
        errno.EPERM,  # a firewall rule forbids it
    }
)
"""send(2): one datagram is lost, as a network would lose it. Everything else ends its session."""

Key = tuple[Listener, Any]


class Sessions:
    """Carries the datagrams of every forward.

    Args:
        accepting: names sessions.
        left: told of a service when a session of it has ended.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        poller: Poller,
        backends: Backends,
        accepting: Accepting,
        refusals: Refusals,
        left: Callable[[Service], None],
    ) -> None:
        self.log = log
        self.timers = timers
        self.poller = poller
        self.left = left
        self.open: dict[Key, Session] = {}
        self._backends = backends
        self._accepting = accepting
        self._refusals = refusals

    def hear(self, listener: Listener) -> None:
        """Take what a listener has heard, up to a batch."""
        for arrival in self._accepting.heard(listener):
            address = arrival.source
            session = self.open.get((listener, address)) or self._begin(listener, address)
            if session is not None:
                session.pass_on(arrival)

    def _begin(self, listener: Listener, address: Any) -> Session | None:
        """A session for a new client, if the policy admits it and the backend has an address."""
        service, id_ = listener.service, self._accepting.new_id()
        decision: Decision = judge_datagram(service.engine.offer, service.engine, id_, address)
        if decision.reason is not None:
            self._refusals.note(service, unmapped(address[0]), address[1], decision)
            return None
        service.accepted += 1
        target = service.settings.forward
        sock, problem = None, self._backends.problem(target)
        for backend in self._backends.addresses(target):
            sock, problem = _connected(backend)
            if sock is not None:
                return self._opened(listener, address, id_, sock, backend)
        self._fail(service, id_, unmapped(address[0]), problem)
        return None

    def _opened(
        self, listener: Listener, address: Any, id_: int, sock: socket.socket, backend: Address
    ) -> Session:
        service = listener.service
        session = self.open[listener, address] = Session(self, listener, address, id_, sock)
        service.served[id_] = session
        name, source = service.settings.name, unmapped(address[0])
        self.log.forwarded(Forwarded(name, source, address[1], backend.text, format(id_, "x")))
        return session

    def _fail(self, service: Service, id_: int, source: str, problem: str) -> None:
        self._backends.renew(service.settings.forward)
        self.log.log(
            EventName.ERROR,
            Level.ERR,
            f"cannot reach {service.settings.forward}: {problem}",
            service=service.settings.name,
            source=source,
            outcome=Outcome.NEVER_STARTED.value,
        )
        service.engine.ended(id_, Outcome.NEVER_STARTED, monotonic_ns())


def _connected(address: Address) -> tuple[socket.socket | None, str]:
    """A socket that hears one address alone; or what is in the way."""
    try:
        sock = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return None, os.strerror(error.errno or 0)
    problem = sock.connect_ex(address.where)
    if problem:
        sock.close()
        return None, os.strerror(problem)
    return sock, ""


class Session:
    """One client and the socket that stands for it towards the backend."""

    __slots__ = (
        "_active_at",
        "_address",
        "_answer_from",
        "_began",
        "_id",
        "_idle",
        "_lifetime",
        "_listener",
        "_received",
        "_sent",
        "_sessions",
        "_sock",
    )

    def __init__(
        self, sessions: Sessions, listener: Listener, address: Any, id_: int, sock: socket.socket
    ) -> None:
        self._sessions = sessions
        self._listener = listener
        self._address = address
        self._id = id_
        self._sock = sock
        self._began = self._active_at = trio.current_time()
        self._received = self._sent = 0
        self._answer_from: tuple[tuple[int, int, bytes], ...] = ()
        settings, timers = listener.service.settings, sessions.timers
        self._idle: Timer | None = None
        self._lifetime: Timer | None = None
        if settings.idle_timeout_s >= 0:
            self._idle = timers.after(settings.idle_timeout_s, self._look_idle)
        if settings.runtime_max_s >= 0:
            self._lifetime = timers.after(settings.runtime_max_s, lambda: self.end(Outcome.TIMED_OUT))
        sessions.poller.watch(sock.fileno(), self._answered)

    def pass_on(self, arrival: Arrival) -> None:
        """Send a datagram of the client to the backend."""
        self._active_at = trio.current_time()
        self._answer_from = arrival.answer_from
        self._received += len(arrival.payload)
        try:
            self._sock.send(arrival.payload)
        except OSError as error:
            if error.errno not in _DROPPED:
                self._broke(error)

    def _answered(self) -> None:
        """Send what the backend has said to the client, up to a batch."""
        self._active_at = trio.current_time()
        for _ in range(MAX_BATCH):
            try:
                payload = self._sock.recv(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError as error:  # ICMP told that nobody listens there
                self._broke(error)
                return
            if (
                self._listener.sock.fileno() < 0
            ):  # the listener is closed, so nothing can be said to the client
                self.end(Outcome.STOPPED)
                return
            self._answer(payload)

    def _answer(self, payload: bytes) -> None:
        try:
            self._listener.sock.sendmsg([payload], self._answer_from, 0, self._address)
            self._sent += len(payload)
        except OSError:
            pass  # it does not fit, or the client is gone: dropped, as a network would

    def _look_idle(self) -> None:
        patience = self._listener.service.settings.idle_timeout_s
        left = self._active_at + patience - trio.current_time()
        if patience >= 0 and left <= 0:
            self.end(Outcome.IDLE)
        elif patience >= 0:
            self._idle = self._sessions.timers.after(left, self._look_idle)

    def _broke(self, error: OSError) -> None:
        self.end(Outcome.RESET, by=BACKEND, error=os.strerror(error.errno or 0))

    def end(self, why: Outcome, by: str = "", error: str = "") -> None:
        sessions, service = self._sessions, self._listener.service
        if sessions.open.pop((self._listener, self._address), None) is None:
            return
        for timer in (self._idle, self._lifetime):
            if timer is not None:
                timer.cancel()
        sessions.poller.forget(self._sock.fileno())
        self._sock.close()
        name, source, id_ = service.settings.name, unmapped(self._address[0]), format(self._id, "x")
        lasted_s = trio.current_time() - self._began
        sessions.log.forward_end(
            ForwardEnd(name, source, id_, why.value, by, error, self._received, self._sent, lasted_s)
        )
        del service.served[self._id]
        service.engine.ended(self._id, why, monotonic_ns())
        sessions.left(service)
