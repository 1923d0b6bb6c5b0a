"""What a child is: pure. A service and a peer in, argv, environment and descriptors out.

``describe`` says in words exactly what will be executed; ``superctl explain`` and the tests read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from socket import AF_INET, AF_INET6, AF_UNIX, inet_ntop

from superd.config.model import Service
from superd.kernel.identity import Identity
from superd.wire.messages import Peer

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Environment = dict[bytes, bytes]

_INET_PREFIX = {False: b"TCP", True: b"UDP"}


def base_environment(
    service: Service,
    identity: Identity,
    caller: Mapping[str, str],
    from_file: Mapping[str, str],
) -> Environment:
    """What every child of a service has in its environment, whoever the peer is.

    Later wins: the built-in variables, those passed on from ``caller`` (superd's own environment), the
    service's ``environment``, its ``environment_file`` (systemd.exec(5) has that order too), SUPERD_SERVICE.
    """
    passed = {name: caller[name] for name in service.pass_environment if name in caller}
    variables = {
        "PATH": DEFAULT_PATH,
        "HOME": identity.home,
        "USER": identity.user,
        "LOGNAME": identity.user,
        "SHELL": identity.shell,
        **passed,
        **service.environment,
        **from_file,
        "SUPERD_SERVICE": service.name,
    }
    return {encode(name): encode(value) for name, value in variables.items()}


def peer_environment(peer: Peer) -> Environment:
    """The variables that name the peer of one connection.

    UCSPI's (PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP, TCPLOCALPORT; UDP… for a connected datagram socket;
    UNIXREMOTEPID, …EUID, …EGID as s6-ipcserver(1) gives them), systemd's REMOTE_ADDR and REMOTE_PORT, and
    xinetd's REMOTE_HOST.
    """
    if peer.family == AF_UNIX:
        return {
            b"PROTO": b"UNIX",
            b"UNIXREMOTEPID": b"%d" % peer.pid,
            b"UNIXREMOTEEUID": b"%d" % peer.uid,
            b"UNIXREMOTEEGID": b"%d" % peer.gid,
        }
    kind = _INET_PREFIX[peer.datagram]
    remote, remote_port = _address(peer.family, peer.remote, peer.scope), b"%d" % peer.remote_port
    return {
        b"PROTO": kind,
        kind + b"REMOTEIP": remote,
        kind + b"REMOTEPORT": remote_port,
        kind + b"LOCALIP": _address(peer.family, peer.local, peer.scope),
        kind + b"LOCALPORT": b"%d" % peer.local_port,
        b"REMOTE_ADDR": remote,
        b"REMOTE_PORT": remote_port,
        b"REMOTE_HOST": remote,
    }


def _address(family: int, packed: bytes, scope: int) -> bytes:
    text = inet_ntop(AF_INET if family == AF_INET else AF_INET6, packed).encode()
    is_link_local = family == AF_INET6 and packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
    return b"%s%%%d" % (text, scope) if scope and is_link_local else text


def listen_environment(names: Iterable[str], pid: int) -> Environment:
    """systemd's socket activation protocol, sd_listen_fds(3): descriptors from 3 on, for this pid only."""
    names = tuple(names)
    return {
        b"LISTEN_FDS": b"%d" % len(names),
        b"LISTEN_PID": b"%d" % pid,
        b"LISTEN_FDNAMES": ":".join(names).encode(),
    }


def listen_names(service: Service, listeners: int) -> tuple[str, ...]:
    """LISTEN_FDNAMES: one name for each listener, ``file_descriptor_name`` or the service's own."""
    return (service.file_descriptor_name or service.name,) * listeners


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
