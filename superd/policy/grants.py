"""Grants: who may bind which port, through superd-bind. Pure, as all policy: no socket, no process, no name.

A grant only ever allows; what no grant allows is refused. So the order of grants means nothing but which of them is
named in the log: the first that fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache

from attrs import frozen

from superd.policy.networks import Network, parse_address, parse_network

ANY = "*"
"""Every address."""

_WILDCARDS = {"0.0.0.0": Network(4, 0, 32), "::": Network(6, 0, 128)}  # noqa: S104 - nothing is bound here


@frozen
class Ports:
    """Ports of one transport.

    Args:
        transport: ``tcp`` or ``udp``.
        first, last: 1 to 65535, both included.
    """

    transport: str
    first: int
    last: int

    def __str__(self) -> str:
        """As it is written: ``tcp/80`` or ``tcp/8000-8010``."""
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.transport}/{span}"


@frozen
class Grant:
    """One ``[[grants]]`` with its names looked up.

    Args:
        name: how the log calls it.
        ports: any of them.
        addresses: addresses and networks as text, or ``*``.
        everyone: all users.
        uids, gids: these users, and the members of these groups.
        programs: absolute paths; empty for any program.
        reuse_port: sockets that share their port (SO_REUSEPORT) are allowed too.
    """

    name: str
    ports: tuple[Ports, ...]
    addresses: tuple[str, ...]
    everyone: bool
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    programs: tuple[str, ...]
    reuse_port: bool

    def admits(self, uid: int, gids: Iterable[int]) -> bool:
        """Whether it is a user's, by any of his groups or by himself."""
        return self.everyone or uid in self.uids or not set(self.gids).isdisjoint(gids)

    def covers(self, wish: Wish) -> bool:
        """Whether the port at the address is among its own."""
        return any(
            ports.transport == wish.transport and ports.first <= wish.port <= ports.last
            for ports in self.ports
        ) and any(_contains(text, wish.address) for text in self.addresses)


@frozen
class Who:
    """Who asks.

    Args:
        uid, gids: as the kernel noted them when he connected to the broker.
        program: what his process executes, an absolute path; empty when that could not be found out.
    """

    uid: int
    gids: frozenset[int]
    program: str


@frozen
class Wish:
    """What is to be bound.

    Args:
        transport: ``tcp`` or ``udp``.
        address: in figures; IPv4 in the clothes of IPv6 is IPv4.
        port: 1 to 65535.
        reuse_port: whether the socket shares its port (SO_REUSEPORT).
    """

    transport: str
    address: str
    port: int
    reuse_port: bool = False


class Refusal(StrEnum):
    """Why a port is not granted; the word of the log."""

    NO_GRANT = "no-grant"  # none is this user's, for this port at this address
    PROGRAM = "program"  # one is, for other programs
    REUSE_PORT = "reuse-port"  # one is, but not for sockets that share their port
    PROCESS = "process"  # the process it is for is not the user's own


@frozen
class GrantDecision:
    """What became of a wish.

    Args:
        rule: the grant that decided; empty where none was near.
        refusal: None when it is granted.
    """

    rule: str
    refusal: Refusal | None = None

    @property
    def granted(self) -> bool:
        return self.refusal is None


def decide(grants: Iterable[Grant], who: Who, wish: Wish) -> GrantDecision:
    """Whether someone may bind a port.

    Returns:
        The first grant that allows it; else the refusal of the one that comes nearest.
    """
    nearest = GrantDecision("", Refusal.NO_GRANT)
    for grant in grants:
        if not (grant.admits(who.uid, who.gids) and grant.covers(wish)):
            continue
        refusal = _shortfall(grant, who, wish)
        if refusal is None:
            return GrantDecision(grant.name)
        if nearest.refusal is Refusal.NO_GRANT:
            nearest = GrantDecision(grant.name, refusal)
    return nearest


def _shortfall(grant: Grant, who: Who, wish: Wish) -> Refusal | None:
    """What still speaks against a grant of this user and port."""
    if grant.programs and who.program not in grant.programs:
        return Refusal.PROGRAM
    return Refusal.REUSE_PORT if wish.reuse_port and not grant.reuse_port else None


def grants_of(grants: Iterable[Grant], uid: int, gids: frozenset[int]) -> Iterator[Grant]:
    """The grants that a user has."""
    return (grant for grant in grants if grant.admits(uid, gids))


def _contains(text: str, address: str) -> bool:
    if text == ANY:
        return True
    network = parse_place(text)
    version, value = parse_address(address)
    return network.version == version and network.overlaps(
        Network(version, value, 32 if version == 4 else 128)
    )


@cache  # of what the configuration says, so bounded
def parse_place(text: str) -> Network:
    """Parse an item of ``addresses``: as ``parse_network``, but 0.0.0.0 and :: are what sockets on all addresses have.

    Raises:
        UnitError: it is no address or network.
    """
    return _WILDCARDS.get(text) or parse_network(text)
