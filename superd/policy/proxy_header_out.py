"""The PROXY protocol's header as superd sends it to a backend: who its client is. Pure.

Source: "The PROXY protocol, versions 1 & 2", 2020/03/05, in HAProxy's doc/proxy-protocol.txt. It is what § means here.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from struct import pack

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = 0x21  # version 2, command PROXY
_WORDS = {int(AF_INET): "TCP4", int(AF_INET6): "TCP6"}
_TCP = {int(AF_INET): 0x11, int(AF_INET6): 0x21}
_UNSPECIFIED = 0x00


def encode_header(
    version: int, family: int, source: bytes, source_port: int, destination: bytes, destination_port: int
) -> bytes:
    """The header of one TCP connection.

    Args:
        version: 1, a line of at most 107 bytes, or 2, binary.
        family: AF_INET or AF_INET6; of any other (a unix client) the header says that nothing is known.
        source, destination: packed addresses of that family.
        source_port, destination_port: 0 to 65535.

    Source: §2.1 and §2.2.
    """
    if version == 1:
        return _line(family, source, source_port, destination, destination_port)
    kind = _TCP.get(family, _UNSPECIFIED)
    ports = pack(">HH", source_port, destination_port)
    block = source + destination + ports if kind else b""
    return _SIGNATURE + pack(">BBH", _PROXY, kind, len(block)) + block


def _line(family: int, source: bytes, source_port: int, destination: bytes, destination_port: int) -> bytes:
    word = _WORDS.get(family)
    if word is None:
        return b"PROXY UNKNOWN\r\n"
    addresses = f"{inet_ntop(family, source)} {inet_ntop(family, destination)}"
    return f"PROXY {word} {addresses} {source_port} {destination_port}\r\n".encode("ascii")
