"""The PROXY protocol's header, which says in whose name a proxy connects: version 1, a line, and version 2, binary.

It is judged by what has been peeked (MSG_PEEK) of a TCP stream so far, since whatever follows it is the program's.
Bytes that no continuation can make a header are refused at once, because the specification wants the sender to
notice, and because nobody should wait for the deadline to be told. No address is believed before the end.

Source: "The PROXY protocol, versions 1 & 2", 2020/03/05, in HAProxy's doc/proxy-protocol.txt. It is what § means here.
"""

from __future__ import annotations

import socket
from socket import inet_pton
from struct import Struct

from attrs import frozen

from superd.errors import SuperdError

MAX_HEADER_BYTES = 4096
"""The most that is ever peeked.

§2 promises that both versions fit into 536 bytes, the smallest segment, and a line of version 1 into 107. But §2.2.6
sets no bound to what a proxy may say about a TLS client, and some send a whole certificate. A page has room for it,
and nginx reads as much; 65,551, which the field of the length allows, is more than a listener should store for a
connection that nobody has judged yet.
"""

_IPV4 = int(socket.AF_INET)
_IPV6 = int(socket.AF_INET6)

_OPENING = b"PROXY "
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class HeaderError(SuperdError):
    """These bytes are not the beginning of a PROXY header, whatever follows them."""


@frozen
class Header:
    """What a whole header says.

    Args:
        length: bytes of the header, which are to be consumed; the next one is the program's.
        local: it names nobody, so the connection's own addresses are the ones to use.
        family: AF_INET or AF_INET6; 0 when local.
        source, destination: addresses in network order, 4 or 16 bytes; empty when local.
        source_port, destination_port: 0 to 65535, and 0 is one like any other.
    """

    length: int
    local: bool = True
    family: int = 0
    source: bytes = b""
    source_port: int = 0
    destination: bytes = b""
    destination_port: int = 0


def parse(data: bytes) -> Header | None:
    """Read the header that a TCP stream begins with.

    What is said of some bytes holds for all that may follow them: an error stays one, and a header the same.

    Args:
        data: what has come so far, from the first byte on; more than ``MAX_HEADER_BYTES`` are never needed.

    Returns:
        The header; None while it may still become one.

    Raises:
        HeaderError: it can become none any more.

    Source: §2.2, "Identifying the protocol version is easy".
    """
    if _OPENING.startswith(data[:6]):
        return _parse_line(data) if len(data) >= 6 else None
    if _SIGNATURE.startswith(data[:12]):
        return _parse_binary(data)
    raise HeaderError("no PROXY header")


# Version 1

_MAX_LINE = 107  # §2.1: with CRLF, whatever the protocol

_UNKNOWN = b"UNKNOWN"
_FAMILIES = {b"TCP4": _IPV4, b"TCP6": _IPV6}
_SHORTEST = {
    _IPV4: [b"PROXY", b"TCP4", b"0.0.0.0", b"0.0.0.0", b"0", b"0"],
    _IPV6: [b"PROXY", b"TCP6", b"::", b"::", b"0", b"0"],
}


def _parse_line(data: bytes) -> Header | None:
    """§2.1: the line ends with CRLF, and neither half of that ends it or stands in it alone."""
    line, end, rest = data[:_MAX_LINE].partition(b"\r")
    if b"\n" in line or (rest and not rest.startswith(b"\n")):
        raise HeaderError("a line that does not end with CRLF")
    header = _read_line(line if end else _complete_line(line))
    return header if rest else None


def _read_line(line: bytes) -> Header:
    """Return what a line says, its CRLF taken off."""
    length = len(line) + 2
    if length > _MAX_LINE:
        raise HeaderError(f"a line of more than {_MAX_LINE} bytes")
    fields = line.split(b" ")
    if fields[1] == _UNKNOWN:
        return Header(length)
    family = _FAMILIES.get(fields[1])
    if family is None:
        raise HeaderError("neither TCP4, TCP6 nor UNKNOWN")
    if len(fields) != 6:
        raise HeaderError("not two addresses and two ports")
    source, destination = _read_address(family, fields[2]), _read_address(family, fields[3])
    return _header(length, family, source, _read_port(fields[4]), destination, _read_port(fields[5]))


def _read_address(family: int, text: bytes) -> bytes:
    packed = _pack(family, text)
    if packed is None:
        raise HeaderError("not an IPv4 address" if family == _IPV4 else "not an IPv6 address")
    return packed


def _pack(family: int, text: bytes) -> bytes | None:
    """The packed address. inet_pton is as strict as §2.1 is about leading zeros, and knows no scope."""
    try:
        return inet_pton(family, text.decode("ascii"))
    except (OSError, ValueError):  # ValueError: a NUL, or not ASCII
        return None


def _read_port(text: bytes) -> int:
    """A canonical decimal number: no sign, no leading zero."""
    if text.isdigit() and len(text) <= 5 and (text[0] != 0x30 or text == b"0"):
        number = int(text)
        if number <= 0xFFFF:
            return number
    raise HeaderError("not a port")


