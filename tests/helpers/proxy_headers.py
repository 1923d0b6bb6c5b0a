"""PROXY headers as a proxy sends them. Source: HAProxy's doc/proxy-protocol.txt, 2020/03/05."""

from __future__ import annotations

from collections.abc import Sequence
from socket import AF_INET, inet_ntop

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

LOCAL, PROXY = 0x20, 0x21
UNSPECIFIED, TCP4, UDP4, TCP6, UDP6, UNIX_STREAM, UNIX_DATAGRAM = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32

CRC32C = 0x03
NOOP = 0x04

Tlv = tuple[int, bytes]


def encode_v1(
    family: int, source: bytes, source_port: int, destination: bytes, destination_port: int
) -> bytes:
    """A line of version 1, of packed addresses."""
    word = "TCP4" if family == AF_INET else "TCP6"
    addresses = f"{inet_ntop(family, source)} {inet_ntop(family, destination)}"
    return f"PROXY {word} {addresses} {source_port} {destination_port}\r\n".encode()


def encode_v2(
    family: int,
    source: bytes,
    source_port: int,
    destination: bytes,
    destination_port: int,
    *,
    local: bool = False,
    tlvs: Sequence[Tlv] = (),
) -> bytes:
    """A header of version 2 for a TCP connection, of packed addresses."""
    ports = source_port.to_bytes(2) + destination_port.to_bytes(2)
    kind = TCP4 if family == AF_INET else TCP6
    return encode_block(LOCAL if local else PROXY, kind, source + destination + ports + encode_tlvs(tlvs))


def encode_block(command: int, kind: int, block: bytes, *, length: int | None = None) -> bytes:
    """A header of version 2 byte by byte.

    Args:
        length: what it says about its length, where that is not so.
    """
    size = len(block) if length is None else length
    return SIGNATURE + bytes((command, kind)) + size.to_bytes(2) + block


def encode_tlvs(tlvs: Sequence[Tlv]) -> bytes:
    return b"".join(bytes((kind,)) + len(value).to_bytes(2) + value for kind, value in tlvs)


def with_checksum(header: bytes) -> bytes:
    """Put the right checksum into a header whose last TLV is one of four zero bytes."""
    return header[:-4] + crc32c(header).to_bytes(4)


def crc32c(data: bytes) -> int:
    """Bit by bit, as the polynomial of RFC 3720, 12.1 says."""
    value = 0xFFFF_FFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F6_3B78 * (value & 1)
    return value ^ 0xFFFF_FFFF
