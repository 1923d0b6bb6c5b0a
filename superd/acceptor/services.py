"""What the acceptor knows: services, their listeners, spawners and children. Plain state; others act on it."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from attrs import Factory, define, field

from superd.acceptor.timers import Timer
from superd.config.model import Mode
from superd.policy.engine import Engine
from superd.policy.outcome import Outcome
from superd.wire.fds import Link
from superd.wire.messages import Peer, ServiceSettings


class State(StrEnum):
    """A service in one word, as ``superctl status`` shows it."""

    LISTENING = "listening"  # ready for the first connection
    RUNNING = "running"  # children, or its instance, run
    RETRYING = "retrying"  # backed off after a failure; tried again by itself
    PARTIAL = "partial"  # some of its listeners could not be opened; tried again by itself
    FAULTY = "faulty"  # off, because of a fault that is named
    DISABLED = "disabled"  # off, because the configuration says so


@define(eq=False)
class Listener:
    """One listening socket.

    Args:
        position: its place in ``listen``, which an instance's spawner knows it by.
        local: packed address and port when the socket is bound to one address; None for a wildcard, whose
            connections must be asked.
        polled: whether the poller watches it now.
        burst: how many connections to try for at once. It doubles while they come and falls back to one, so
            that an idle service does not pay for asking in vain, which costs more than a connection.
    """

    service: Service
    position: int
    name: str
    sock: socket.socket
    datagram: bool
    local: tuple[bytes, int] | None
    polled: bool = False
    is_unix: bool = False
    burst: int = 1


@define(eq=False)
class Child:
    """A connection on its way, or the child that serves it; an instance has no peer."""

    id: int
    source: str
    port: int
    pid: int = 0
    ending: str = ""  # the Outcome that superd itself caused: timed-out or stopped
    timer: Timer | None = None
    spawner: int = 0
    known: bool = False  # told by a spawner after this acceptor took over from another


class Arrival(NamedTuple):
    """A connection that was just admitted.

    Args:
        id: names it until it ended.
        descriptor: of its socket, which blocks; whoever takes the arrival closes it.
        source, port: who is there, as text and port.
    """

    listener: Listener
    id: int
    descriptor: int
    peer: Peer
    source: str
    port: int


class Served(Protocol):
    """A connection that this process serves by itself."""

    def end(self, why: Outcome) -> None:
        """End it, and take it out of its service's ``served``."""


@define(eq=False)
class SpawnerLink:
    """A spawner, seen from here."""

    number: int
    pid: int
    link: Link
    retiring: bool = False
    welcomed: bool = False  # it answers this acceptor, and not an earlier one
    told: bool = False  # and has said all it knew
    logged: int = 0  # number of the last report in the log
    acknowledged: int = 0  # number of the last report that the spawner knows to be logged
    pinged: int = 0
    ponged: int = 0
    pinged_at: float = 0.0
    idle_since: float = 0.0

    def tell(self, message: object) -> bool:
        """Say something to it; False when it is gone, which the master will tell, with the reason."""
        try:
            self.link.post(message)
        except OSError:
            return False
        return True


@define(eq=False)
class Service:
    """A service, seen from here.

    Args:
        sent: ids of connections sent and not yet acknowledged with a pid, in order; its length is the credit
            in use.
        parked: connections accepted that the kernel would not carry yet (id, encoded peer, descriptor).
        server: what serves its connections in this process; None: they go to its spawner.
        served: those connections, by id.
        hears: what reads its UDP listeners in this process; None: each peer gets a child.
        newcomers: peers of UDP listeners whose own sockets are under way, and connections whose PROXY header is;
            they take room as if sent.
        unjudged: the latter alone, which the engine does not count yet.
        retry: what it waits for after a failure: not polled until then.
        trouble: what that failure was.
        engine: decides who is admitted.
        unheard: spawners that an earlier acceptor left and that have yet to say whom they serve: until then nobody's
            connections are counted right.
        unready: why nobody can be judged yet (its names are being looked up); empty: nothing is in the way.
        pressed: how often of late its spawner was behind when it answered; negative after one could not be had.
        crowded: what its engine waits for while it leaves excess to the kernel.
    """

    id: int
    settings: ServiceSettings
    engine: Engine
    work: socket.socket | None = None
    listeners: dict[int, Listener] = field(factory=dict)
    broken: dict[int, tuple[str, str]] = field(factory=dict)
    spawners: dict[int, SpawnerLink] = field(factory=dict)
    children: dict[int, Child] = field(factory=dict)
    server: Callable[[Arrival], None] | None = None
    served: dict[int, Served] = field(factory=dict)
    hears: Callable[[Listener], None] | None = None
    sent: dict[int, None] = field(factory=dict)
    suspect: dict[int, None] = field(factory=dict)
    parked: list[tuple[int, bytes, int]] = Factory(list)
    newcomers: int = 0
    unjudged: int = 0
    retry: Timer | None = None
    trouble: str = ""
    failures: int = 0
    asked_for_spawner: bool = False
    instance: int = 0  # id of the child that is the instance; 0: none
    retired: bool = False
    fault: str = ""
    unready: str = ""
    unheard: set[int] = field(factory=set)
    crowded: Timer | None = None
    pressed: int = 0
    banner_denied: bytes = b""
    banner_limited: bytes = b""
    banner: bytes = b""
    quotes: tuple[bytes, ...] = ()
    accepted: int = 0
    refused: Counter[str] = field(factory=Counter)

    @property
    def has_instance(self) -> bool:
        """Whether its program is started once, and not for each connection."""
        return not self.is_nowait or bool(self.settings.forward and self.settings.program)

    @property
    def is_nowait(self) -> bool:
        return self.settings.mode == Mode.NOWAIT

    @property
    def spawner(self) -> SpawnerLink | None:
        """The one that takes new work."""
        return next((spawner for spawner in self.spawners.values() if not spawner.retiring), None)

    @property
    def active_spawners(self) -> int:
        """How many take new work."""
        return sum(not spawner.retiring for spawner in self.spawners.values())

    @property
    def state(self) -> State:
        if self.fault:
            return State.DISABLED if self.fault == "disabled" else State.FAULTY
        if self.retry is not None:
            return State.RETRYING
        if self.broken:
            return State.PARTIAL if self.listeners else State.RETRYING
        return State.RUNNING if self.children or self.served else State.LISTENING
