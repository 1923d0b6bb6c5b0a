"""What a service is, in the words that the needs of keys ask for: what it listens on, and its mode.

``tcp udp unix``  it has such a listener
``stream``        it has a listener with connections
``via-tcpmux``    it is reached through tcpmux
``exec handler builtin forward``  what serves it, and the builtin's name
``nowait wait always``  its mode
``wait-datagrams``  mode = "wait" with datagram listeners alone, whose peers superd sees
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from superd.config.model import Builtin, Listen, Mode, Scheme, Service

WAIT_DATAGRAMS = "wait-datagrams"

SERVERS = ("exec", "handler", "builtin", "forward")
"""The keys of which one says what serves a service; forward may stand with exec."""

VIA_TCPMUX = "via-tcpmux"

_OF_SCHEME = {
    Scheme.TCP: frozenset({"tcp", "stream"}),
    Scheme.TCP4: frozenset({"tcp", "stream"}),
    Scheme.TCP6: frozenset({"tcp", "stream"}),
    Scheme.UDP: frozenset({"udp"}),
    Scheme.UDP4: frozenset({"udp"}),
    Scheme.UDP6: frozenset({"udp"}),
    Scheme.UNIX: frozenset({"unix", "stream"}),
    Scheme.UNIX_DGRAM: frozenset({"unix"}),
    Scheme.UNIX_SEQPACKET: frozenset({"unix", "stream"}),
    Scheme.TCPMUX: frozenset({VIA_TCPMUX}),
}


def traits(
    listens: Iterable[Listen] | None, mode: Mode | None, server: frozenset[str] | None
) -> frozenset[str]:
    """The traits of listeners, a mode and what serves; None, for what a fault hides, has all that there may be.

    Args:
        server: as ``server_traits`` gives them.
    """
    schemes = list(Scheme) if listens is None else [listen.scheme for listen in listens]
    modes = list(Mode) if mode is None else [mode]
    found = frozenset[str]().union(*(_OF_SCHEME[scheme] for scheme in schemes), map(str, modes))
    datagrams = listens is None or all(scheme.is_datagram for scheme in schemes)
    waits = frozenset({WAIT_DATAGRAMS}) if datagrams and Mode.WAIT in modes else frozenset[str]()
    return found | waits | (server_traits(SERVERS, None) if server is None else server)


def server_traits(keys: Collection[str], builtin: Builtin | None) -> frozenset[str]:
    """The traits of what serves.

    Args:
        keys: those of ``SERVERS`` that are written.
        builtin: which one, where that is among them; None is any of them.
    """
    names = [builtin] if builtin else list(Builtin)
    return frozenset(map(str, (*keys, *(names if "builtin" in keys else ()))))


def traits_of(service: Service) -> frozenset[str]:
    """The traits of a service that is loaded."""
    keys = [name for name in SERVERS if getattr(service, name)]
    return traits(service.listen, service.mode, server_traits(keys, service.builtin))
