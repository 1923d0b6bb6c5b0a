"""Patterns of a host: of the client, or of the server's address that it connected to."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from socket import AF_INET, AF_INET6, inet_aton, inet_pton
from typing import Protocol

from attrs import frozen

from superd.policy.hosts_access.lines import split_at
from superd.policy.hosts_access.texts import TextMatch, fold, partial_match
from superd.policy.networks import WIDTHS, address_text

Address = tuple[int, int]
"""Version and value."""


class Weight(Enum):
    """How much it matters that a pattern means less here, or says something else, than one may think."""

    REMARK = "remark"  # it means what it means to tcpd, but hardly what was meant
    NAME = "name"  # it needs the host's name: a fault where that admits anybody whom tcpd would not
    FAULT = "fault"  # superd cannot do it


@frozen
class Note:
    """What there is to say about a pattern or an option."""

    weight: Weight
    problem: str
    remedy: str


@frozen
class Endpoint:
    """One end of a connection.

    Args:
        version, value: its address.
        text: the address as inet_ntop(3) spells it.
        named: the addresses of each host name, as far as they are known.
    """

    version: int
    value: int
    text: str
    named: Mapping[str, Collection[Address]]


class HostPattern(Protocol):
    """A pattern of a host."""

    def matches(self, host: Endpoint) -> bool:
        """Whether the host is meant."""


@frozen
class Always:
    """Every host, or none."""

    answer: bool

    def matches(self, host: Endpoint) -> bool:
        return self.answer


@frozen
class Masked:
    """The addresses that are ``net`` in the bits of ``mask``, which need not be the first ones."""

    version: int
    mask: int
    net: int

    def matches(self, host: Endpoint) -> bool:
        return host.version == self.version and host.value & self.mask == self.net


@frozen
class Spelled:
    """The addresses whose text matches."""

    match: TextMatch

    def matches(self, host: Endpoint) -> bool:
        return self.match(host.text)


@frozen
class Named:
    """The addresses of a host name."""

    name: str

    def matches(self, host: Endpoint) -> bool:
        return (host.version, host.value) in host.named.get(self.name, ())


EVERYONE = Always(True)
NOBODY = Always(False)
Judged = tuple[HostPattern, Note | None]

_MAPPED = 0xFFFF  # the upper 96 bits of an IPv4-mapped address
_NONE = 0xFFFF_FFFF  # what inet_addr(3) returns for no address: to libwrap 255.255.255.255 is none
_FIGURES = "0123456789./"
_ADDRESSES = 'write its addresses, "192.0.2.1", "192.0.2." or "[2001:db8::]/32"'
_BY_NAME = Note(Weight.NAME, "needs the host's name, which superd does not look up", _ADDRESSES)
_PARANOID = Note(Weight.REMARK, "superd goes by no host's name, so it matches nobody", "leave it out")
_NETGROUP = Note(Weight.FAULT, "a netgroup, which superd does not ask", _ADDRESSES)
_FILE = Note(Weight.FAULT, "a file of patterns, which superd does not read", "write the patterns here")
_SCOPE = Note(Weight.FAULT, "superd compares no interface, and Debian's tcpd neither", "write it without %…")
_WORDS: dict[str, Judged] = {
    "all": (EVERYONE, None),
    "known": (NOBODY, _BY_NAME),
    "unknown": (NOBODY, _BY_NAME),
    "local": (NOBODY, _BY_NAME),
    "paranoid": (NOBODY, _PARANOID),
}
# with underscores, unlike RFC 1123: tcpd compares any name
_is_name = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*").fullmatch
_is_plain = re.compile(r"[0-9]+").fullmatch
_leading_number = re.compile(r"[+-]?[0-9]+").match


def host_pattern(word: str) -> Judged:
    """One word of a list of hosts, and what there is to say about it. Source: host_match in hosts_access.c."""
    if (value := _pack(AF_INET, word)) is not None:
        return Masked(4, _mask(4, 32), value), None
    if word.startswith("@"):
        return NOBODY, _NETGROUP
    if word.startswith("/"):
        return NOBODY, _FILE
    net, mask = split_at(word, "/")
    if mask is not None:
        return _bracketed_net(net, mask) if _is_bracketed(net) else _dotted_net(net, mask)
    if (match := partial_match(word)) is not None:
        figures = _FIGURES + "*?"  # a name that looks like an address is none that superd would know
        return Spelled(match), _BY_NAME if word.strip(figures) else None
    if _is_bracketed(word):
        return _bracketed(word)
    return _WORDS.get(fold(word)) or _named(fold(word))


def client_pattern(word: str) -> Judged:
    """One word of a list of clients, which may ask for a user too."""
    host = split_at(word, "@", 1)[1]
    if host is None:
        return host_pattern(word)
    return NOBODY, Note(
        Weight.FAULT, "a client's user, whom superd does not ask for", f'write "{host}" alone'
    )


def comment_pattern(word: str) -> Judged:
    """One word behind a ``#``: a pattern to libwrap, but one that nobody wants to hear about or look up."""
    pattern, note = client_pattern(word)
    if isinstance(pattern, Named):
        return NOBODY, None
    return pattern, None if note is not None and note.weight is Weight.REMARK else note


