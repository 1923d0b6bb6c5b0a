"""hosts.allow and hosts.deny, as the services of this acceptor ask them."""

from __future__ import annotations

import os
from collections.abc import Callable

from superd.acceptor.names import Addresses
from superd.acceptor.services import Service
from superd.config.places import HOSTS_ALLOW, HOSTS_DENY
from superd.log import EventName, Level, Logger
from superd.policy.access import Verdict
from superd.policy.decision import Client
from superd.policy.hosts_access import HostsAccess, parse_rules
from superd.wire.policies import HostsFiles


class Hosts:
    """Both files, once the master has sent them."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._access: HostsAccess | None = None

    def take(self, message: HostsFiles) -> None:
        """Other files, which the master found in order."""
        allow = parse_rules(message.allow, HOSTS_ALLOW, grants=True)
        deny = parse_rules(message.deny, HOSTS_DENY, grants=False)
        for warning in (*allow.warnings, *deny.warnings):
            self._log.log(EventName.WARNING, Level.WARNING, str(warning))
        self._access = HostsAccess(allow, deny)

    def names(self, service: Service) -> tuple[str, ...]:
        """The host names in what concerns a service."""
        return () if self._access is None else self._access.names_for(_daemons(service))

    def resolved(self, name: str, addresses: Addresses) -> None:
        """A host name was looked up."""
        if self._access is not None:
            self._access.resolved(name, addresses)

    def asker(self, service: Service) -> Callable[[Client], Verdict] | None:
        """What the files say of a service's clients; None while they are not here."""
        access, daemons = self._access, _daemons(service)
        if access is None:
            return None

        def ask(client: Client) -> Verdict:
            version, local = 4 if len(client.local) == 4 else 6, int.from_bytes(client.local)
            port = client.local_port or None
            return access.verdict(daemons, client.version, client.value, version, local, port)

        return ask


def _daemons(service: Service) -> frozenset[str]:
    """The names under which the files know a service: its program's, as tcpd has it, and its own."""
    settings = service.settings
    program = {os.path.basename(settings.program[0])} if settings.program else set[str]()
    return frozenset({*program, settings.name})
