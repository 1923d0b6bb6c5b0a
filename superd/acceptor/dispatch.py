"""Connections on their way to the spawner: batches, credits, and what the kernel would not carry.

A service may have at most so many connections sent and not yet acknowledged with a pid (the credits). Past
that its listeners are not polled, and the kernel's backlog holds the rest. So one spawner that stands still
stops its own service only: descriptors in flight are counted per user (unix(7), ETOOMANYREFS), and all of them
are ours.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import termios
from collections.abc import Callable

from superd.acceptor.backoff import delay
from superd.acceptor.services import Service
from superd.acceptor.timers import Timers
from superd.wire.codec import Direction, join_connections
from superd.wire.fds import close_all, send_packet
from superd.wire.messages import Connections
from superd.wire.table import Role

PARKED_RETRY_S = 0.05

ANSWER_S = 6.0
"""A spawner that has read a connection answers for it sooner, or does not answer its pings and is replaced."""

BEHIND = 3
"""So many under way for each spawner when one answers: they are behind."""

PRESSED = 100
"""So often behind (less the times that it was not), and a further spawner is worth its memory."""

PAUSE = 100_000
"""Answers until a further spawner is asked for again, after one could not be had or died."""

_KIND = bytes((Direction.of(Role.ACCEPTOR, Role.SPAWNER).by_message[Connections].kind,))
_CROWDED = frozenset({errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM})


class Dispatch:
    """Sends connections to spawners, and has spawners started.

    Args:
        credits: connections that each service may have under way.
        timers: for what must be tried again.
        want_spawner: asks the master for one.
        lost: told (service, ids) of connections that died with their spawner.
    """

    def __init__(
        self,
        credits: int,
        timers: Timers,
        want_spawner: Callable[[Service], None],
        lost: Callable[[Service, list[int]], None],
        poll: Callable[[Service], None],
    ) -> None:
        self.credits = credits
        self._timers = timers
        self._want_spawner = want_spawner
        self._lost = lost
        self._poll = poll

    def room(self, service: Service) -> int:
        """How many more connections the service may have under way."""
        if service.parked or service.retry:
            return 0
        return self.credits - len(service.sent) - service.newcomers

    def send(self, service: Service, batch: list[tuple[int, bytes, int]]) -> None:
        """Send accepted connections (id, encoded peer, descriptor), or park them until the kernel takes them.

        Several spawners get their share of them each: a packet is taken whole.
        """
        share = -(-len(batch) // max(1, service.active_spawners))
        for start in range(0, len(batch), share):
            if service.parked:
                service.parked += batch[start:]
                return
            self._send(service, batch[start : start + share])

    def _send(self, service: Service, batch: list[tuple[int, bytes, int]]) -> None:
        descriptors = [descriptor for _, _, descriptor in batch]
        assert service.work is not None  # noqa: S101  only services that are up have listeners
        try:
            send_packet(service.work, _KIND + join_connections([entry for _, entry, _ in batch]), descriptors)
        except OSError as error:
            if error.errno not in _CROWDED:
                raise
            service.parked = batch
            self._timers.after(PARKED_RETRY_S, lambda: self._unpark(service))
            self._poll(service)
            return
        close_all(descriptors)
        for id_, _, _ in batch:
            service.sent[id_] = None
        self.ensure_spawner(service)

    def _unpark(self, service: Service) -> None:
        batch, service.parked = service.parked, []
        if batch:
            self.send(service, batch)
            self._poll(service)

    def drop_parked(self, service: Service) -> list[int]:
        """Close what is parked (superd stops); returns the ids."""
        batch, service.parked = service.parked, []
        close_all([descriptor for _, _, descriptor in batch])
        return [id_ for id_, _, _ in batch]

    def ensure_spawner(self, service: Service) -> None:
        """Ask for a spawner, once, when there is none."""
        if service.spawner is None and not service.asked_for_spawner and service.retry is None:
            service.asked_for_spawner = True
            self._want_spawner(service)

    def acknowledged(self, service: Service, id_: int) -> None:
        """The spawner has answered for a connection; those sent before it to one that died are lost."""
        if id_ not in service.sent:
            return  # an earlier acceptor sent it
        del service.sent[id_]
        if service.suspect:
            self._lose_before(service, id_)
        self._feel_pressure(service)

    def _feel_pressure(self, service: Service) -> None:
        """Ask for one more spawner where those there are answer again and again with others waiting behind."""
        under_way = len(service.sent)
        active = service.active_spawners if under_way >= BEHIND else 1
        if under_way >= BEHIND * active:
            service.pressed += 1
        elif service.pressed > 0:
            service.pressed -= 1
        if service.pressed < PRESSED:
            return
        service.pressed = 0
        if 0 < active < service.settings.most_spawners and not service.asked_for_spawner:
            service.asked_for_spawner = True
            self._want_spawner(service)

    def further_spawner_failed(self, service: Service) -> None:
        """It was a luxury: the others go on without it, and another is not asked for soon."""
        service.asked_for_spawner = False
        service.pressed = PRESSED - PAUSE

    def spawner_died(self, service: Service) -> None:
        """What the dead spawner had read and not started is lost; what it had not read is the next one's.

        Which is which shows when the next one answers for the first of them, or at once when nothing is left
        unread (SIOCOUTQ of unix(7): bytes sent and not yet read). Another that lives may have read them too: it
        answers for them soon, or is replaced as well.
        """
        service.suspect = dict(service.sent)
        if service.spawners:
            self._timers.after(ANSWER_S, lambda: self._lose_before(service, None))
        elif service.work is not None and not _unread_bytes(service.work.fileno()):
            self._lose_before(service, None)

    def retry_later(self, service: Service, then: Callable[[], None], trouble: str = "") -> float:
        """Stand back after a failure, which status tells of; returns for how long."""
        service.failures += 1
        seconds = delay(service.failures)
        self._rest(service, seconds, then, trouble)
        return seconds

    def pause(self, service: Service, seconds: float, trouble: str) -> None:
        """Take nothing for a moment, through no fault of the service's: it does not count as a failure."""

        def then() -> None:
            if service.sent:  # before it paused
                self.ensure_spawner(service)

        if service.retry is None:
            self._rest(service, seconds, then, trouble)

    def _rest(self, service: Service, seconds: float, then: Callable[[], None], trouble: str) -> None:
        def again() -> None:
            service.retry = None
            then()
            self._poll(service)

        if service.retry is not None:
            service.retry.cancel()
        service.trouble = trouble
        service.retry = self._timers.after(seconds, again)
        self._poll(service)

    def _lose_before(self, service: Service, id_: int | None) -> None:
        lost = []
        for suspect in list(service.suspect):
            del service.suspect[suspect]
            if suspect == id_:
                break
            if suspect in service.sent:
                del service.sent[suspect]
                lost.append(suspect)
        if lost:
            self._lost(service, lost)


def _unread_bytes(descriptor: int) -> int:
    answer: bytes = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])
