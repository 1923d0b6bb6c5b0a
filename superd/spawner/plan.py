"""What a child is: pure. A service and a peer in, argv, environment and descriptors out.

``describe`` says in words exactly what will be executed; ``superctl explain`` and the tests read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from superd.config.model import Service
from superd.kernel.identity import Identity

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Environment = dict[bytes, bytes]


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
