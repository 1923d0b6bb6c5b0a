"""What a service is, in the words that the needs of keys ask for: what it listens on, and its mode.

``tcp udp unix``  it has such a listener
``stream``        it has a listener with connections
``nowait wait always``  its mode
``wait-datagrams``  mode = "wait" with datagram listeners alone, whose peers superd sees
"""

from __future__ import annotations

from collections.abc import Iterable

from superd.config.model import Listen, Mode, Scheme, Service

WAIT_DATAGRAMS = "wait-datagrams"

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
}


def traits(listens: Iterable[Listen] | None, mode: Mode | None) -> frozenset[str]:
    """The traits of listeners and a mode; None, for what a fault hides, has all that there may be."""
    schemes = list(Scheme) if listens is None else [listen.scheme for listen in listens]
    modes = list(Mode) if mode is None else [mode]
    found = frozenset[str]().union(*(_OF_SCHEME[scheme] for scheme in schemes), map(str, modes))
    datagrams = listens is None or all(scheme.is_datagram for scheme in schemes)
    return found | {WAIT_DATAGRAMS} if datagrams and Mode.WAIT in modes else found


def traits_of(service: Service) -> frozenset[str]:
    """The traits of a service that is loaded."""
    return traits(service.listen, service.mode)
