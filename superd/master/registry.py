"""All services under the master's care: brought up, changed and taken down, each by itself."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, evolve, field

from superd.config.model import Service
from superd.errors import Fault
from superd.kernel.identity import Identity, Resolve, remembering, resolve
from superd.log import EventName, Level, Logger
from superd.master import listeners
from superd.master.handlers import import_fault
from superd.master.listeners import Adoptable
from superd.master.loop import Loop
from superd.master.policies import policy_of
from superd.master.preflight import files_version, inspect
from superd.master.reuse import clash, find_open, listen_fault
from superd.master.services import Listener, Managed
from superd.master.spawners import Spawners
from superd.wire.messages import ListenerDown, ListenerUp, ServiceDown, ServiceFaulty, ServiceUp

DISABLED = "disabled"
RECHECK_S = 10.0


@define
class Prepared:
    """A service of a new configuration, ready to be put into force or to be given up.

    Args:
        reused: sockets of the running configuration that this service takes over, by index of its listeners.
        deferred: indices of listeners that can only be opened once an old one is closed.
        faults: why the configuration cannot be put into force.
    """

    service: Service
    identity: Identity | None
    listeners: list[Listener]
    reused: dict[int, Listener] = field(factory=dict)
    deferred: list[int] = field(factory=list)
    faults: list[Fault] = field(factory=list)


class Registry:
    """Keeps the services.

    Args:
        tell: sends a message to the acceptor.
        acceptor_uid: as for ``preflight.inspect``.
    """

    def __init__(
        self,
        loop: Loop,
        log: Logger,
        spawners: Spawners,
        tell: Callable[..., None],
        acceptor_uid: int | None,
    ) -> None:
        self.services: dict[int, Managed] = {}
        self._departed: dict[int, Managed] = {}  # removed, and some of their connections may go on
        self.acceptor_uid = acceptor_uid
        self._loop = loop
        self._log = log
        self._spawners = spawners
        spawners.broken = self.cannot_import
        self._tell = tell
        self._ids = itertools.count(1)
        self._with_work: set[int] = set()  # services whose work link the present acceptor has

    def find(self, id_: int) -> Managed | None:
        """A service by its number, those that are gone and still have connections included."""
        return self.services.get(id_) or self._departed.get(id_)

    def by_name(self) -> dict[str, Managed]:
        return {managed.service.name: managed for managed in self.services.values()}

    def asking_hosts(self) -> list[Managed]:
        """Services whose clients hosts.allow and hosts.deny decide about."""
        every = self.services.values()
        return [one for one in every if one.service.enabled and one.service.access.hosts_access]

    # --- coming up ---

    def add(self, services: Iterable[Service], adoptable: Adoptable | None = None) -> list[Managed]:
        """Take services into care and open what can be opened; what cannot is said and tried again."""
        resolve = remembering()
        added = []
        for service in services:
            managed = Managed(next(self._ids), service)
            self.services[managed.id] = managed
            self._bring_up(managed, adoptable, resolve)
            added.append(managed)
        return added

    def _bring_up(
        self, managed: Managed, adoptable: Adoptable | None = None, resolve: Resolve = resolve
    ) -> None:
        if not managed.service.enabled:
            managed.fault = DISABLED
            return
        if managed.unusable and managed.unusable == files_version(managed.service):
            managed.retry = self._loop.after(RECHECK_S, lambda: self._recheck(managed))
            return
        managed.unusable = ()
        managed.identity, faults = inspect(managed.service, self.acceptor_uid, resolve)
        if faults:
            self._set_fault(managed, faults)
            return
        managed.fault = ""
        managed.files = files_version(managed.service)
        managed.open_work()
        managed.listeners = listeners.plan(managed.service)
        for listener in managed.listeners:
            if not listeners.open_one(listener, managed.service, adoptable):
                self._retry(managed, listener)

    def _set_fault(self, managed: Managed, faults: Iterable[Fault]) -> None:
        text = "\n".join(map(str, faults))
        if text != managed.fault:
            managed.fault = text
            for fault in faults:
                self._log.log(
                    EventName.ERROR, Level.ERR, f"service is off: {fault}", service=managed.service.name
                )
        managed.retry = self._loop.after(RECHECK_S, lambda: self._recheck(managed))

    def _recheck(self, managed: Managed) -> None:
        """What a service lacked may be there now."""
        managed.retry = None
        before = managed.fault
        self._bring_up(managed)
        if not managed.fault:
            self._log.log(EventName.LISTEN, Level.NOTICE, "service is on again", service=managed.service.name)
        if managed.fault != before:
            self.announce(managed)
            self._warm(managed)

    def cannot_import(self, managed: Managed, lines: Sequence[str]) -> None:
        """The handler of a service cannot be imported, says a spawner: it is off until its code changes, or a reload.

        What was on its way to the spawner is closed: it would wait for an answer that nobody gives.
        """
        for line in lines[:-1]:
            self._log.log(EventName.OUTPUT, Level.ERR, line, service=managed.service.name)
        managed.unusable = managed.files
        self._spawners.retire(managed)
        self._take_down(managed)
        managed.close_work()
        self._with_work.discard(managed.id)
        self._set_fault(managed, [import_fault(managed.service, lines[-1])])
        self.announce(managed)

    def _warm(self, managed: Managed) -> None:
        """Have a handler imported before the first client comes, and so that a fault in it shows."""
        if managed.service.handler is not None and managed.is_open:
            self._spawners.start(managed)

    def recheck_faulty(self) -> None:
        """A reload looks at once."""
        for managed in self.services.values():
            managed.unusable = ()
            if managed.retry is not None:
                managed.retry.cancel()
                self._recheck(managed)

    def _retry(self, managed: Managed, listener: Listener) -> None:
        seconds = listeners.retry(self._loop, listener, managed, self._opened_late)
        self._log.log(
            EventName.ERROR,
            Level.ERR,
            f"cannot listen: {listener.reason}; tried again in {seconds:g} s and on",
            service=managed.service.name,
            listen=listener.endpoint.name,
        )

    def _opened_late(self, managed: Managed) -> None:
        self._log.log(EventName.LISTEN, Level.NOTICE, "a listener is open now", service=managed.service.name)
        self._spawners.retire(managed)  # as the acceptor takes them to be when it hears of a service anew
        self.announce(managed)

    # --- telling the acceptor ---

    def introduce_all(self) -> None:
        """Tell a new acceptor everything: nothing of what was told before counts any more."""
        self._with_work.clear()
        for managed in self.services.values():
            self.announce(managed)
            self._introduce_spawners(managed)
            self._warm(managed)
        for managed in self._departed.values():
            if managed.spawners:
                self._tell(ServiceUp(managed.id, managed.settings()))
                self._introduce_spawners(managed)
                self._tell(ServiceDown(managed.id))

    def _introduce_spawners(self, managed: Managed) -> None:
        for spawner in managed.spawners.values():
            self._spawners.introduce(managed, spawner)

    def announce(self, managed: Managed) -> None:
        """Tell the acceptor how a service stands."""
        if managed.fault:
            self._tell(ServiceFaulty(managed.id, managed.settings(), managed.fault))
            return
        work = []
        if managed.work_in is not None and managed.id not in self._with_work:
            self._with_work.add(managed.id)
            work = [managed.work_in.fileno()]
        self._tell(ServiceUp(managed.id, managed.settings()), work)
        self._tell_policy(managed)
        for position, listener in enumerate(managed.listeners):
            name = listener.endpoint.name
            if listener.sock is not None and managed.is_open:
                datagram = listener.endpoint.type == socket.SOCK_DGRAM
                self._tell(ListenerUp(managed.id, position, name, datagram), [listener.sock.fileno()])
            elif listener.sock is None:
                self._tell(ListenerDown(managed.id, position, name, listener.reason))

    def _tell_policy(self, managed: Managed) -> None:
        managed.policy = policy_of(managed.id, managed.service)
        self._tell(evolve(managed.policy, note=managed.note))

    def tell_policies(self) -> None:
        """After a reload: services that did not change may have other limits now, or other banners."""
        for managed in self.services.values():
            if not managed.fault and managed.policy != policy_of(managed.id, managed.service):
                self._tell_policy(managed)

    # --- going down ---

    def remove(self, managed: Managed) -> None:
        """A service is gone from the configuration; its connections go on."""
        self._tell(ServiceDown(managed.id))
        self._spawners.retire(managed)
        self._take_down(managed)
        managed.close_work()
        del self.services[managed.id]
        self._departed = {gone.id: gone for gone in (*self._departed.values(), managed) if gone.spawners}

    def _take_down(self, managed: Managed) -> None:
        if managed.retry is not None:
            managed.retry.cancel()
            managed.retry = None
        for listener in managed.listeners:
            listeners.close_one(listener)
        managed.listeners = []

    def close_all(self) -> None:
        for managed in self.services.values():
            self._take_down(managed)

    # --- changing ---

    def inspect(self, service: Service) -> list[Fault]:
        """What a service lacks whose policy alone changes."""
        return inspect(service, self.acceptor_uid)[1] if service.enabled else []

    def outdated(self) -> list[str]:
        """Services whose user, groups, environment file or handler are no longer what they came up with.

        Spawners take them once. What is missing now is left to those that run: they have what they need.
        """
        names = []
        resolve = remembering()
        for managed in self.services.values():
            identity, faults = inspect(managed.service, self.acceptor_uid, resolve)
            now = identity, files_version(managed.service)
            if managed.identity and not faults and now != (managed.identity, managed.files):
                names.append(managed.service.name)
        return names

    def prepare(self, service: Service, old: Mapping[str, Managed], leaving: Iterable[str]) -> Prepared:
        """Get a new or changed service ready, touching nothing that runs.

        Args:
            old: the running services by name.
            leaving: names of those that go or change, whose sockets may be taken over.
        """
        if not service.enabled:
            return Prepared(service, None, [])
        identity, faults = inspect(service, self.acceptor_uid)
        prepared = Prepared(service, identity, listeners.plan(service), faults=faults)
        available = [
            (managed.service.socket, listener)
            for name in leaving
            if (managed := old.get(name)) is not None
            for listener in managed.listeners
            if listener.sock is not None
        ]
        for index, listener in enumerate(prepared.listeners):
            found = find_open(available, listener.endpoint, service.socket)
            if found is not None:
                prepared.reused[index] = found
            elif any(clash(other.endpoint, listener.endpoint) for _, other in available):
                prepared.deferred.append(index)
            elif not faults and not listeners.open_one(listener, service) and not listener.may_come:
                prepared.faults.append(listen_fault(service, listener))
        return prepared

    @staticmethod
    def give_up(prepared: Prepared) -> None:
        for listener in prepared.listeners:
            listeners.close_one(listener)

    def swap(
        self,
        prepared: Iterable[Prepared],
        removed: Iterable[str],
        changed: Iterable[str],
        old: Mapping[str, Managed],
    ) -> None:
        """Put a prepared configuration into force.

        What leaves lets go of its sockets first, because others may want the same ports. It goes for good last:
        until then those that are taken over are its own.
        """
        removed = tuple(removed)
        kept = {id(listener) for one in prepared for listener in one.reused.values()}
        self._release((*changed, *removed), kept, old)
        for one in prepared:
            self._put_into_force(one, old.get(one.service.name))
        for name in removed:
            self.remove(old[name])

    def _release(self, names: Iterable[str], kept: set[int], old: Mapping[str, Managed]) -> None:
        """Close what services that go or change leave behind; ``kept`` are ids of listeners taken over."""
        for name in names:
            for listener in old[name].listeners if name in old else ():
                if id(listener) not in kept:
                    listeners.close_one(listener)

    def _put_into_force(self, prepared: Prepared, managed: Managed | None) -> None:
        """A prepared service replaces the one of its name, or joins."""
        if managed is None:
            managed = Managed(next(self._ids), prepared.service)
            self.services[managed.id] = managed
        if managed.retry is not None:
            managed.retry.cancel()
            managed.retry = None
        self._spawners.retire(managed)
        managed.service, managed.identity = prepared.service, prepared.identity
        managed.files, managed.unusable = files_version(prepared.service), ()
        managed.fault = "" if prepared.service.enabled else DISABLED
        managed.listeners = prepared.listeners
        if not managed.fault:
            managed.open_work()
        for index, reused in prepared.reused.items():
            self._take_over(managed, managed.listeners[index], reused)
        for listener in managed.listeners:
            if listener.sock is None and not listeners.open_one(listener, managed.service):
                self._retry(managed, listener)
        self.announce(managed)
        self._warm(managed)

    def _take_over(self, managed: Managed, listener: Listener, reused: Listener) -> None:
        listener.sock, listener.file_id = reused.sock, reused.file_id
        reused.sock = None
        assert listener.sock is not None  # noqa: S101  only open ones are reused
        try:
            listeners.adapt(listener.sock, listener.endpoint, managed.service)
        except OSError as error:
            self._log.log(
                EventName.ERROR,
                Level.ERR,
                f"a socket option could not be set: {error.strerror}",
                service=managed.service.name,
                listen=listener.endpoint.name,
            )
