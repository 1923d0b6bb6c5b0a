"""A child for each peer of a UDP listener: a new peer gets a socket of its own, connected to it.

A listener hears those who have no socket yet. A peer that is heard is a **newcomer** until its own socket is on its
way to the spawner like any connection:

1. The master is asked for a socket at the listener's address (kernel/peersockets.py says how they stand side by
   side). What the newcomer sends meanwhile waits here.
2. The socket comes, and is connected: from now on the kernel puts there what the newcomer sends. What the listener
   still holds of it is read.
3. The master puts all that was heard into the socket's queue.
4. When something is in it, the socket is dispatched. So no child is started for a datagram that was lost.

Newcomers take room as if they were sent; without room the listener is not read, and the kernel's queue holds the rest.
A peer whose child has ended is a newcomer again.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from time import monotonic_ns

from attrs import Factory, define

from superd.acceptor.accept import Accepting, identify, judge_datagram, unmapped
from superd.acceptor.dispatch import PARKED_RETRY_S, Dispatch
from superd.acceptor.poller import Poller
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Listener, Service
from superd.acceptor.timers import Timer, Timers
from superd.kernel.peersockets import claim
from superd.log import EventName, Level, Logger
from superd.policy.outcome import Outcome
from superd.wire.datagrams import MAX_DATAGRAM_BYTES, Deliver, PeerSocket, PeerSocketWanted
from superd.wire.fds import close_all
from superd.wire.messages import MAX_BATCH

MAX_WAITING = 16
"""Datagrams of one newcomer that wait for its socket …"""

MAX_WAITING_BYTES = 64 * 1024
"""… and their bytes, unless the first alone is longer."""

DELIVERY_S = 5.0
"""If nothing is in a newcomer's socket after that long, a firewall keeps what was heard from it."""

Address = tuple[str, int] | tuple[str, int, int, int]


@define(eq=False)
class Newcomer:
    """A peer between its first datagram and its dispatch.

    Args:
        waiting: its datagrams, while it has no socket.
        sock: its own, connected.
        timer: ends the wait for the first datagram in that socket.
    """

    listener: Listener
    address: Address
    id: int
    waiting: list[bytes] = Factory(list)
    waiting_bytes: int = 0
    sock: socket.socket | None = None
    timer: Timer | None = None


