"""``forward``: connections that superd itself carries to a backend, without a process and without a privilege.

A connection is admitted like any other. Its backend is connected to while its first bytes wait in the kernel, and
then a pump carries both ways until both have ended. Whatever happens to it is its own affair: one line of the log
when the backend is reached, one when it ends, with the bytes of both ways.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from time import monotonic_ns

import trio

from superd.acceptor.backends import Address, Backends
from superd.acceptor.connecting import Connecting
from superd.acceptor.pipes import Pipes
from superd.acceptor.poller import Poller
from superd.acceptor.pump import BACKEND, CLIENT, Pump
from superd.acceptor.services import Arrival, Service
from superd.acceptor.timers import Timer, Timers
from superd.log import EventName, Forwarded, ForwardEnd, Level, Logger
from superd.policy.outcome import Outcome
from superd.policy.proxy_header_out import encode_header
from superd.wire.messages import Peer

CONNECT_S = 5.0
"""How long a backend may take to accept, tried again and again while it starts …"""

START_S = 30.0
"""… and one that superd starts itself."""


class Forwards:
    """Carries every forwarded connection.

    Args:
        backends: knows the addresses of targets.
        pipes: lends what bytes are carried through.
        demand: has the backend of a service started, where superd does that; says whether it runs.
        left: told of a service when a connection of it has ended.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        poller: Poller,
        backends: Backends,
        pipes: Pipes,
        demand: Callable[[Service], bool],
        left: Callable[[Service], None],
    ) -> None:
        self.log = log
        self.timers = timers
        self.poller = poller
        self.backends = backends
        self.pipes = pipes
        self.demand = demand
        self.left = left

    def admit(self, arrival: Arrival) -> None:
        """Carry a connection from now on."""
        forward = Forward(self, arrival)
        arrival.listener.service.served[arrival.id] = forward
        forward.connect()


class Forward:
    """One connection, from its admission to its end."""

    __slots__ = (
        "_began",
        "_client",
        "_connecting",
        "_forwards",
        "_id",
        "_idle",
        "_lifetime",
        "_peer",
        "_port",
        "_pump",
        "_service",
        "_source",
    )

    def __init__(self, forwards: Forwards, arrival: Arrival) -> None:
        listener = arrival.listener
        self._forwards = forwards
        self._service = listener.service
        self._id = arrival.id
        self._source = arrival.source
        self._port = arrival.port
        self._peer: Peer | None = arrival.peer
        self._client = socket.socket(listener.sock.family, socket.SOCK_STREAM, 0, arrival.descriptor)
        self._client.setblocking(False)
        self._began = trio.current_time()
        self._connecting: Connecting | None = None
        self._pump: Pump | None = None
        self._idle: Timer | None = None
        self._lifetime: Timer | None = None

    # --- connecting ---

    def connect(self) -> None:
        """Look for the backend."""
        forwards, service = self._forwards, self._service
        self._connecting = Connecting(
            service.settings.forward,
            START_S if service.settings.program else CONNECT_S,
            forwards.poller,
            forwards.timers,
            forwards.backends,
            self._reached,
            self._unreachable,
            lambda: forwards.demand(service),
        )
        self._connecting.start()

    def _unreachable(self, problem: str) -> None:
        self._connecting = None
        self._forwards.log.log(
            EventName.ERROR,
            Level.ERR,
            f"cannot reach {self._service.settings.forward}: {problem}",
            service=self._service.settings.name,
            source=self._source,
            outcome=Outcome.NEVER_STARTED.value,
        )
        self._client.close()
        self._leave(Outcome.NEVER_STARTED)

    def _reached(self, backend: socket.socket, address: Address, events: int) -> None:
        self._connecting = None
        name, id_ = self._service.settings.name, format(self._id, "x")
        self._forwards.log.forwarded(Forwarded(name, self._source, self._port, address.text, id_))
        if self._client.family != socket.AF_UNIX:
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pump = Pump(self._client, backend, self._forwards.poller, self._forwards.pipes, self._over)
        self._arm()
        if self._introduce(backend):
            self._pump.start(events)

    def _introduce(self, backend: socket.socket) -> bool:
        """Send the PROXY header, if the backend wants one; False when that was in vain."""
        peer, self._peer = self._peer, None
        version = self._service.engine.proxy_protocol.send
        if not version or peer is None:
            return True
        header = encode_header(
            version, peer.family, peer.remote, peer.remote_port, peer.local, peer.local_port
        )
        try:
            sent = backend.send(header)
        except OSError as error:
            self._over(BACKEND, error.errno or 0)
            return False
        if sent < len(header):  # a fresh socket has room for far more
            self._over(BACKEND, 0)
        return sent == len(header)

    # --- carrying ---

    def _arm(self) -> None:
        settings, timers = self._service.settings, self._forwards.timers
        if settings.idle_timeout_s >= 0:
            self._idle = timers.after(settings.idle_timeout_s, self._look_idle)
        if settings.runtime_max_s >= 0:
            left = self._began + settings.runtime_max_s - trio.current_time()
            self._lifetime = timers.after(max(0.0, left), lambda: self.end(Outcome.TIMED_OUT))

    def _look_idle(self) -> None:
        patience = self._service.settings.idle_timeout_s
        if self._pump is None or patience < 0:  # a reload may have lifted it
            self._idle = None
            return
        left = self._pump.active_at + patience - trio.current_time()
        if left > 0:
            self._idle = self._forwards.timers.after(left, self._look_idle)
        else:
            self.end(Outcome.IDLE)

    def _over(self, side: str, error: int) -> None:
        """Both ways are over, or one side broke: the other is told in the same way."""
        other = {CLIENT: BACKEND, BACKEND: CLIENT}.get(side, "")
        self._finish(Outcome.RESET if side else Outcome.CLEAN, side, error, other)

    def end(self, why: Outcome) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
            self._log_end(why, "", "", 0, 0)
            self._client.close()
            self._leave(why)
        else:
            self._finish(why, "", 0, "")

    def _finish(self, outcome: Outcome, by: str, error: int, reset: str) -> None:
        pump, self._pump = self._pump, None
        if pump is None:
            return
        self._log_end(outcome, by, os.strerror(error) if by else "", pump.up.moved, pump.down.moved)
        pump.close(reset=reset)
        self._leave(outcome)

    def _log_end(self, outcome: Outcome, by: str, why: str, received: int, sent: int) -> None:
        name, id_ = self._service.settings.name, format(self._id, "x")
        lasted_s = trio.current_time() - self._began
        self._forwards.log.forward_end(
            ForwardEnd(name, self._source, id_, outcome.value, by, why, received, sent, lasted_s)
        )

    def _leave(self, outcome: Outcome) -> None:
        for timer in (self._idle, self._lifetime):
            if timer is not None:
                timer.cancel()
        service = self._service
        del service.served[self._id]
        service.engine.ended(self._id, outcome, monotonic_ns())
        self._forwards.left(service)
