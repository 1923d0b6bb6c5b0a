"""wait and always: one instance that owns the listeners while it runs; and the backend that a forward starts.

wait: a readable listener starts the instance, and nobody polls the listeners until it ends. always: it is
started at once, and again when it ends. A backend is started when a connection wants it. After failures, the next
start waits (backoff.py), and never for good.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic_ns

from superd.acceptor.accept import Accepting, judge_datagram, unmapped
from superd.acceptor.backoff import InstanceBackoff
from superd.acceptor.children import INSTANCE
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.refusals import Refusals
from superd.acceptor.services import Child, Listener, Service
from superd.acceptor.timers import Timer, Timers
from superd.config.model import Mode
from superd.log import EventName, Level, Logger
from superd.policy.engine import NEVER
from superd.policy.outcome import Outcome
from superd.policy.rules import NS_PER_S
from superd.wire.messages import MAX_BATCH, StartInstance

_FAILURES = frozenset({Outcome.FAILED, Outcome.SIGNALLED, Outcome.NEVER_STARTED, Outcome.LOST})
LOAD_S = 1.0
"""While the machine's load is above max_load, how long until it is looked at again."""

WORTH_SAYING_S = 1.0
"""A back-off of at least that long is logged."""


class Instances:
    """Starts instances when they are due."""

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        dispatch: Dispatch,
        accepting: Accepting,
        refusals: Refusals,
        poll: Callable[[Service], None],
    ) -> None:
        self._log = log
        self._timers = timers
        self._dispatch = dispatch
        self._accepting = accepting
        self._refusals = refusals
        self._poll = poll
        self._backoffs: dict[int, InstanceBackoff] = {}
        self._due: dict[int, int] = {}  # service -> position of the listener that woke it
        self._rationed: dict[int, Timer] = {}  # services that wait for a token, or for the load to fall
        self.stopping = False

    def woken(self, listener: Listener) -> None:
        """A listener of a wait service is readable."""
        if not listener.datagram or listener.is_unix or self._has_welcome(listener):
            self._start(listener.service, listener.position)

    def _has_welcome(self, listener: Listener) -> bool:
        """Whether a datagram waits whose source is admitted; those before it are thrown away."""
        service, engine = listener.service, listener.service.engine
        for _ in range(MAX_BATCH):
            try:
                _, address = listener.sock.recvfrom(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                decision = judge_datagram(engine.glance, engine, 0, address)
                if decision.reason is None:
                    return True
                listener.sock.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True  # an error that waits on the socket is the instance's to hear of
            self._refusals.note(service, unmapped(address[0]), address[1], decision)
        return False  # the poller will tell that there is more

    def consider(self, service: Service) -> None:
        """Start an always instance that ought to run, or one that waited for its spawner or for a token."""
        if service.retry is not None and service.retry is self._rationed.pop(service.id, None):
            service.retry.cancel()
            service.retry = None
        if service.settings.mode == Mode.ALWAYS and service.listeners:
            self._due.setdefault(service.id, min(service.listeners))
        position = self._due.get(service.id)
        if position is not None:
            self._start(service, position)

    def demand(self, service: Service) -> bool:
        """Have the backend of a forward started, if it is superd's to start; whether it runs, and goes on."""
        if not service.settings.program:
            return True
        child = service.children.get(service.instance)
        if child is None:
            self._start(service, 0)
            return False
        return bool(child.pid) and not child.ending

    def is_due(self, service: Service) -> bool:
        """A start was asked for and waits for its spawner."""
        return service.id in self._due

    def forget(self, service: Service) -> None:
        """The service is gone, or changed: what it failed at counts no more."""
        self._backoffs.pop(service.id, None)
        self._due.pop(service.id, None)
        self._rationed.pop(service.id, None)

    def _start(self, service: Service, position: int) -> None:
        if service.instance:
            self._due.pop(service.id, None)  # what it was due for is that one's to serve
            return
        if self.stopping or service.retry or service.fault or service.retired:
            return
        self._due[service.id] = position
        spawner = service.spawner
        if spawner is None:
            self._dispatch.ensure_spawner(service)
            self._poll(service)
            return
        if not all(each.told for each in service.spawners.values()):
            return  # an instance may run under one of them
        if not service.is_nowait and not self._take_token(service):
            return
        del self._due[service.id]
        id_ = self._accepting.new_id()
        service.children[id_] = Child(id_, INSTANCE, 0, spawner=spawner.number)
        service.instance = id_
        service.accepted += not service.is_nowait
        self._poll(service)
        spawner.tell(StartInstance(id_, position))

    def _take_token(self, service: Service) -> bool:
        """Whether the service's rate and the load admit another start; if not, it is tried again in time."""
        now = monotonic_ns()
        if service.engine.start(now):
            return True
        at = service.engine.room_at(now)
        seconds, why = (at - now) / NS_PER_S, "it was started as often as its rate admits"
        if at == NEVER:
            seconds, why = LOAD_S, "the load of the machine is above its max_load"
        self._rationed[service.id] = self._wait(service, seconds, why)
        self._poll(service)
        return False

    def ended(self, service: Service, lasted_s: float, outcome: Outcome) -> None:
        """An instance ended: poll again, or after a while."""
        backoff = self._backoffs.setdefault(service.id, InstanceBackoff())
        failed = outcome in _FAILURES
        seconds = 0.0 if outcome is Outcome.STOPPED else backoff.ended(lasted_s, failed)
        if seconds:
            self._back_off(service, seconds, failed)
        elif service.settings.mode == Mode.ALWAYS:
            self._timers.after(0, lambda: self.consider(service))
        self._poll(service)

    def _back_off(self, service: Service, seconds: float, failed: bool) -> None:
        self._wait(service, seconds, f"its program {'failed' if failed else 'ends at once, again and again'}")
        if seconds >= WORTH_SAYING_S:
            self._log.log(
                EventName.WARNING,
                Level.WARNING,
                f"{service.trouble}; the next start waits",
                service=service.settings.name,
                seconds=seconds,
            )

    def _wait(self, service: Service, seconds: float, why: str) -> Timer:
        """Neither start nor poll for so long."""

        def again() -> None:
            service.retry = None
            self.consider(service)
            self._poll(service)

        if service.retry is not None:
            service.retry.cancel()
        service.retry = self._timers.after(seconds, again)
        service.trouble = why
        return service.retry
