"""Grants in force: names looked up, the socket that superd-bind speaks to, and the broker behind it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable

from attrs import frozen, mutable

from superd.config.model import Config, GrantTable, Listen, Scheme, SocketOptions
from superd.errors import ConfigError, Fault
from superd.kernel import linux
from superd.kernel.endpoints import Endpoint
from superd.kernel.identity import IdentityError, group_id, user_id
from superd.kernel.listen import open_listener, remove_socket_file, socket_file_id
from superd.kernel.owners import port_owner
from superd.master.broker import BrokerKeeper
from superd.master.loop import Loop
from superd.master.outside import Log, require_private_folder
from superd.policy.grants import ANY, Grant
from superd.wire.grants import GrantsUp


def look_up(tables: Iterable[GrantTable]) -> tuple[tuple[Grant, ...], list[Fault]]:
    """The grants with their users and groups as numbers, and what speaks against the others."""
    grants: list[Grant] = []
    faults = _privilege_faults(tables := tuple(tables))
    for table in tables if not faults else ():
        lacking: list[Fault] = []
        uids = _ids(table, "users", (name for name in table.users if name != ANY), user_id, lacking)
        gids = _ids(table, "groups", table.groups, group_id, lacking)
        faults += lacking
        if not lacking:
            everyone = ANY in table.users
            rest = (table.programs, table.reuse_port)
            grants.append(Grant(table.name, table.ports, table.addresses, everyone, uids, gids, *rest))
    return tuple(grants), faults


def _privilege_faults(tables: tuple[GrantTable, ...]) -> list[Fault]:
    if not tables or linux.capget().permitted >> linux.CAP_NET_BIND_SERVICE & 1:
        return []
    why = "superd may not bind ports below 1024 itself, so it can grant none"
    return [
        Fault(tables[0].file, "grants", why, "start it as root with CAP_NET_BIND_SERVICE, or remove them")
    ]


def _ids(
    table: GrantTable, key: str, names: Iterable[str], look: Callable[[str], int], faults: list[Fault]
) -> tuple[int, ...]:
    ids = []
    for name in names:
        try:
            ids.append(look(name))
        except IdentityError as error:
            faults.append(Fault(table.file, f"{table.key}.{key}", error.problem, error.remedy, f'"{name}"'))
    return tuple(ids)


class BindSocket:
    """The socket that superd-bind speaks to; everybody may, since the grants decide.

    Raises:
        ConfigError: it cannot be bound.
    """

    def __init__(self, path: str, file: str) -> None:
        self.path = path
        options = SocketOptions(socket_mode=0o666, directory_mode=0o755)
        listen = Listen(path, Scheme.UNIX_SEQPACKET, path=path)
        kind = int(socket.SOCK_SEQPACKET)
        self._endpoint = Endpoint("bind_socket", listen, int(socket.AF_UNIX), kind, path, None)
        try:
            self.sock = open_listener(self._endpoint, options, nonblocking=True)
            require_private_folder(os.path.dirname(path))
        except OSError as error:
            owner = port_owner(self._endpoint)
            remedy = f"{owner} answers there: stop it, or name another path" if owner else "name another path"
            problem = error.strerror or str(error)
            raise ConfigError([Fault(file, "superd.bind_socket", problem, remedy, f'"{path}"')]) from error
        self._file_id = socket_file_id(self._endpoint)

    def close(self) -> None:
        if self._file_id is not None:
            try:
                remove_socket_file(self._endpoint, self._file_id)
            except OSError:
                pass  # the folder is gone
        self.sock.close()


@frozen
class Prepared:
    """New grants that are not in force yet.

    Args:
        tables: as they are written.
        grants: with their names looked up.
        faults: what speaks against them; what is wrong with unchanged ones does not.
        told: what is wrong all the same.
        socket: a new one, where another is wanted than there is.
    """

    tables: tuple[GrantTable, ...]
    grants: tuple[Grant, ...]
    faults: list[Fault]
    told: list[Fault]
    socket: BindSocket | None


@mutable
class InForce:
    tables: tuple[GrantTable, ...] = ()
    grants: tuple[Grant, ...] = ()
    socket: BindSocket | None = None


class Grants:
    """What is granted now.

    Args:
        file: the configuration, for faults of the socket.
        acceptor_uid: tells whom the acceptor runs as, which the broker must not.
        log: tells where the log goes, and in which form and facility.
        warn: logs what is wrong with grants, and what happened to the broker.
    """

    def __init__(
        self,
        loop: Loop,
        file: str,
        acceptor_uid: Callable[[], int],
        log: Callable[[], Log],
        warn: Callable[[str], None],
    ) -> None:
        self._file = file
        self._log = log
        self._warn = warn
        self._now = InForce()
        self._broker = BrokerKeeper(loop, acceptor_uid, self._news, warn)

    def prepare(self, config: Config) -> Prepared:
        """Get the grants of a configuration ready, touching nothing that is in force."""
        grants, lacking = look_up(config.grants)
        changed = config.grants != self._now.tables
        faults, told = (lacking, []) if changed else ([], lacking)
        sock = None
        if grants and (self._now.socket is None or self._now.socket.path != config.settings.bind_socket):
            try:
                sock = BindSocket(config.settings.bind_socket, self._file)
            except ConfigError as error:
                faults = [*faults, *error.faults]
        return Prepared(config.grants, grants, faults, told, sock)

    @staticmethod
    def give_up(prepared: Prepared) -> None:
        if prepared.socket is not None:
            prepared.socket.close()

    def put_into_force(self, prepared: Prepared) -> None:
        """Obey new grants; the broker is told, started or ended."""
        for fault in prepared.told:
            self._warn(str(fault))
        old = self._now.socket
        if prepared.socket is not None or not prepared.grants:
            if old is not None:
                old.close()
            old = prepared.socket
        self._now = InForce(prepared.tables, prepared.grants, old)
        self.refresh()

    def begin(self, config: Config) -> None:
        """At start: what is wrong with some grants is told, and the others are in force.

        Raises:
            ConfigError: there is no socket for them.
        """
        prepared = self.prepare(config)
        for fault in prepared.faults:
            if fault.key == "superd.bind_socket":
                raise ConfigError([fault])
            self._warn(str(fault))
        self.put_into_force(prepared)

    def refresh(self) -> None:
        """The log, or something else that the broker must know, is another."""
        if self._now.socket is None:
            self._broker.dismiss()
        else:
            self._broker.want()

    def ended(self, pid: int, status: int) -> None:
        """A process ended; perhaps it was the broker."""
        self._broker.ended(pid, status)

    def close(self) -> None:
        """superd ends. What was bound stays with those who have it."""
        self._broker.dismiss()
        if self._now.socket is not None:
            self._now.socket.close()
            self._now.socket = None

    def _news(self) -> tuple[GrantsUp, list[int]]:
        log, sock = self._log(), self._now.socket
        assert sock is not None  # noqa: S101 - tells mypy what refresh has looked at
        message = GrantsUp(
            log.kind.value, log.settings.log_format, log.settings.syslog_facility, self._now.grants
        )
        return message, [sock.sock.fileno(), log.descriptor]
