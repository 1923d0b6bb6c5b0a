"""The acceptor's side of its links to the spawners: greeting, reports, pings."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import trio
from attrs import define

from superd.acceptor.accept import client_of, unmapped
from superd.acceptor.children import Children
from superd.acceptor.poller import Poller
from superd.acceptor.services import Child, Service, SpawnerLink
from superd.errors import WireError
from superd.wire.fds import Link, close_all
from superd.wire.messages import Hello, Known, Output, Peer, Ping, Pong, Report, SpawnerUp, Told, Welcome

PING_S = 1.0
PONG_S = 2.0
IDLE_S = 60.0


@define
class Requests:
    """What the spawners' keeper asks of others: each takes (service, spawner)."""

    stuck: Callable[[Service, SpawnerLink], None]
    idle: Callable[[Service, SpawnerLink], None]
    told: Callable[[Service, SpawnerLink], None]


class Spawners:
    """Talks with every spawner that lives."""

    def __init__(self, epoch: int, poller: Poller, children: Children, requests: Requests) -> None:
        self._epoch = epoch
        self._poller = poller
        self._children = children
        self._requests = requests
        self._alive: dict[tuple[int, int], tuple[Service, SpawnerLink]] = {}
        self._some = trio.Event()
        self.taking_over = True  # what comes up was an earlier acceptor's

    def up(self, service: Service, news: SpawnerUp, link: Link) -> None:
        """A spawner was born, or this acceptor was: say hello, and hear what it knows."""
        spawner = SpawnerLink(news.spawner, news.pid, link, news.retiring, idle_since=trio.current_time())
        service.spawners[spawner.number] = spawner
        service.asked_for_spawner = False
        if self.taking_over:
            service.unheard.add(spawner.number)
        self._alive[service.id, spawner.number] = service, spawner
        self._some.set()
        self._poller.watch(link.fileno(), lambda: self._heard(service, spawner))
        self._say(spawner, Hello(self._epoch))

    def down(self, service: Service, number: int) -> SpawnerLink | None:
        """A spawner is gone. What it said last is heard first."""
        spawner = service.spawners.get(number)
        if spawner is None:
            return None
        self._heard(service, spawner, sys.maxsize)
        del service.spawners[number]
        service.unheard.discard(number)
        self._alive.pop((service.id, number), None)
        self._poller.forget(spawner.link.fileno())
        spawner.link.close()
        return spawner

    def _heard(self, service: Service, spawner: SpawnerLink, most_packets: int = 1) -> None:
        try:
            if spawner.link.wants_write:
                spawner.link.flush()
                self._poller.watch_writing(spawner.link.fileno(), spawner.link.wants_write)
            for received in spawner.link.receive(most_packets):
                close_all(received.descriptors)
                self._obey(service, spawner, received.message)
        except (EOFError, OSError):  # the master will tell, with the reason
            self._poller.forget(spawner.link.fileno())
        except WireError:
            self._poller.forget(spawner.link.fileno())
            self._requests.stuck(service, spawner)

    def _obey(self, service: Service, spawner: SpawnerLink, message: object) -> None:
        if not spawner.welcomed and not isinstance(message, Output):
            if message == Welcome(self._epoch):
                spawner.welcomed = True
            return  # anything before was said to an earlier acceptor and will be said again, lines excepted
        match message:
            case Report(number, events):
                self._children.reported(service, spawner, events)
                spawner.logged = number
            case Output():
                self._children.wrote(service, message)
            case Known(batch):
                for id_, peer in batch:  # ours too, if it took them before it heard our Hello: we know more
                    service.children.setdefault(id_, _known(id_, peer, spawner))
                    service.engine.resume(client_of(id_, peer))
            case Pong(number):
                spawner.ponged = number
            case Told():
                spawner.told = True
                service.unheard.discard(spawner.number)
                self._requests.told(service, spawner)

    def _say(self, spawner: SpawnerLink, message: object) -> None:
        if spawner.tell(message) and spawner.link.wants_write:
            self._poller.watch_writing(spawner.link.fileno(), True)

    async def keep(self) -> None:
        """Ping those that have something to do, once a second, and retire those that have had nothing for long."""
        while True:
            if not self._alive:
                self._some = trio.Event()
                await self._some.wait()
            await trio.sleep(PING_S)
            now = trio.current_time()
            for service, spawner in list(self._alive.values()):
                self._look_after(service, spawner, now)

    def _look_after(self, service: Service, spawner: SpawnerLink, now: float) -> None:
        if spawner.pinged > spawner.ponged:
            if now - spawner.pinged_at >= PONG_S:
                self._requests.stuck(service, spawner)
            return
        busy = bool(service.sent or service.children)
        if busy or spawner.logged > spawner.acknowledged or not spawner.welcomed:
            spawner.pinged += 1
            spawner.pinged_at = now
            spawner.acknowledged = spawner.logged
            self._say(spawner, Ping(spawner.pinged, spawner.logged))
        if busy:
            spawner.idle_since = now
        elif now - spawner.idle_since >= IDLE_S and not spawner.retiring:
            spawner.retiring = True
            self._requests.idle(service, spawner)


def _known(id_: int, peer: Peer, spawner: SpawnerLink) -> Child:
    """A child of an earlier acceptor's connection, started or, once its spawner has told all, yet to be.

    It is lost with its spawner, like others, whether it was started or not.
    """
    source, port = f"uid:{peer.uid}", 0
    if peer.family != socket.AF_UNIX:
        source = unmapped(socket.inet_ntop(socket.AddressFamily(peer.family), peer.remote))
        port = peer.remote_port
    return Child(id_, source, port, spawner=spawner.number, known=not spawner.told)
