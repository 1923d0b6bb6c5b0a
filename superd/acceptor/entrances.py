"""The listeners of every service: opened and closed as the master says, polled while there is room for what comes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from time import monotonic_ns

from superd.acceptor.accept import Accepting, fixed_local
from superd.acceptor.datagrams import Datagrams
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.idle import Idle
from superd.acceptor.instances import Instances
from superd.acceptor.poller import Poller
from superd.acceptor.services import Listener, Service
from superd.acceptor.timers import Timers
from superd.kernel.sockopts import refuse_descriptors
from superd.policy.engine import NEVER
from superd.policy.rules import NS_PER_S
from superd.wire.messages import ListenerUp

LOOK_AGAIN_S = 0.1
"""When what a queueing service waits for is not its own to know: the load, or room in the total."""


class Entrances:
    """Lets the poller watch what may be taken, and nothing else: the rest waits in the kernel.

    Args:
        is_open: whether superd serves at all.
    """

    def __init__(
        self,
        poller: Poller,
        timers: Timers,
        dispatch: Dispatch,
        accepting: Accepting,
        datagrams: Datagrams,
        instances: Instances,
        idle: Idle,
        is_open: Callable[[], bool],
    ) -> None:
        self._poller = poller
        self._timers = timers
        self._dispatch = dispatch
        self._accepting = accepting
        self._datagrams = datagrams
        self._instances = instances
        self._idle = idle
        self._is_open = is_open

    def open(self, service: Service, message: ListenerUp, descriptor: int) -> None:
        """Another listener of a service."""
        sock = socket.socket(fileno=descriptor)
        is_unix = sock.family == socket.AF_UNIX
        if is_unix:  # a program may want them; here they would only have to be closed
            refuse_descriptors(sock, refused=service.server is not None)
        service.broken.pop(message.listener, None)
        service.listeners[message.listener] = Listener(
            service,
            message.listener,
            message.name,
            sock,
            message.datagram,
            fixed_local(sock),
            is_unix=is_unix,
        )

    def close(self, service: Service) -> None:
        """Close all listeners of a service, with those who wait there and are nobody's yet."""
        self._idle.leave(service)
        self._leave_crowd(service)
        for listener in service.listeners.values():
            if listener.polled:
                self._poller.forget(listener.sock.fileno())
            self._accepting.forget(listener)
            self._datagrams.forget(listener)
            listener.sock.close()
        service.listeners.clear()
        service.broken.clear()

    def poll(self, service: Service) -> None:
        """Watch a service's listeners if it can take what comes, else leave that to the kernel."""
        wanted = self._is_open() and bool(service.listeners) and self._can_take(service)
        if not service.instance:
            self._idle.leave(service)
        for listener in service.listeners.values():
            if listener.polled == wanted:
                continue
            listener.polled = wanted
            if wanted:
                self._poller.watch(listener.sock.fileno(), self._entrance(service, listener))
            else:
                self._poller.forget(listener.sock.fileno())
        self._idle.follow(service)

    def _can_take(self, service: Service) -> bool:
        if service.unready or service.unheard:
            return False
        if service.is_nowait:
            return self._dispatch.room(service) > 0 and self._has_room(service)
        idle = not service.instance and not service.retry and not service.asked_for_spawner
        return service.settings.mode == "wait" and idle and not self._instances.is_due(service)

    def _has_room(self, service: Service) -> bool:
        """Whether the policy leaves room; if not, looks again when it may."""
        if not service.engine.queues or _hears_everybody(service):
            return True
        now = monotonic_ns()
        self._leave_crowd(service)
        if service.engine.room(now) > service.unjudged:
            return True
        at = service.engine.room_at(now)
        seconds = LOOK_AGAIN_S if at == NEVER else (at - now) / NS_PER_S
        service.crowded = self._timers.after(seconds, lambda: self._look_again(service))
        return False

    @staticmethod
    def _leave_crowd(service: Service) -> None:
        """What it waited for may be days away, and now it may be something else: its rate can have been changed."""
        if service.crowded is not None:
            service.crowded.cancel()
            service.crowded = None

    def _look_again(self, service: Service) -> None:
        service.crowded = None
        self.poll(service)

    def _entrance(self, service: Service, listener: Listener) -> Callable[[], None]:
        if service.is_nowait:
            hear = service.hears or self._datagrams.read
            take = hear if listener.datagram else self._accepting.accept
            return partial(take, listener)
        return partial(self._instances.woken, listener)


def _hears_everybody(service: Service) -> bool:
    """Whether its listeners hear those who are here already, too, so that none may be left alone."""
    return service.hears is not None and all(listener.datagram for listener in service.listeners.values())