def _complete_line(line: bytes) -> bytes:
    """The shortest line that begins like this one; some faulty line when none does."""
    fields = line.split(b" ")
    last = len(fields) - 1
    if last == 1:
        words = (*_FAMILIES, _UNKNOWN)
        fields[1] = next((word for word in words if word.startswith(fields[1])), fields[1])
    family = _FAMILIES.get(fields[1])
    if family is None:
        return b" ".join(fields)
    if last in (2, 3):
        fields[last] = _complete_address(family, fields[last])
    elif last in (4, 5):
        fields[last] = fields[last] or b"0"
    return b" ".join(fields + _SHORTEST[family][last + 1 :])


def _complete_address(family: int, text: bytes) -> bytes:
    """The shortest address that begins like this text; something that is none when none does."""
    front, colon, last = text.rpartition(b":")
    if family == _IPV4 or b"." in last:  # RFC 4291, 2.2: IPv6 may end with an IPv4 address
        number = b"" if last and not last.endswith(b".") else b"0"
        return front + colon + last + number + b".0" * (3 - last.count(b"."))
    candidates = (text, text + b":", text + b"0", text + b"::")
    return next((one for one in candidates if _pack(family, one)), text)


# Version 2

_FIXED = Struct(">12xBBH")  # signature; version and command; family and transport; length of the rest
_ACCEPTABLE = _SIGNATURE + b"\x20\0\0\0"
_TLV = Struct(">BH")
_CRC32C = 0x03

_ADDRESSES = {0x1: Struct(">4s4sHH"), 0x2: Struct(">16s16sHH"), 0x3: Struct(">108s108s")}
_INET = {0x1: _IPV4, 0x2: _IPV6}


def _parse_binary(data: bytes) -> Header | None:
    """§2.2, each of the first 16 bytes judged as soon as it is there."""
    seen = len(data)
    fixed = data[:16] if seen >= 16 else data + _ACCEPTABLE[seen:]
    command, kind, length = _FIXED.unpack(fixed)
    local = _is_local(command, kind)
    size = 16 + length
    if size > MAX_HEADER_BYTES:
        raise HeaderError(f"a header of more than {MAX_HEADER_BYTES} bytes")
    layout = None if local else _ADDRESSES[kind >> 4]
    if layout and length < layout.size and seen >= 16:
        raise HeaderError("a header without room for its addresses")
    if seen < max(size, 16):
        return None
    return _read_block(data[:size], kind, layout) if layout else Header(size)


def _is_local(command: int, kind: int) -> bool:
    """Whether the header names nobody: the command LOCAL, whatever comes with it, or nothing that is specified."""
    if command == 0x20:
        return True
    if command != 0x21:
        raise HeaderError("not version 2" if command >> 4 != 2 else "neither LOCAL nor PROXY")
    family, transport = kind >> 4, kind & 0xF
    if family > 3 or transport > 2:
        raise HeaderError("an unknown family or transport")
    return family == 0 or transport == 0


def _read_block(header: bytes, kind: int, layout: Struct) -> Header:
    """What a whole header of the command PROXY says.

    Addresses of datagrams (0x12, 0x22) are used, as §2.2 wants of the command PROXY. It lets a receiver take them as
    unspecified too, but then whoever the proxy serves by UDP would pass for the proxy itself. AF_UNIX (0x31, 0x32) is
    taken so, since its ends have no address that access lists or the program could use.
    """
    _judge_tlvs(header, 16 + layout.size)
    family = _INET.get(kind >> 4)
    if family is None:
        return Header(len(header))
    source, destination, source_port, destination_port = layout.unpack_from(header, 16)
    return _header(len(header), family, source, source_port, destination, destination_port)


def _judge_tlvs(header: bytes, offset: int) -> None:
    """§2.2: what follows the addresses is type, length, value. None of them is of interest but the checksum."""
    checksum_at = 0
    while offset < len(header):
        if offset + 3 > len(header):
            raise HeaderError("a TLV cut short")
        kind, size = _TLV.unpack_from(header, offset)
        if kind == _CRC32C:
            if checksum_at or size != 4:
                raise HeaderError("two checksums" if checksum_at else "a checksum that is not of 4 bytes")
            checksum_at = offset + 3
        offset += 3 + size
    if offset > len(header):
        raise HeaderError("a TLV cut short")
    if checksum_at:
        _judge_checksum(header, checksum_at)


def _judge_checksum(header: bytes, at: int) -> None:
    """§2.2.3: computed over the whole header with zeros in the checksum's place."""
    zeroed = header[:at] + bytes(4) + header[at + 4 :]
    if _crc32c(zeroed) != int.from_bytes(header[at : at + 4]):
        raise HeaderError("a wrong checksum")


def _crc32c_of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F6_3B78 if value & 1 else 0)
    return value


_CRC32C_OF_BYTES = tuple(map(_crc32c_of_byte, range(256)))


def _crc32c(data: bytes) -> int:
    """The checksum of RFC 4960, appendix B. The standard library has crc32 alone, which is another polynomial's."""
    value = 0xFFFF_FFFF
    for byte in data:
        value = _CRC32C_OF_BYTES[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFF_FFFF


# Both

_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2


def _header(
    length: int, family: int, source: bytes, source_port: int, destination: bytes, destination_port: int
) -> Header:
    """The header that names these; IPv4 in the clothes of IPv6 is IPv4, but one header has one family."""
    if family == _IPV6 and source.startswith(_MAPPED) and destination.startswith(_MAPPED):
        family, source, destination = _IPV4, source[12:], destination[12:]
    return Header(length, False, family, source, source_port, destination, destination_port)