def hosts_match(groups: Sequence[Sequence[HostPattern]], host: Endpoint) -> bool:
    """Whether a list with its exceptions matches; each group does unless the next one does."""
    matched = False
    for group in reversed(groups):
        matched = not matched and any(pattern.matches(host) for pattern in group)
    return matched


def pack6(text: str) -> int | None:
    """The value of an IPv6 address; None when it is none."""
    return _pack(AF_INET6, text)


def _pack(family: int, text: str) -> int | None:
    try:
        return int.from_bytes(inet_pton(family, text))
    except (OSError, ValueError):  # ValueError: a lone surrogate
        return None


def _mask(version: int, length: int) -> int:
    return (1 << WIDTHS[version]) - (1 << (WIDTHS[version] - length))


def _is_bracketed(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")


def _useless(remedy: str) -> Judged:
    return NOBODY, Note(Weight.REMARK, "matches nobody, in tcpd neither", remedy)


def _named(name: str) -> Judged:
    if not name.strip(_FIGURES):
        return _useless('write "192.0.2.1", or "192.0.2." for all that begin so')
    if _is_name(name) and not _is_plain(name.rpartition(".")[2]) and _aton(name) is None:
        return Named(name), None
    return _useless("write an address, a network or a host name")


def _bracketed(word: str) -> Judged:
    inner = word[1:-1]
    if "%" in inner:
        return NOBODY, _SCOPE
    value = pack6(inner)
    if value is None:
        return _useless("write an IPv6 address between the brackets, and its length behind them")
    if value >> 32 == _MAPPED:
        return _useless(f'write "{address_text(4, value & _NONE)}"')
    return Masked(6, _mask(6, 128), value), None


def _bracketed_net(net: str, mask: str) -> Judged:
    """``[2001:db8::]/32``. Bits beyond the length do not matter. Source: masked_match6."""
    inner = net[1:-1]
    if "%" in inner:
        return NOBODY, _SCOPE
    value, length = pack6(inner), _length(mask)
    if value is None or not 0 <= length <= 128:
        return _useless('write "[2001:db8::]/32"')
    if value >> 32 == _MAPPED and length >= 96:
        return _useless(f'write "{address_text(4, value & _mask(4, length - 96))}/{length - 96}"')
    if not _is_plain(mask):
        return NOBODY, _misread(net, length)
    return Masked(6, _mask(6, length), value & _mask(6, length)), None


def _dotted_net(net: str, mask: str) -> Judged:
    """``192.0.2.0/24`` and ``192.0.2.0/255.255.255.0``. Source: masked_match4."""
    value, bits, length = _dotted(net), _dotted(mask), _length(mask)
    if value is None or value == _NONE:
        return _useless('write "192.0.2.0/24"')
    if bits is None or bits == _NONE:
        if not 1 <= length <= 32:
            return _useless(_meant(value, bits, mask))
        if not _is_plain(mask):
            return NOBODY, _misread(net, length)
        bits = _mask(4, length)
    if value & ~bits:
        return _useless(f'write "{address_text(4, value & bits)}/{mask}"')
    return Masked(4, bits, value), None


def _meant(value: int, bits: int | None, mask: str) -> str:
    if bits == _NONE:
        return f'write "{address_text(4, value)}"'
    return 'write "ALL"' if not value and not mask.strip("0") else "write a length of 1 to 32"


def _misread(net: str, length: int) -> Note:
    problem = f"not a length, which tcpd takes for {length}"
    return Note(Weight.FAULT, problem, f'write "{net}/{length}" if that is meant')


def _dotted(text: str) -> int | None:
    """The value of four figures; as in C, ``010`` is 8 and ``0x10`` is 16. Source: dot_quad_addr in misc.c."""
    return _aton(text) if sum(map(bool, text.split("."))) == 4 else None


def _aton(text: str) -> int | None:
    try:
        return int.from_bytes(inet_aton(text))
    except (OSError, ValueError):  # ValueError: a lone surrogate
        return None


def _length(text: str) -> int:
    """The number that a text begins with, 0 if it begins with none. Source: atoi(3)."""
    match = _leading_number(text)
    return int(match[0]) if match else 0
