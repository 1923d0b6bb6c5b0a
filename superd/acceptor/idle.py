"""``idle_timeout``: ending an instance that nobody has asked anything for long.

superd does not see the connections of an instance, but it has the same listeners: the kernel tells of each
arrival (edge-triggered, so at no cost but the event), and whether a connection is open stands in /proc/net.
The connections of a backend are superd's own, and counted.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from superd.acceptor.poller import Poller
from superd.acceptor.services import Service
from superd.acceptor.timers import Timer, Timers
from superd.kernel.procnet import has_connections


class Idle:
    """Watches the listeners of instances.

    Args:
        end: called for a service whose instance has been idle for its ``idle_timeout``.
    """

    def __init__(self, poller: Poller, timers: Timers, end: Callable[[Service], None]) -> None:
        self._poller = poller
        self._timers = timers
        self._end = end
        self._watched: dict[int, tuple[Timer, list[int]]] = {}
        self._last_arrival: dict[int, float] = {}

    def follow(self, service: Service) -> None:
        """Watch from now on if an instance runs that may be idle, else watch no more."""
        wanted = bool(service.instance) and service.settings.idle_timeout_s >= 0 and not service.retired
        if wanted and service.id not in self._watched and service.listeners:
            self._begin(service)
        elif not wanted:
            self.leave(service)

    def leave(self, service: Service) -> None:
        """Watch no more; to be called before the listeners are closed."""
        timer, descriptors = self._watched.pop(service.id, (None, []))
        if timer is not None:
            timer.cancel()
        for descriptor in descriptors:
            self._poller.forget(descriptor)

    def left(self, service: Service) -> None:
        """A connection to a backend of superd's own has ended."""
        if service.id in self._watched:
            self._arrived(service)

    def _begin(self, service: Service) -> None:
        owned = () if service.is_nowait else service.listeners.values()
        descriptors = [listener.sock.fileno() for listener in owned]
        for descriptor in descriptors:
            self._poller.watch(descriptor, lambda: self._arrived(service), edge=True)
        self._arrived(service)
        self._arm(service, descriptors, service.settings.idle_timeout_s)

    def _arrived(self, service: Service) -> None:
        self._last_arrival[service.id] = trio.current_time()

    def _arm(self, service: Service, descriptors: list[int], seconds: float) -> None:
        timer = self._timers.after(seconds, lambda: self._look(service, descriptors))
        self._watched[service.id] = timer, descriptors

    def _look(self, service: Service, descriptors: list[int]) -> None:
        patience = service.settings.idle_timeout_s
        left = self._last_arrival[service.id] + patience - trio.current_time()
        if left > 0:
            self._arm(service, descriptors, left)
        elif _is_used(service):
            self._arm(service, descriptors, patience)
        else:
            self._end(service)


def _is_used(service: Service) -> bool:
    """Whether somebody is connected to a service's instance."""
    if service.is_nowait:
        return bool(service.served)
    return any(has_connections(listener.sock) for listener in service.listeners.values())
