"""Connecting to a backend: each of its addresses in turn, again and again while it starts, until time is up.

Nothing waits: a connect(2) that is under way is watched by the poller, and what cannot be reached yet is tried again
after a while that doubles.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable

import trio

from superd.acceptor.backends import Address, Backends
from superd.acceptor.poller import Poller
from superd.acceptor.timers import Timer, Timers
from superd.kernel.sockopts import refuse_descriptors

FIRST_RETRY_S, LAST_RETRY_S = 0.05, 0.5
"""After every address failed, how long until all are tried again: doubling from the first to the last."""

LEAST_TRY_S = 1.0
"""What one of several addresses gets, however many there are."""

_PASSING = frozenset(
    {
        errno.ECONNREFUSED,  # it does not listen yet
        errno.ENOENT,  # its socket is not there yet
        errno.EAGAIN,  # its queue is full (unix), or this machine has no port left
        errno.EADDRNOTAVAIL,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.ENETDOWN,
    }
)
"""connect(2): what may be otherwise in a moment. Everything else is an answer."""

Reached = Callable[[socket.socket, Address, int], None]


class Connecting:
    """One attempt.

    Args:
        seconds: how long it may take in all.
        reached: given the connected socket, which the poller watches, the address, and what the poller told of it.
        failed: told what was in the way.
        is_ready: asked before the addresses are tried, each time: False while the backend is known not to run.
    """

    __slots__ = (
        "_addresses",
        "_backends",
        "_deadline",
        "_failed",
        "_is_passing",
        "_is_ready",
        "_poller",
        "_problem",
        "_reached",
        "_retry_s",
        "_sock",
        "_target",
        "_timer",
        "_timers",
    )

    def __init__(
        self,
        target: str,
        seconds: float,
        poller: Poller,
        timers: Timers,
        backends: Backends,
        reached: Reached,
        failed: Callable[[str], None],
        is_ready: Callable[[], bool],
    ) -> None:
        self._target = target
        self._deadline = trio.current_time() + seconds
        self._poller = poller
        self._timers = timers
        self._backends = backends
        self._reached = reached
        self._failed = failed
        self._is_ready = is_ready
        self._addresses: list[Address] = []
        self._retry_s = FIRST_RETRY_S
        self._problem = "no answer"
        self._is_passing = True
        self._sock: socket.socket | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        """Try all addresses once."""
        self._timer = None
        if not self._is_ready():
            self._problem, self._is_passing = "it does not run", True
            self._exhausted()
            return
        self._addresses = self._backends.addresses(self._target)
        self._is_passing = not self._addresses
        if not self._addresses:
            self._problem = self._backends.problem(self._target)
        self._next()

    def cancel(self) -> None:
        """Give up; nobody is told."""
        self._stop_timer()
        if self._sock is not None:
            self._poller.forget(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _next(self) -> None:
        while self._addresses:
            address = self._addresses.pop(0)
            try:
                sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            except OSError as error:
                self._note(error.errno or errno.EIO)
                continue
            problem = _connect(sock, address)
            if problem in (0, errno.EINPROGRESS):
                self._await(sock, address)
                return
            sock.close()
            self._note(problem)
        self._exhausted()

    def _await(self, sock: socket.socket, address: Address) -> None:
        self._sock = sock
        left = self._deadline - trio.current_time()
        share = max(LEAST_TRY_S, left / (1 + len(self._addresses)))
        self._timer = self._timers.after(min(left, share), self._too_slow)
        self._poller.watch_edges(sock.fileno(), lambda events: self._told(sock, address, events))

    def _told(self, sock: socket.socket, address: Address, events: int) -> None:
        if not events & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP):
            return
        problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            self._drop(problem)
            return
        self._stop_timer()
        self._sock = None
        self._backends.reached(self._target, address)
        self._reached(sock, address, events)

    def _too_slow(self) -> None:
        self._timer = None
        self._drop(errno.ETIMEDOUT)

    def _drop(self, problem: int) -> None:
        """This address cannot be reached: the next."""
        self.cancel()
        self._note(problem)
        self._next()

    def _note(self, problem: int) -> None:
        self._problem = os.strerror(problem)
        self._is_passing = self._is_passing or problem in _PASSING

    def _exhausted(self) -> None:
        """No address could be reached: all of them again after a while, if that can help and there is time."""
        left = self._deadline - trio.current_time()
        if not self._is_passing or left <= self._retry_s:
            self._failed(self._problem)
            return
        self._backends.renew(self._target)
        self._timer = self._timers.after(self._retry_s, self.start)
        self._retry_s = min(LAST_RETRY_S, 2 * self._retry_s)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _connect(sock: socket.socket, address: Address) -> int:
    """connect(2), and before it what suits a relay: small pieces go out at once, a dead host is noticed, and a
    backend cannot make us close descriptors of its choice."""
    if address.family == socket.AF_UNIX:
        refuse_descriptors(sock)
    else:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock.connect_ex(address.where)
