"""Which sockets a service needs: pure, from the configuration alone.

One ``listen`` value may want two sockets. ``*`` in nowait mode opens one for each family, because a program that
knows only AF_INET must not be handed an AF_INET6 connection from an IPv4 client. In wait and always mode the
program owns the listener and most such programs serve but one, so they get a single dual-stack socket.
Of TCP, ``dual_stack`` may ask for either in any mode.
"""

from __future__ import annotations

import socket

from attrs import frozen

from superd.config.model import Listen, Mode, Scheme, Service

_IPV4 = int(socket.AF_INET)
_IPV6 = int(socket.AF_INET6)
_STREAM = int(socket.SOCK_STREAM)
_DATAGRAM = int(socket.SOCK_DGRAM)

# Host names that stand for an address of each family.
_NAMED_HOSTS = {
    "*": {_IPV4: "0.0.0.0", _IPV6: "::"},  # noqa: S104 - that is what * asks for
    "localhost": {_IPV4: "127.0.0.1", _IPV6: "::1"},
}

_FAMILIES = {
    Scheme.TCP: (_IPV4, _IPV6),
    Scheme.TCP4: (_IPV4,),
    Scheme.TCP6: (_IPV6,),
    Scheme.UDP: (_IPV4, _IPV6),
    Scheme.UDP4: (_IPV4,),
    Scheme.UDP6: (_IPV6,),
}

_UNIX_TYPES = {
    Scheme.UNIX: _STREAM,
    Scheme.UNIX_DGRAM: _DATAGRAM,
    Scheme.UNIX_SEQPACKET: int(socket.SOCK_SEQPACKET),
}


@frozen
class Endpoint:
    """One socket to be opened.

    Args:
        name: unique in the service, and the same after a reload: the ``listen`` value where that opens one
            socket, else spelt by family (``tcp4://*:21``).
        listen: the value that asks for it.
        family: AF_INET, AF_INET6 or AF_UNIX.
        type: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
        address: host and port; the path of a unix socket (``@name`` for the abstract namespace).
        v6only: IPV6_V6ONLY, None where the family has none.
    """

    name: str
    listen: Listen
    family: int
    type: int
    address: tuple[str, int] | str
    v6only: bool | None = None

    @property
    def is_unix(self) -> bool:
        return isinstance(self.address, str)

    @property
    def is_tcp(self) -> bool:
        return self.type == _STREAM and not self.is_unix

    @property
    def is_udp(self) -> bool:
        return self.type == _DATAGRAM and not self.is_unix

    @property
    def is_ipv6(self) -> bool:
        return self.family == _IPV6

    @property
    def carries_ipv4(self) -> bool:
        """Whether IPv4 clients reach it; on a dual-stack socket they do."""
        return self.family == _IPV4 or self.v6only is False

    @property
    def has_socket_file(self) -> bool:
        return isinstance(self.address, str) and not self.address.startswith("@")


def plan_endpoints(service: Service, *, ipv6: bool) -> tuple[Endpoint, ...]:
    """Return the sockets of a service, in the order of ``listen``.

    Args:
        service: its configuration.
        ipv6: whether this machine has IPv6 (``ipv6_available``); without it ``*`` and ``localhost`` mean IPv4
            alone, while what names IPv6 is planned all the same, so that opening it says what is missing.
    """
    own = (listen for listen in service.listen if listen.scheme is not Scheme.TCPMUX)
    return tuple(endpoint for listen in own for endpoint in _plan(listen, service, ipv6))


def ipv6_available() -> bool:
    """Return whether IPv6 is on: ::1 can be bound.

    A socket alone proves nothing: with net.ipv6.conf.all.disable_ipv6 it can be made, and even bound to ``::``.
    """
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def socket_address(endpoint: Endpoint) -> tuple[str, int] | tuple[str, int, int, int] | str:
    """Return what bind wants, the interface of a link-local address looked up.

    Raises:
        OSError: there is no such interface (ENODEV).
    """
    if isinstance(endpoint.address, str):
        return endpoint.address.replace("@", "\0", 1) if not endpoint.has_socket_file else endpoint.address
    if not endpoint.is_ipv6:
        return endpoint.address
    return (*endpoint.address, 0, _scope_id(endpoint.listen.scope))


def _scope_id(interface: str) -> int:
    if not interface:
        return 0
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise OSError(error.errno, f"no interface {interface}") from error


def _plan(listen: Listen, service: Service, ipv6: bool) -> tuple[Endpoint, ...]:
    if listen.scheme.is_unix:
        family, kind = int(socket.AF_UNIX), _UNIX_TYPES[listen.scheme]
        return (Endpoint(listen.text, listen, family, kind, listen.path),)
    kind = _DATAGRAM if listen.scheme.is_datagram else _STREAM
    hosts = _hosts(listen, ipv6)
    if listen.host == "*" and len(hosts) == 2 and _is_dual(listen, service):
        return (Endpoint(listen.text, listen, _IPV6, kind, (hosts[_IPV6], listen.port), v6only=False),)
    return tuple(
        Endpoint(
            name=listen.text if len(hosts) == 1 else _name(listen, family),
            listen=listen,
            family=family,
            type=kind,
            address=(host, listen.port),
            v6only=True if family == _IPV6 else None,
        )
        for family, host in hosts.items()
    )


def _is_dual(listen: Listen, service: Service) -> bool:
    """Whether ``*`` is one socket for both families."""
    asked = service.socket.dual_stack
    if asked is None or listen.scheme.is_datagram:
        return service.mode is not Mode.NOWAIT
    return asked


def _hosts(listen: Listen, ipv6: bool) -> dict[int, str]:
    """Return the address to bind in each family that is wanted."""
    named = _NAMED_HOSTS.get(listen.host)
    if named is None:
        return {_IPV6 if ":" in listen.host else _IPV4: listen.host}
    families = _FAMILIES[listen.scheme]
    if not ipv6 and len(families) == 2:
        families = (_IPV4,)
    return {family: named[family] for family in families}


def _name(listen: Listen, family: int) -> str:
    return f"{listen.scheme}{4 if family == _IPV4 else 6}://{listen.host}:{listen.port}"
