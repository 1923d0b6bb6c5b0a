"""One service of an inetd.conf, as it stands there, before anybody asks what superd makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, field, frozen

from superd.config.legacy.carried import Fate, Origin


@frozen
class Note:
    """Something to tell about a service.

    Args:
        fate: what became of the line, as far as this is concerned.
        reason: as in Remark.
        key: the dotted key of superd's that it is about; empty for the whole service.
    """

    fate: Fate
    reason: str
    key: str = ""


class EntryError(Exception):
    """A line makes no service: the reason, and what became of it."""

    def __init__(self, reason: str, fate: Fate = Fate.FAULT) -> None:
        self.reason = reason
        self.fate = fate
        super().__init__(reason)


@frozen
class Limits:
    """Numbers behind wait and nowait; None where none is written.

    Args:
        per_min: starts a minute.
        children: children at once; of FreeBSD and NetBSD.
        per_source_per_min: connections a minute of one source.
        per_source: children at once of one source.
    """

    per_min: int | None = None
    children: int | None = None
    per_source_per_min: int | None = None
    per_source: int | None = None


@frozen
class Entry:
    """One service.

    Args:
        origin: its first line.
        hosts: the addresses or names before the service; empty: all addresses.
        service: name, number, path, ``tcpmux/name`` or RPC program.
        socket_type: ``stream``, ``dgram`` and so on.
        protocol: ``tcp6``, ``unix``, ``rpc/udp``.
        wait: whether one child owns the socket.
        user: as written, with its group.
        program: as written; empty or ``internal`` for a built-in service.
        argv: as written, from argv[0] on.
        buffers: ``sndbuf`` and ``rcvbuf`` as written.
        filter: of ``stream:filter``.
        limits: behind wait and nowait.
        enabled: whether it was on.
        group: by itself, as NetBSD's other notation has it; empty: in user.
        socket_owner: user, group and mode before a unix socket's path.
        protected: it stood under an IPsec policy.
        notes: what there is to tell.
    """

    origin: Origin
    hosts: tuple[str, ...]
    service: str
    socket_type: str
    protocol: str
    wait: bool
    user: str
    program: str
    argv: tuple[str, ...] = ()
    buffers: Mapping[str, str] = Factory(dict)
    filter: str = ""
    limits: Limits = Limits()
    enabled: bool = True
    group: str = ""
    socket_owner: tuple[str, str, str] = ("", "", "")
    protected: bool = False
    notes: tuple[Note, ...] = field(default=(), eq=False)

    @property
    def is_internal(self) -> bool:
        """Whether inetd served it by itself."""
        return self.program in ("", "internal")

    @property
    def transport(self) -> str:
        """``tcp``, ``udp``, ``unix`` or ``rpc``."""
        if self.protocol.startswith("rpc/"):
            return "rpc"
        return self.protocol if self.protocol == "unix" else self.protocol[:3]
