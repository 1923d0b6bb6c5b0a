"""Parts of an acceptor put together as it does it, with both ends of every link in the test's hands."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import IO, Any

from attrs import define, field

from superd.acceptor.accept import Accepting, fixed_local
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.poller import Poller
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Listener, Service
from superd.acceptor.timers import Timers
from superd.log import Logger, Sink, SinkKind
from superd.policy.decision import Total
from superd.policy.engine import Engine
from superd.policy.rules import UNLIMITED, Access, Limits, ProxyProtocol
from superd.wire.codec import Direction
from superd.wire.fds import pair, receive_packet
from superd.wire.messages import MAX_CREDITS, Connections, Peer, ServiceSettings
from superd.wire.table import Role

_TO_SPAWNER = Direction.of(Role.ACCEPTOR, Role.SPAWNER)


def settings(mode: str = "nowait", **changed: Any) -> ServiceSettings:
    """What the master would tell of a service."""
    values: dict[str, Any] = {
        "name": "ftp",
        "mode": mode,
        "user": "ftp",
        "program": ("ftpd",),
        "exec_path": "",
        "listen": ("tcp://*:21",),
        "traits": ("nowait", "stream", "tcp"),
        "runtime_max_s": -1.0,
        "idle_timeout_s": -1.0,
        "timeout_stop_s": 10.0,
        "kill_signal": 15,
        "standard_error": "log",
    }
    return ServiceSettings(**{**values, **changed})


def engine() -> Engine:
    """One that admits everybody."""
    limits = Limits(max_connections=UNLIMITED, max_connections_per_source=UNLIMITED)
    return Engine(limits, Access(), ProxyProtocol(), Total())


@define(eq=False)
class Workshop:
    """One service, what accepts and sends its connections, and the spawners' end of its work link.

    Closed by ``with``.
    """

    mode: str = "nowait"
    credits: int = MAX_CREDITS
    timers: Timers = field(factory=Timers)
    wanted: int = 0  # spawners asked for
    lost: list[int] = field(factory=list)
    polls: int = 0
    exhausted: list[int] = field(factory=list)  # errnos
    log_file: IO[bytes] = field(factory=tempfile.TemporaryFile)
    service: Service = field(init=False)
    work: socket.socket = field(init=False)
    dispatch: Dispatch = field(init=False)
    accepting: Accepting = field(init=False)
    refusals: Refusals = field(init=False)
    crowded: list[OSError] = field(factory=list)
    poller: Poller = field(init=False)
    log: Logger = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.poller = Poller(self.crowded.append)
        ours, self.work = pair()
        self.service = Service(1, settings(self.mode), engine(), ours)
        descriptor = os.dup(self.log_file.fileno())
        self.log = Logger(Sink(SinkKind.FILE, descriptor), lambda: 0.0, immediate=True)
        self.refusals = Refusals(self.log)
        self.dispatch = Dispatch(self.credits, self.timers, self._want, self._lose, self._poll)
        self.accepting = Accepting(
            1,
            self.dispatch,
            self.timers,
            self.poller,
            self.refusals,
            self._poll,
            self._exhaust,
            lambda _: None,
        )

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispatch.drop_parked(self.service)
        for listener in self.service.listeners.values():
            listener.sock.close()
        for spawner in self.service.spawners.values():
            spawner.link.close()
        if self.service.work is not None:
            self.service.work.close()
        self.work.close()
        self.log.close()
        self.log_file.close()

    def _want(self, _: Service) -> None:
        self.wanted += 1

    def _lose(self, _: Service, ids: list[int]) -> None:
        self.lost += ids

    def _poll(self, _: Service) -> None:
        self.polls += 1

    def _exhaust(self, _: Listener, error: OSError) -> None:
        self.exhausted.append(error.errno or 0)

    def listen(self, sock: socket.socket) -> Listener:
        """The service accepts from ``sock`` too."""
        position = len(self.service.listeners)
        sock.setblocking(False)
        is_unix = sock.family == socket.AF_UNIX
        listener = Listener(
            self.service, position, "tcp://*:21", sock, False, fixed_local(sock), is_unix=is_unix
        )
        self.service.listeners[position] = listener
        return listener

    def receive(self) -> list[tuple[int, Peer, int]]:
        """One batch as a spawner gets it: id, peer, descriptor each."""
        payload, descriptors = receive_packet(self.work)
        message: Connections = _TO_SPAWNER.decode(payload[1:], len(descriptors))
        return [
            (id_, peer, descriptor)
            for (id_, peer), descriptor in zip(message.batch, descriptors, strict=True)
        ]

    def logged(self) -> str:
        self.log.flush()
        self.log_file.seek(0)
        return self.log_file.read().decode()
