"""The builtins of all services: each connection and each datagram to the one that its service names."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterable

from superd.acceptor.accept import Accepting
from superd.acceptor.builtins.answers import Answer, Answers, cut, echoed, unanswered
from superd.acceptor.builtins.conversations import Chargen, Conversation, Echo, Once
from superd.acceptor.builtins.ident import Ident, Lookup, login_name
from superd.acceptor.builtins.streams import Streams
from superd.acceptor.builtins.tcpmux import Tcpmux
from superd.acceptor.builtins.texts import PATTERN, daytime, seconds_since_1900
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.poller import Poller
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Arrival, Service
from superd.acceptor.timers import Timers
from superd.config.model import Builtin
from superd.config.quotes import MAX_QUOTE_BYTES
from superd.kernel.sockdiag import tcp_owner
from superd.log import Logger
from superd.policy.outcome import Outcome

Clock = Callable[[], float]


class Builtins:
    """Serves what superd has in itself.

    Args:
        clock: wall clock, seconds since the epoch.
        services: all of them.
        ended: told of a service that serves one connection less.
    """

    def __init__(
        self,
        log: Logger,
        clock: Clock,
        timers: Timers,
        poller: Poller,
        dispatch: Dispatch,
        accepting: Accepting,
        refusals: Refusals,
        services: Callable[[], Iterable[Service]],
        ended: Callable[[Service], None],
    ) -> None:
        self._clock = clock
        self._streams = Streams(log, timers, poller, ended)
        self._tcpmux = Tcpmux(timers, poller, dispatch, accepting, self._streams, services)
        self._answers = Answers(accepting, refusals, services, lambda service: answer_of(service, clock()))
        self.read = self._answers.read

    def admit(self, arrival: Arrival) -> None:
        """Serve a connection."""
        service = arrival.listener.service
        sock = socket.socket(arrival.listener.sock.family, socket.SOCK_STREAM, 0, arrival.descriptor)
        if service.settings.builtin == Builtin.TCPMUX:
            self._tcpmux.begin(arrival, sock)
        else:
            self._streams.begin(arrival, sock, conversation_of(service, sock, self._clock()))

    def attach(self, service: Service, builtin: str) -> None:
        """The service is that builtin from now on, or none."""
        if service.settings.builtin != builtin:
            self.leave(service)
        if builtin:
            service.server, service.hears = self.admit, self.read

    def leave(self, service: Service) -> None:
        """The service is no longer this builtin: whoever it serves is let go, since superd alone serves him."""
        if not service.settings.builtin:
            return
        service.server = service.hears = None
        for served in list(service.served.values()):
            served.end(Outcome.STOPPED)
        self._answers.forget(service)


def conversation_of(service: Service, sock: socket.socket, now: float) -> Conversation:
    """How a service talks to a new client.

    Args:
        now: seconds since the epoch.
    """
    match Builtin(service.settings.builtin):
        case Builtin.ECHO:
            return Echo()
        case Builtin.CHARGEN:
            return Chargen()
        case Builtin.DAYTIME:
            return Once(daytime(time.localtime(now)))
        case Builtin.TIME:
            return Once(seconds_since_1900(now))
        case Builtin.QOTD:
            return Once(_quote(service))
        case Builtin.IDENT:
            return Ident(_lookup(service.settings.ident_user, sock))
        case _:
            return Conversation()


def answer_of(service: Service, now: float) -> Answer:
    """How a service answers a datagram. The time is so short that no frame of a network is shorter (RFC 894)."""
    match Builtin(service.settings.builtin):
        case Builtin.ECHO:
            return echoed
        case Builtin.CHARGEN:
            return cut(PATTERN[:MAX_QUOTE_BYTES])
        case Builtin.DAYTIME:
            return cut(daytime(time.localtime(now)))
        case Builtin.TIME:
            return lambda _: seconds_since_1900(now)
        case Builtin.QOTD:
            return lambda question: cut(_quote(service))(question)
        case _:
            return unanswered


def _quote(service: Service) -> bytes:
    """Any of the quotes; none where their file could not be read any more."""
    return secrets.choice(service.quotes) if service.quotes else b""


def _lookup(fixed: str, sock: socket.socket) -> Lookup:
    """What ident looks up: the owner of a connection with the client itself, and of no other."""
    if fixed:
        return lambda _here, _there: fixed

    def look_up(here: int, there: int) -> str:
        uid = tcp_owner((sock.getsockname()[0], here), (sock.getpeername()[0], there))
        return "" if uid is None else login_name(uid)

    return look_up
