"""Drives conversations over connections: one callback for each event, no task and no buffer that grows.

What is heard is read only while nothing waits to be sent, so a client that does not read is not read from either, and
costs what it asked for once. Whoever is idle for ``idle_timeout``, or there for ``runtime_max``, is let go.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic_ns

import trio
from attrs import define

from superd.acceptor.builtins.conversations import Chargen, Conversation
from superd.acceptor.poller import Poller
from superd.acceptor.services import Arrival, Service
from superd.acceptor.timers import Timer, Timers
from superd.log import Connection, End, Logger
from superd.policy.outcome import Outcome

READ_BYTES = 16 * 1024
_NOTHING = memoryview(b"")

NO_PID = 0
"""In the log: nothing was started."""


@define(eq=False)
class Talk:
    """One connection and the conversation on it.

    Args:
        pending: what is said and not yet sent.
        has_ended: the client says nothing more.
        moved_at: when anything was last heard or sent.
        ways: what the poller looks for: that it can be read, and written.
    """

    streams: Streams
    service: Service
    id: int
    sock: socket.socket
    source: str
    conversation: Conversation
    began: float
    moved_at: float
    pending: memoryview = _NOTHING
    has_ended: bool = False
    ways: tuple[bool, bool] = (True, False)
    timer: Timer | None = None

    @property
    def listens(self) -> bool:
        return not self.has_ended and (not self.pending or self.conversation.goes_on)

    def end(self, why: Outcome) -> None:
        """Let the client go."""
        self.streams.end(self, why)


class Streams:
    """Serves connections.

    Args:
        ended: told of a service that serves one connection less.
    """

    def __init__(self, log: Logger, timers: Timers, poller: Poller, ended: Callable[[Service], None]) -> None:
        self._log = log
        self._timers = timers
        self._poller = poller
        self._ended = ended

    def begin(self, arrival: Arrival, sock: socket.socket, conversation: Conversation) -> None:
        """Serve a connection that was admitted."""
        service, now = arrival.listener.service, trio.current_time()
        sock.setblocking(False)
        talk = Talk(self, service, arrival.id, sock, arrival.source, conversation, now, now)
        service.served[talk.id] = talk
        self.log_begin(arrival)
        self._poller.watch(sock.fileno(), lambda: self._ready(talk))
        self._arm(talk)
        self._speak(talk)

    def log_begin(self, arrival: Arrival) -> None:
        """Say that a connection is served."""
        name = arrival.listener.service.settings.name
        self._log.connection(Connection(name, arrival.source, arrival.port, NO_PID, format(arrival.id, "x")))

    # --- hearing and speaking ---

    def _ready(self, talk: Talk) -> None:
        if talk.listens:
            try:
                data = talk.sock.recv(READ_BYTES)
            except BlockingIOError:
                pass  # it was room to send that there was
            except OSError:
                talk.end(Outcome.RESET)
                return
            else:
                self._hear(talk, data)
        self._speak(talk)

    @staticmethod
    def _hear(talk: Talk, data: bytes) -> None:
        if data:
            talk.moved_at = trio.current_time()
            said = talk.conversation.heard(data)
            if said:
                talk.pending = memoryview(said)
        else:
            talk.has_ended = True
            talk.conversation.heard_end()

    def _speak(self, talk: Talk) -> None:
        conversation = talk.conversation
        pending = talk.pending or memoryview(conversation.more())
        if pending:
            try:
                count = talk.sock.send(pending, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                count = 0
            except OSError:
                talk.end(Outcome.RESET)
                return
            if count:
                talk.moved_at = trio.current_time()
            if isinstance(conversation, Chargen):
                conversation.sent(count)  # what was not taken need not be kept
            else:
                talk.pending = pending[count:]
        if conversation.is_over and not talk.pending:
            talk.end(Outcome.FAILED if conversation.failed else Outcome.CLEAN)
        else:
            self._watch(talk, (talk.listens, bool(talk.pending) or conversation.goes_on))

    def _watch(self, talk: Talk, ways: tuple[bool, bool]) -> None:
        if ways != talk.ways:
            talk.ways = ways
            self._poller.watch_ways(talk.sock.fileno(), reading=ways[0], writing=ways[1])

    # --- patience ---

    def _arm(self, talk: Talk) -> None:
        settings, now = talk.service.settings, trio.current_time()
        left = []
        if settings.idle_timeout_s >= 0:
            left.append(talk.moved_at + settings.idle_timeout_s - now)
        if settings.runtime_max_s >= 0:
            left.append(talk.began + settings.runtime_max_s - now)
        if left:
            talk.timer = self._timers.after(max(0.0, min(left)), lambda: self._look(talk))

    def _look(self, talk: Talk) -> None:
        settings, now = talk.service.settings, trio.current_time()
        if 0 <= settings.runtime_max_s <= now - talk.began:
            talk.end(Outcome.TIMED_OUT)
        elif 0 <= settings.idle_timeout_s <= now - talk.moved_at:
            talk.end(Outcome.IDLE)
        else:
            self._arm(talk)

    # --- the end ---

    def end(self, talk: Talk, why: Outcome) -> None:
        """Let a client go, unless it has gone."""
        if talk.id not in talk.service.served:
            return
        if talk.timer is not None:
            talk.timer.cancel()
        self._poller.forget(talk.sock.fileno())
        part(talk.sock)
        self.account(talk.service, talk.id, talk.source, talk.began, why)

    def account(self, service: Service, id_: int, source: str, began: float, why: Outcome) -> None:
        """A connection is over: it is counted no more, and logged."""
        del service.served[id_]
        lasted_s = trio.current_time() - began
        name = service.settings.name
        self._log.end(End(name, source, NO_PID, format(id_, "x"), why.value, 0, lasted_s, 0.0))
        service.engine.ended(id_, why, monotonic_ns())
        self._ended(service)


def part(sock: socket.socket) -> None:
    """Close a connection. What the client has sent is read, or closing would be a reset, which overtakes what was
    said last."""
    try:
        sock.shutdown(socket.SHUT_WR)
        sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
    except OSError:
        pass  # it has gone, or sends nothing
    sock.close()
