"""Making endpoints of ``listen`` values as an administrator writes them."""

from __future__ import annotations

import attrs

from superd.config.model import Listen, Mode, Scheme, Service, SocketOptions
from superd.kernel.listen import Endpoint, plan_endpoints


def listen(text: str) -> Listen:
    """Parse just enough of a ``listen`` value for these tests."""
    scheme, _, rest = text.partition("://")
    if scheme.startswith("unix"):
        return Listen(text, Scheme(scheme), path=rest)
    host, _, port = rest.rpartition(":")
    address, _, scope = host.strip("[]").partition("%")
    return Listen(text, Scheme(scheme), host=address, port=int(port), scope=scope)


def plan(
    *texts: str, mode: Mode = Mode.NOWAIT, ipv6: bool = True, dual_stack: bool | None = None
) -> tuple[Endpoint, ...]:
    options = SocketOptions(dual_stack=dual_stack)
    listens = tuple(map(listen, texts))
    service = Service(name="s", listen=listens, exec=("/bin/true",), mode=mode, socket=options)
    return plan_endpoints(service, ipv6=ipv6)


def endpoint(text: str) -> Endpoint:
    """Return the only endpoint of ``text``."""
    (only,) = plan(text)
    return only


def at_port(inet: Endpoint, port: int, host: str | None = None) -> Endpoint:
    """Return an endpoint with another port, as where the kernel has chosen it, and perhaps another host."""
    return attrs.evolve(inet, address=(host or str(inet.address[0]), port))
