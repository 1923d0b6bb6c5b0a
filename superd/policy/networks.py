"""Addresses and networks as numbers, and a table of networks that finds the most specific one.

An address is a pair of plain integers, its version and its value, since the policy looks at every connection and
should make no objects for it. IPv4 in the clothes of IPv6 (RFC 4291, 2.5.5.2) is IPv4 everywhere here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Generic, TypeVar

from attrs import frozen

from superd.errors import UnitError
from superd.policy.spellings import explain

V = TypeVar("V")

WIDTHS = {4: 32, 6: 128}
"""Bits of an address of each version."""

_FAMILIES = {4: AF_INET, 6: AF_INET6}
_MAPPED = 0xFFFF  # the upper 96 bits of an IPv4-mapped address
_LOWER_32 = 0xFFFF_FFFF
_SIX = 1 << 32  # what the key of an IPv6 source has more than that of any IPv4 one


@frozen
class Network:
    """The addresses that begin with the same bits; a single address is one with all of them.

    Args:
        version: 4 or 6.
        value: its lowest address.
        length: how many bits are the same, 0 to 32 or 128.
    """

    version: int
    value: int
    length: int

    def order(self) -> tuple[int, int, int]:
        """What to sort by for ``NetworkTable.add``."""
        return self.version, self.value, self.length

    @property
    def is_single(self) -> bool:
        """Whether it is one address."""
        return self.length == WIDTHS[self.version]

    def __str__(self) -> str:
        """The canonical spelling: ``192.0.2.0/24``, and ``192.0.2.1`` for a single address."""
        text = address_text(self.version, self.value)
        return text if self.is_single else f"{text}/{self.length}"

    def overlaps(self, other: Network) -> bool:
        """Whether they share an address: then one of them is inside the other."""
        shift = WIDTHS[self.version] - min(self.length, other.length)
        return self.version == other.version and self.value >> shift == other.value >> shift


def address_text(version: int, value: int) -> str:
    """The canonical spelling of an address. Source: RFC 5952 for IPv6."""
    return inet_ntop(_FAMILIES[version], value.to_bytes(WIDTHS[version] // 8))


def parse_address(text: str) -> tuple[int, int]:
    """Version and value of an address in figures; a scope is left out, IPv4-mapped IPv6 is IPv4.

    Raises:
        UnitError: it is no address.

    Source: inet_pton(3); RFC 4291, 2.5.5.2.
    """
    six = ":" in text
    packed = _pack(text.partition("%")[0] if six else text)
    if packed is None:
        raise UnitError("not an address", 'write "192.0.2.1" or "2001:db8::1"')
    value = int.from_bytes(packed)
    if not six:
        return 4, value
    return (4, value & _LOWER_32) if value >> 32 == _MAPPED else (6, value)


def parse_network(text: str) -> Network:
    """Parse ``192.0.2.1``, ``192.0.2.0/24``, ``2001:db8::1`` or ``2001:db8::/32``.

    ``::/0`` is all of IPv6 and nothing of IPv4.

    Raises:
        UnitError: it is no such text; the remedy is what was probably meant.

    Source: inet_pton(3); RFC 4632, 3.1; RFC 4291, 2.3.
    """
    network = read_network(text)
    if network is None:
        raise explain(text, parse_network)
    return network


def read_network(text: str) -> Network | None:
    """As ``parse_network``, but None for what is not the text of a network at all (a host name, say).

    Raises:
        UnitError: it is the text of a network, but of one that cannot be meant.
    """
    address, slash, digits = text.partition("/")
    packed = _pack(address)
    if packed is None or (slash and not _is_number(digits)):
        return None
    width = len(packed) * 8
    length = int(digits) if slash else width
    if length > width:
        raise UnitError(f"no prefix length of {length} bits", f"write at most /{width}")
    return _checked(Network(4 if width == 32 else 6, int.from_bytes(packed), length))


def _pack(address: str) -> bytes | None:
    try:
        return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except (OSError, ValueError):  # ValueError: a NUL or a lone surrogate
        return None


def _is_number(digits: str) -> bool:
    """Whether it is a prefix length as RFC 4632 writes them: at most three figures, no sign, no leading zero."""
    return digits.isascii() and digits.isdigit() and len(digits) <= 3 and str(int(digits)) == digits


def _checked(network: Network) -> Network:
    """The network itself, once it is known to be one that is meant."""
    version, value, length = network.version, network.value, network.length
    if network.is_single and not value:
        raise UnitError("an address that nobody has", f'write "{network}/0" if everyone is meant')
    mapped = version == 6 and value >> 32 == _MAPPED
    if mapped and length >= 96:
        four = _checked(_cut(4, value & _LOWER_32, length - 96))
        raise UnitError("IPv4 written as IPv6", f'write "{four}"')
    whole = _cut(version, value, length)
    if whole != network:
        single = "" if mapped else f' or "{address_text(version, value)}"'
        raise UnitError(f"bits set beyond the first {length}", f'write "{whole}"{single}')
    return network


def _cut(version: int, value: int, length: int) -> Network:
    """The network of some length that an address is in."""
    shift = WIDTHS[version] - length
    return Network(version, value >> shift << shift, length)


class NetworkTable(Generic[V]):
    """Values by network, for many more lookups than changes.

    The numbers of all addresses are kept cut into stretches, each with the value of the most specific network
    around it. So a lookup is one bisection, however many networks and prefix lengths there are.
    """

    def __init__(self) -> None:
        self._four: _Stretches[V] = _Stretches()
        self._six: _Stretches[V] = _Stretches()

    def add(self, network: Network, value: V) -> None:
        """Give a network its value, in place of the one it may have; many are added fastest in ascending order."""
        stretches = self._four if network.version == 4 else self._six
        size = 1 << (WIDTHS[network.version] - network.length)
        stretches.put(network.value, network.value + size, network.length, value)

    def lookup(self, version: int, value: int) -> V | None:
        """The value of the most specific network that an address is in; None when it is in none."""
        stretches = self._four if version == 4 else self._six
        return stretches.values[bisect_right(stretches.starts, value) - 1]


class _Stretches(Generic[V]):
    """Where each stretch starts, in order, with the length of the prefix that its value is of, and the value."""

    __slots__ = ("_lengths", "starts", "values")

    def __init__(self) -> None:
        self.starts = [0]
        self.values: list[V | None] = [None]
        self._lengths = [-1]

    def put(self, start: int, end: int, length: int, value: V) -> None:
        first, last = self._cut(start), self._cut(end)
        for index in range(first, last):
            if self._lengths[index] <= length:
                self._lengths[index] = length
                self.values[index] = value

    def _cut(self, start: int) -> int:
        """The stretch that starts there, which is made if there is none."""
        index = bisect_left(self.starts, start)
        if index == len(self.starts) or self.starts[index] != start:
            self.starts.insert(index, start)
            self._lengths.insert(index, self._lengths[index - 1])
            self.values.insert(index, self.values[index - 1])
        return index


def source_key(version: int, value: int, prefix4: int, prefix6: int) -> int:
    """A source, which is an address cut to its prefix, as one number; no two sources have the same.

    Args:
        version, value: the address.
        prefix4: how many bits of an IPv4 address are one source, 0 to 32.
        prefix6: how many bits of an IPv6 address are one source, 0 to 128.
    """
    if version == 4:
        return value >> (32 - prefix4)
    return (value >> (128 - prefix6)) + _SIX


def source_network(key: int, prefix4: int, prefix6: int) -> Network:
    """The addresses that are one source.

    Args:
        key: what ``source_key`` made with the same prefixes.
    """
    if key < _SIX:
        return Network(4, key << (32 - prefix4), prefix4)
    return Network(6, (key - _SIX) << (128 - prefix6), prefix6)
