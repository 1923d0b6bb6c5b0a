"""The end: nothing is accepted any more, and what must not outlive superd is ended before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from superd.acceptor.children import Children
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.entrances import Entrances
from superd.acceptor.services import Service
from superd.policy.outcome import Outcome
from superd.wire.messages import Stop, Stopped


class Stopping:
    """Obeys the master's ``Stop``.

    Args:
        services: all of them, by id.
        say: tells the master.
    """

    def __init__(
        self,
        services: Mapping[int, Service],
        children: Children,
        dispatch: Dispatch,
        entrances: Entrances,
        say: Callable[[object], None],
    ) -> None:
        self._services = services
        self._children = children
        self._dispatch = dispatch
        self._entrances = entrances
        self._say = say
        self._order: Stop | None = None

    @property
    def has_begun(self) -> bool:
        return self._order is not None

    def begin(self, order: Stop) -> None:
        """Instances are ended, with ``children`` every child; what this process serves cannot outlive it."""
        self._order = order
        for service in self._services.values():
            self._children.lost(service, self._dispatch.drop_parked(service))
            self._entrances.close(service)
            for child in list(service.children.values()):
                if order.children or child.id == service.instance:
                    self._children.end(service, child, Outcome.STOPPED)
        for served in [served for service in self._services.values() for served in service.served.values()]:
            served.end(Outcome.STOPPED)
        self.consider()

    def consider(self) -> None:
        """Say so, if all that had to end has ended."""
        if self._order is None:
            return
        for service in self._services.values():
            if service.instance or (self._order.children and service.children):
                return
        self._say(Stopped())
