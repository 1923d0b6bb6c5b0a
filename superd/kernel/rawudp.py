"""UDP datagrams with the headers of IP, made by hand; pure.

They are for this machine alone, and bear a mark that nothing from a network has: they have no hops left to live.
No router passes such a packet on, so none arrives; delivery on the machine itself does not look at it.
"""

from __future__ import annotations

import struct
from socket import IPPROTO_UDP

MARK = 0
"""Time to live (hop limit) of every packet made here."""

_IPV4 = struct.Struct("!BBHHHBBH4s4s")  # RFC 791, 3.1
_IPV6 = struct.Struct("!IHBB16s16s")  # RFC 8200, 3
_UDP = struct.Struct("!HHHH")  # RFC 768: ports, length, checksum
_PSEUDO = struct.Struct("!16s16sIHBB")  # RFC 8200, 8.1

IPV4_MARK_OFFSET = 8
IPV6_MARK_OFFSET = 7

Place = tuple[bytes, int]
"""A packed address and a port."""

MOST_BYTES = {4: 65535 - _IPV4.size - _UDP.size, 16: 65535 - _UDP.size}
"""Longest payload, by the length of a packed address (without jumbograms)."""


def packet(remote: Place, local: Place, payload: bytes) -> bytes:
    """The IP packet in which ``remote`` sends ``payload`` to ``local``.

    Raises:
        ValueError: the payload does not fit a datagram.
    """
    size = len(remote[0])
    if len(payload) > MOST_BYTES[size]:
        raise ValueError(f"{len(payload)} bytes do not fit a datagram")
    return _ipv4(remote, local, payload) if size == 4 else _ipv6(remote, local, payload)


def _ipv4(remote: Place, local: Place, payload: bytes) -> bytes:
    """Without a checksum of UDP, which IPv4 does not ask for; that of IP is the kernel's to fill in (raw(7))."""
    length = _UDP.size + len(payload)
    version_and_words = 0x45
    header = _IPV4.pack(
        version_and_words, 0, _IPV4.size + length, 0, 0, MARK, IPPROTO_UDP, 0, remote[0], local[0]
    )
    return header + _UDP.pack(remote[1], local[1], length, 0) + payload


def _ipv6(remote: Place, local: Place, payload: bytes) -> bytes:
    length = _UDP.size + len(payload)
    pseudo = _PSEUDO.pack(remote[0], local[0], length, 0, 0, IPPROTO_UDP)
    unsigned = _UDP.pack(remote[1], local[1], length, 0)
    udp = _UDP.pack(remote[1], local[1], length, checksum(pseudo + unsigned + payload))
    return _IPV6.pack(6 << 28, length, IPPROTO_UDP, MARK, remote[0], local[0]) + udp + payload


def checksum(data: bytes) -> int:
    """The checksum of UDP over ``data`` (RFC 1071), 0xFFFF in the place of 0 (RFC 768).

    The sum of 16-bit words with the carry added back is the remainder by 65535 of the number they spell.
    """
    if len(data) % 2:
        data += b"\0"
    return 0xFFFF - int.from_bytes(data, "big") % 0xFFFF
