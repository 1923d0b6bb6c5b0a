"""Which capabilities the master needs for a configuration, and why: pure.

What is always kept is what a super-server is for, so that no ordinary reload needs more. All else is kept only where a
setting asks for it. CAP_SYS_PTRACE is not: with it the process that has a port could be named at any time, but it is a
way into every process of the machine. Only ``programs`` of grants ask for it.

A program can have no more than the master kept: its bounding set is cut out of the master's. A program of root expects
all that root has, so one such service has the master keep everything.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from attrs import frozen

from superd.config.capabilities import Capability
from superd.config.model import Config, Mode, Service, SuperdSettings
from superd.config.sandbox import Profile, ProtectHome, ProtectProc, ProtectSystem, Sandbox, effective


@frozen
class Need:
    """One capability, and what needs it.

    Args:
        capability: None: that executing a file may grant privileges.
        why: completes "the master keeps it, since …".
        key: the key that asks for it, below its service or ``[superd]``; empty: superd itself does.
        service: the service that asks for it.
    """

    capability: Capability | None
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


@frozen
class _SandboxRow:
    """A key of ``[sandbox]`` that takes a capability while the sandbox is being built."""

    capability: Capability
    why: str
    keys: tuple[str, ...]


_NOT_ASKED = (None, False, (), ProtectSystem.NO, ProtectHome.NO, ProtectProc.DEFAULT)
"""What a key says that asks for nothing."""

_MOUNTING = (
    "private_tmp",
    "private_devices",
    "private_pids",
    "private_network",
    "private_users",
    "protect_system",
    "protect_home",
    "protect_kernel_tunables",
    "protect_kernel_modules",
    "protect_control_groups",
    "protect_proc",
    "read_only_paths",
    "read_write_paths",
    "inaccessible_paths",
    "no_exec_paths",
)

_OF_SANDBOXES = (
    _SandboxRow(Capability.CAP_SYS_ADMIN, "namespaces and mounts are privileged", _MOUNTING),
    _SandboxRow(Capability.CAP_NET_ADMIN, "the loopback interface is switched on", ("private_network",)),
    _SandboxRow(Capability.CAP_SETFCAP, "root is one of the users that are mapped", ("private_users",)),
)


def needs(config: Config, roots: Container[str]) -> Iterator[Need]:
    """Yield all that a configuration needs; a capability comes once for each thing that needs it.

    Args:
        roots: names of the services whose programs run as root.
    """
    yield from ALWAYS
    yield from _of_settings(config.settings)
    if any(grant.programs for grant in config.grants):
        yield Need(
            Capability.CAP_SYS_PTRACE, "what a process executes is compared with them", "grants.programs"
        )
    for service in config.services.values():
        if service.enabled:
            yield from (
                Need(row.capability, row.why, row.key, service) for row in _OF_SERVICES if row.asks(service)
            )
        if service.enabled and service.has_children:
            yield from _of_programs(service, is_root=service.name in roots)


def _of_settings(settings: SuperdSettings) -> Iterator[Need]:
    for key in ("control_group", "control_admin_group"):
        if getattr(settings, key):
            yield Need(Capability.CAP_CHOWN, "the control socket is given to that group", key)
    if settings.log.startswith("/"):
        yield Need(Capability.CAP_DAC_OVERRIDE, "the log may be another user's when it is opened anew", "log")


def _of_programs(service: Service, *, is_root: bool) -> Iterator[Need]:
    """What a service's programs may have, and what it takes to build their sandbox."""
    sandbox = effective(service.sandbox, is_root)
    for row in _OF_SANDBOXES:
        for key in row.keys:
            if getattr(sandbox, key) not in _NOT_ASKED:
                yield Need(row.capability, row.why, _written(service.sandbox, key, is_root), service)
    key = _written(service.sandbox, "capability_bounding_set", is_root)
    for name in sandbox.capability_bounding_set or ():
        yield Need(Capability[name], "its programs may have it", key, service)
    if not sandbox.no_new_privileges:
        key = _written(service.sandbox, "no_new_privileges", is_root)
        yield Need(None, "its programs may execute files that grant privileges", key, service)
        yield Need(Capability.CAP_SYS_ADMIN, "its filters are loaded without no_new_privs", key, service)


def _written(sandbox: Sandbox, key: str, is_root: bool) -> str:
    """The key that made a sandbox what it is: itself, or what says so for all that are not written."""
    if getattr(sandbox, key) is not None:
        return f"sandbox.{key}"
    if sandbox.dynamic_user:
        return "sandbox.dynamic_user"
    return "user" if is_root and sandbox.profile is Profile.DEFAULT else "sandbox.profile"
