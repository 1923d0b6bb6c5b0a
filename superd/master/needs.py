"""Which capabilities the master needs for a configuration, and why: pure.

What is always kept is what a super-server is for, so that no ordinary reload needs more. All else is kept only where a
setting asks for it. CAP_SYS_PTRACE is not: with it the process that has a port could be named at any time, but it is a
way into every process of the machine.

A program of root expects all that root has, and gets from the master what that kept. So one such service has the master
keep everything.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from attrs import frozen

from superd.config.capabilities import Capability
from superd.config.model import Config, Mode, Service, SuperdSettings


@frozen
class Need:
    """One capability, and what needs it.

    Args:
        why: completes "the master keeps it, since …".
        key: the key that asks for it, below its service or ``[superd]``; empty: superd itself does.
        service: the service that asks for it.
    """

    capability: Capability
    why: str
    key: str = ""
    service: Service | None = None


ALWAYS = (
    Need(Capability.CAP_SETUID, "acceptor and spawners become other users"),
    Need(Capability.CAP_SETGID, "acceptor and spawners have the groups of other users"),
    Need(Capability.CAP_SETPCAP, "acceptor and spawners empty their bounding sets"),
    Need(
        Capability.CAP_KILL, "acceptor and spawners, which are other users', are ended when they stand still"
    ),
    Need(Capability.CAP_NET_BIND_SERVICE, "a port below 1024 is what the next reload may ask for"),
    Need(
        Capability.CAP_DAC_READ_SEARCH,
        "programs and files of services may lie in folders of their users alone",
    ),
)


@frozen
class _Row:
    """A setting that takes a capability."""

    capability: Capability
    key: str
    why: str
    asks: Callable[[Service], bool]


def _has_file(service: Service) -> bool:
    return any(listen.scheme.is_unix and listen.path.startswith("/") for listen in service.listen)


def _has_udp_peers(service: Service) -> bool:
    """Whether peers of a UDP listener get sockets of their own, each with its first datagram (peersockets.py)."""
    is_udp = any(listen.scheme.is_datagram and not listen.scheme.is_unix for listen in service.listen)
    return is_udp and service.mode is Mode.NOWAIT and not service.is_served_here


_OF_SERVICES = (
    _Row(
        Capability.CAP_NET_RAW, "mode", "the first datagram of each peer is sent to its child", _has_udp_peers
    ),
    _Row(
        Capability.CAP_NET_RAW,
        "socket.bind_to_device",
        "a socket that is bound to a device is bound again at a reload",
        lambda service: service.socket.bind_to_device is not None,
    ),
    _Row(
        Capability.CAP_NET_ADMIN,
        "socket.mark",
        "SO_MARK is privileged",
        lambda service: service.socket.mark is not None,
    ),
    _Row(
        Capability.CAP_NET_ADMIN,
        "socket.tcp_congestion",
        "the kernel grants everybody only some of them",
        lambda service: service.socket.tcp_congestion is not None,
    ),
    _Row(
        Capability.CAP_NET_ADMIN,
        "socket.receive_buffer",
        "it may be larger than the system's maximum",
        lambda service: service.socket.receive_buffer_bytes is not None,
    ),
    _Row(
        Capability.CAP_NET_ADMIN,
        "socket.send_buffer",
        "it may be larger than the system's maximum",
        lambda service: service.socket.send_buffer_bytes is not None,
    ),
    _Row(
        Capability.CAP_DAC_OVERRIDE, "listen", "a socket's file may stand in the folder of a user", _has_file
    ),
    _Row(Capability.CAP_FOWNER, "listen", "a stale socket there may be somebody else's", _has_file),
    _Row(
        Capability.CAP_CHOWN,
        "socket.socket_user",
        "the file is given to that user",
        lambda service: service.socket.socket_user is not None,
    ),
    _Row(
        Capability.CAP_CHOWN,
        "socket.socket_group",
        "the file is given to that group",
        lambda service: service.socket.socket_group is not None,
    ),
    _Row(
        Capability.CAP_SYS_CHROOT,
        "root_directory",
        "spawners enter it",
        lambda service: bool(service.root_directory),
    ),
    _Row(
        Capability.CAP_SYS_NICE,
        "nice",
        "a priority above the normal one is privileged",
        lambda service: service.nice < 0,
    ),
    _Row(
        Capability.CAP_SYS_RESOURCE,
        "limit_*",
        "a limit may be higher than superd's own",
        lambda service: bool(service.resource_limits),
    ),
)


def needs(config: Config, roots: Container[str]) -> Iterator[Need]:
    """Yield all that a configuration needs; a capability comes once for each thing that needs it.

    Args:
        roots: names of the services whose programs run as root.
    """
    yield from ALWAYS
    yield from _of_settings(config.settings)
    for service in config.services.values():
        if not service.enabled:
            continue
        if service.name in roots:
            for capability in Capability:
                yield Need(capability, "its programs are root's and get what superd has", "user", service)
        yield from (
            Need(row.capability, row.why, row.key, service) for row in _OF_SERVICES if row.asks(service)
        )


def _of_settings(settings: SuperdSettings) -> Iterator[Need]:
    for key in ("control_group", "control_admin_group"):
        if getattr(settings, key):
            yield Need(Capability.CAP_CHOWN, "the control socket is given to that group", key)
    if settings.log.startswith("/"):
        yield Need(Capability.CAP_DAC_OVERRIDE, "the log may be another user's when it is opened anew", "log")
