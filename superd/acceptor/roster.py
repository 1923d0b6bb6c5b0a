"""The services, as the master's orders have them: new, changed, faulty, gone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from superd.acceptor.children import Children
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.entrances import Entrances
from superd.acceptor.instances import Instances
from superd.acceptor.policies import Policies
from superd.acceptor.servers import Servers
from superd.acceptor.services import Service
from superd.acceptor.sharing import share_settings
from superd.policy.engine import Engine
from superd.policy.outcome import Outcome
from superd.policy.rules import Access, Limits, ProxyProtocol
from superd.wire.messages import (
    ListenerDown,
    ListenerUp,
    ServiceDown,
    ServiceFaulty,
    ServiceSettings,
    ServiceUp,
)
from superd.wire.policies import ServicePolicy

_RULES = Limits(), Access(), ProxyProtocol()
"""What holds until the master has told what does."""


class Roster:
    """Keeps the services.

    Args:
        services: by number; filled and emptied here alone.
        is_serving: whether the master has told of all that there was.
        look_again: asked to start what is due at a service, and to poll it.
    """

    def __init__(
        self,
        services: dict[int, Service],
        policies: Policies,
        dispatch: Dispatch,
        children: Children,
        instances: Instances,
        entrances: Entrances,
        servers: Servers,
        is_serving: Callable[[], bool],
        look_again: Callable[[Service], None],
    ) -> None:
        self._services = services
        self._policies = policies
        self._dispatch = dispatch
        self._children = children
        self._instances = instances
        self._entrances = entrances
        self._servers = servers
        self._is_serving = is_serving
        self._look_again = look_again

    def orders(self) -> Mapping[type, Callable[[Any, list[int]], None]]:
        """The orders that are obeyed here."""
        return {
            ServiceUp: self._up,
            ServicePolicy: self._policy,
            ServiceDown: self._down,
            ServiceFaulty: self._faulty,
            ListenerUp: self._listener_up,
            ListenerDown: self._listener_down,
        }

    def _up(self, message: ServiceUp, descriptors: list[int]) -> None:
        settings = share_settings(message.settings)
        service = self._services.get(message.service)
        if service is None:
            service = self._add(message.service, settings)
        for descriptor in descriptors:
            service.work = socket.socket(fileno=descriptor)
        self._servers.attach(service, settings)
        service.fault = ""
        self._entrances.close(service)
        self._retire_spawners(service)

    def _add(self, id_: int, settings: ServiceSettings) -> Service:
        service = self._services[id_] = Service(id_, settings, Engine(*_RULES, self._policies.total))
        return service

    def _retire_spawners(self, service: Service) -> None:
        """What runs was started with other settings: instances end, connections go on."""
        for spawner in service.spawners.values():
            spawner.retiring = self._is_serving()
        if not self._is_serving():
            return
        self._instances.forget(service)
        if service.retry is not None:
            service.retry.cancel()
            service.retry = None
        self.end_instance(service)

    def end_instance(self, service: Service, why: Outcome = Outcome.STOPPED) -> None:
        """End the instance of a service, if it has one."""
        child = service.children.get(service.instance)
        if child is not None:
            self._children.end(service, child, why)

    def _policy(self, message: ServicePolicy, _: list[int]) -> None:
        self._policies.told(self._services[message.service], message)

    def _down(self, message: ServiceDown, _: list[int]) -> None:
        service = self._services[message.service]
        self._servers.leave(service)
        service.retired = True
        self._entrances.close(service)
        self._children.lost(service, self._dispatch.drop_parked(service))  # a retiring spawner takes no more
        self.end_instance(service)
        for spawner in service.spawners.values():
            spawner.retiring = True
        self.bury(service)

    def bury(self, service: Service) -> None:
        """Forget a service that is gone, once its last spawner is, and the last connection that is served here."""
        if service.retired and not service.spawners and not service.served:
            service.engine.close()
            self._policies.forget(service)
            if service.work is not None:
                service.work.close()
            del self._services[service.id]
            self._servers.gone(service)

    def _faulty(self, message: ServiceFaulty, _: list[int]) -> None:
        service = self._services.get(message.service)
        if service is None:
            service = self._add(message.service, message.settings)
        self._servers.leave(service)
        self._servers.replace(service, message.settings)
        service.fault = message.reason
        self._entrances.close(service)
        self.end_instance(service)

    def _listener_up(self, message: ListenerUp, descriptors: list[int]) -> None:
        service = self._services[message.service]
        self._entrances.open(service, message, descriptors[0])
        self._look_again(service)

    def _listener_down(self, message: ListenerDown, _: list[int]) -> None:
        service = self._services[message.service]
        service.broken[message.listener] = message.name, message.reason