class Datagrams:
    """Reads UDP listeners and gets each newcomer its socket.

    Args:
        accepting: names connections.
        say: sends a message to the master, and closes its descriptors.
        poll: asked to look again at whether a service is to be polled.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        poller: Poller,
        dispatch: Dispatch,
        accepting: Accepting,
        refusals: Refusals,
        say: Callable[..., None],
        poll: Callable[[Service], None],
    ) -> None:
        self._log = log
        self._timers = timers
        self._poller = poller
        self._dispatch = dispatch
        self._accepting = accepting
        self._refusals = refusals
        self._say = say
        self._poll = poll
        self._newcomers: dict[Listener, dict[Address, Newcomer]] = {}
        self._asked: dict[
            tuple[int, int], deque[Newcomer]
        ] = {}  # by service and listener: who awaits a socket

    def read(self, listener: Listener) -> None:
        """Take what a listener has heard, up to a batch and to the service's room."""
        service = listener.service
        for _ in range(min(MAX_BATCH, self._dispatch.room(service))):
            try:
                if service.engine.queues and not self._has_room(listener):
                    break
                payload, address = listener.sock.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._accepting.back_off(listener, error)
                break
            self._heard(listener, address, payload)
        if self._dispatch.room(service) <= 0 or service.engine.queues:
            self._poll(service)

    def _has_room(self, listener: Listener) -> bool:
        """Whether what was heard first may be read: of a newcomer always, else its socket would come without it.

        Raises:
            OSError: as recvfrom(2).
        """
        _, address = listener.sock.recvfrom(1, socket.MSG_PEEK)
        service = listener.service
        return (
            address in self._newcomers.get(listener, {})
            or service.engine.room(monotonic_ns()) > service.unjudged
        )

    def _heard(self, listener: Listener, address: Address, payload: bytes) -> None:
        newcomer = self._newcomers.get(listener, {}).get(address) or self._welcome(listener, address)
        if newcomer is None:
            return
        if newcomer.sock is not None:
            self._deliver(newcomer, payload)
        elif _can_wait(newcomer, payload):
            newcomer.waiting.append(payload)
            newcomer.waiting_bytes += len(payload)
        else:
            self._warn(newcomer, "a datagram was dropped, too many came before their child")

    def _welcome(self, listener: Listener, address: Address) -> Newcomer | None:
        """A new peer, if the policy admits it; what the others sent is dropped."""
        service, id_ = listener.service, self._accepting.new_id()
        decision = judge_datagram(service.engine.offer, service.engine, id_, address)
        if decision.reason is not None:
            self._refusals.note(service, unmapped(address[0]), address[1], decision)
            return None
        newcomer = Newcomer(listener, address, id_)
        service.newcomers += 1
        self._newcomers.setdefault(listener, {})[address] = newcomer
        self._asked.setdefault((service.id, listener.position), deque()).append(newcomer)
        self._say(PeerSocketWanted(service.id, listener.position))
        return newcomer

    def answered(self, answer: PeerSocket, descriptors: list[int]) -> None:
        """The master opened a socket, or says why not. Those asked for first are answered first."""
        asked = self._asked.get((answer.service, answer.listener))
        if not asked:  # the listener that it was asked for is closed
            close_all(descriptors)
            return
        newcomer = asked.popleft()
        if descriptors:
            self._settle(newcomer, socket.socket(fileno=descriptors[0]))
        else:
            self._turn_away(newcomer, answer.reason)
            self._dispatch.retry_later(newcomer.listener.service, lambda: None)

    def _settle(self, newcomer: Newcomer, sock: socket.socket) -> None:
        """Connect a newcomer's socket, and have all that was heard delivered to it in the order in which it came."""
        try:
            claim(sock, newcomer.address)
        except OSError as error:
            sock.close()
            self._turn_away(newcomer, os.strerror(error.errno or errno.EIO))
            return
        self.read(newcomer.listener)
        newcomer.sock = sock
        for payload in newcomer.waiting:
            self._deliver(newcomer, payload)
        newcomer.waiting.clear()
        self._poller.watch(sock.fileno(), lambda: self._arrived(newcomer, sock))
        newcomer.timer = self._timers.after(
            DELIVERY_S, lambda: self._turn_away(newcomer, "what it sent could not be delivered")
        )

    def _deliver(self, newcomer: Newcomer, payload: bytes) -> None:
        assert newcomer.sock is not None  # noqa: S101  only who has a socket is delivered to
        try:
            descriptor = os.dup(newcomer.sock.fileno())
        except OSError as error:
            self._warn(newcomer, f"a datagram was dropped: {os.strerror(error.errno or errno.EMFILE)}")
            return
        self._say(Deliver(newcomer.listener.service.id, payload), (descriptor,))

    def _arrived(self, newcomer: Newcomer, sock: socket.socket) -> None:
        """There is something for its child to read: the newcomer is a connection now."""
        service = newcomer.listener.service
        if service.parked:
            self._wait_for_the_parked(newcomer, sock)
            return
        self._take_out(newcomer)
        descriptor = sock.detach()
        peer, source, port = identify(newcomer.listener, descriptor, newcomer.address)
        self._dispatch.send(
            service, [self._accepting.enter(service, newcomer.id, descriptor, peer, source, port)]
        )

    def _wait_for_the_parked(self, newcomer: Newcomer, sock: socket.socket) -> None:
        self._poller.forget(sock.fileno())
        if newcomer.timer is not None:
            newcomer.timer.cancel()
        newcomer.timer = self._timers.after(PARKED_RETRY_S, lambda: self._arrived(newcomer, sock))

    def _turn_away(self, newcomer: Newcomer, reason: str) -> None:
        self._warn(newcomer, f"no child for a peer: {reason}")
        self._give_up(newcomer)
        self._poll(newcomer.listener.service)

    def _give_up(self, newcomer: Newcomer) -> None:
        self._take_out(newcomer)
        newcomer.listener.service.engine.ended(newcomer.id, Outcome.NEVER_STARTED, monotonic_ns())
        if newcomer.sock is not None:
            newcomer.sock.close()

    def _take_out(self, newcomer: Newcomer) -> None:
        """It is a newcomer no more; its socket stays open."""
        newcomer.listener.service.newcomers -= 1
        del self._newcomers[newcomer.listener][newcomer.address]
        if newcomer.timer is not None:
            newcomer.timer.cancel()
        if newcomer.sock is not None:
            self._poller.forget(newcomer.sock.fileno())

    def forget(self, listener: Listener) -> None:
        """A listener is closed: its newcomers go with it."""
        self._asked.pop((listener.service.id, listener.position), None)
        for newcomer in list(self._newcomers.get(listener, {}).values()):
            self._give_up(newcomer)
        self._newcomers.pop(listener, None)

    def _warn(self, newcomer: Newcomer, text: str) -> None:
        """Say it, in the log that says what repeats itself by its number."""
        self._log.log(
            EventName.WARNING,
            Level.WARNING,
            text,
            service=newcomer.listener.service.settings.name,
            source=newcomer.address[0],
        )


def _can_wait(newcomer: Newcomer, payload: bytes) -> bool:
    if not newcomer.waiting:
        return True
    return len(newcomer.waiting) < MAX_WAITING and newcomer.waiting_bytes + len(payload) <= MAX_WAITING_BYTES
