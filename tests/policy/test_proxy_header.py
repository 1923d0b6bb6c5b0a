"""The PROXY header: what it says, and which byte is the first that cannot be right."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

import pytest
from helpers.proxy_headers import (
    CRC32C,
    LOCAL,
    NOOP,
    PROXY,
    SIGNATURE,
    TCP4,
    TCP6,
    UDP4,
    UDP6,
    UNIX_DATAGRAM,
    UNIX_STREAM,
    UNSPECIFIED,
    crc32c,
    encode_block,
    encode_tlvs,
    encode_v2,
    with_checksum,
)

from superd.policy.proxy_header import MAX_HEADER_BYTES, Header, HeaderError, parse


def ends(
    source: str, source_port: int, destination: str, destination_port: int
) -> tuple[int, bytes, int, bytes, int]:
    """Family, source and destination as a Header has them."""
    family = int(AF_INET6 if ":" in source else AF_INET)
    return family, inet_pton(family, source), source_port, inet_pton(family, destination), destination_port


CLIENT = ends("192.0.2.7", 51512, "198.51.100.1", 22)
CLIENT6 = ends("2001:db8::7", 51512, "2001:db8:1::1", 22)
ADDRESSES = CLIENT[1] + CLIENT[3] + b"\xc9\x38\0\x16"
ADDRESSES6 = CLIENT6[1] + CLIENT6[3] + b"\xc9\x38\0\x16"
MAPPED = ends("::ffff:192.0.2.7", 51512, "::ffff:198.51.100.1", 22)
HALF_MAPPED = ends("::ffff:192.0.2.7", 51512, "2001:db8:1::1", 22)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("TCP4 192.0.2.7 198.51.100.1 51512 22", CLIENT),
        ("TCP6 2001:db8::7 2001:db8:1::1 51512 22", CLIENT6),
        ("TCP6 2001:0DB8:0:0:0:0:0:0007 2001:db8:1::1 51512 22", CLIENT6),
        ("TCP4 0.0.0.0 255.255.255.255 0 65535", ends("0.0.0.0", 0, "255.255.255.255", 65535)),
        ("TCP6 :: ::1 65535 0", ends("::", 65535, "::1", 0)),
        ("TCP6 ::ffff:192.0.2.7 ::FFFF:c633:6401 51512 22", CLIENT),
        ("TCP6 ::ffff:192.0.2.7 2001:db8:1::1 51512 22", HALF_MAPPED),
        ("TCP6 64:ff9b::192.0.2.7 2001:db8:1::1 1 2", ends("64:ff9b::c000:207", 1, "2001:db8:1::1", 2)),
    ],
)
def test_a_line_says_who_it_is(line: str, said: tuple[int, bytes, int, bytes, int]) -> None:
    header = f"PROXY {line}\r\n".encode()
    assert parse(header + b"GET /\r\n") == Header(len(header), False, *said)


@pytest.mark.parametrize(
    "line", ["", " ", " whatever", " 1 2 3 4 5 6", " \0\xff\t", f" {'f' * 39} {'f' * 39} 65535 65535"]
)
def test_a_line_of_an_unknown_client_leaves_the_connections_own_addresses(line: str) -> None:
    header = f"PROXY UNKNOWN{line}\r\n".encode("latin-1")
    assert parse(header + b"\r\n") == Header(len(header), local=True)


LINE = "PROXY TCP4 192.0.2.7 198.51.100.1 "
NO_LINE = "a line that does not end with CRLF"
NO_FIELDS = "not two addresses and two ports"
TOO_LONG = "a line of more than 107 bytes"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("G", "no PROXY header"),
        ("\0", "no PROXY header"),
        ("PROXI", "no PROXY header"),
        ("PROXYT", "no PROXY header"),
        ("PROXY\r", "no PROXY header"),
        ("PROXY  ", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY t", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY U\0", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY TCP ", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY TCP5", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY UD", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY UNKNOWNS", "neither TCP4, TCP6 nor UNKNOWN"),
        ("PROXY TCP4\r", NO_FIELDS),
        ("PROXY TCP4  ", "not an IPv4 address"),
        ("PROXY TCP4 a", "not an IPv4 address"),
        ("PROXY TCP4 \xb2", "not an IPv4 address"),
        ("PROXY TCP4 1\0", "not an IPv4 address"),
        ("PROXY TCP4 01", "not an IPv4 address"),
        ("PROXY TCP4 256", "not an IPv4 address"),
        ("PROXY TCP4 192..", "not an IPv4 address"),
        ("PROXY TCP4 192.0.2 ", "not an IPv4 address"),
        ("PROXY TCP4 192.0.2.7.", "not an IPv4 address"),
        ("PROXY TCP4 192.0.2.7:", "not an IPv4 address"),
        ("PROXY TCP4 192.0.2.7\t", "not an IPv4 address"),
        ("PROXY TCP4 192.0.2.7 2001", "not an IPv4 address"),
        ("PROXY TCP6 g", "not an IPv6 address"),
        ("PROXY TCP6 1.", "not an IPv6 address"),
        ("PROXY TCP6 :1", "not an IPv6 address"),
        ("PROXY TCP6 :::", "not an IPv6 address"),
        ("PROXY TCP6 1::2::", "not an IPv6 address"),
        ("PROXY TCP6 2001:db8::00007", "not an IPv6 address"),
        ("PROXY TCP6 fe80::1%", "not an IPv6 address"),
        ("PROXY TCP6 1:2:3:4:5:6:7:8:", "not an IPv6 address"),
        ("PROXY TCP6 1:2:3:4:5:6::7:", "not an IPv6 address"),
        ("PROXY TCP6 1:2:3:4:5:6:7:8.", "not an IPv6 address"),
        ("PROXY TCP6 ::ffff:192.0.2.07", "not an IPv6 address"),
        ("PROXY TCP6 ::1 192.", "not an IPv6 address"),
        (LINE + "+", "not a port"),
        (LINE + "-", "not a port"),
        (LINE + " ", "not a port"),
        (LINE + "00", "not a port"),
        (LINE + "02", "not a port"),
        (LINE + "65536", "not a port"),
        (LINE + "655350", "not a port"),
        (LINE + "\xb2", "not a port"),
        (LINE + "22\r", NO_FIELDS),
        (LINE + "22 \r", "not a port"),
        (LINE + "22 02", "not a port"),
        (LINE + "22 22 ", NO_FIELDS),
        (LINE + "22 22\n", NO_LINE),
        (LINE + "22 22\rX", NO_LINE),
        (LINE + "22 22\r\r", NO_LINE),
        ("PROXY UNKNOWN\n", NO_LINE),
        ("PROXY UNKNOWN a line\n", NO_LINE),
        ("PROXY UNKNOWN a line\rX", NO_LINE),
        ("PROXY UNKNOWN " + "a" * 92, TOO_LONG),
        # An IPv4 address in its last bits makes an IPv6 one longer than §2.1 reckons with.
        (f"PROXY TCP6 {'0000:' * 6}192.168.100.101 {'0000:' * 6}192.168.100.101", TOO_LONG),
    ],
)
def test_a_line_is_refused_at_the_first_byte_that_cannot_be_right(text: str, reason: str) -> None:
    data = text.encode("latin-1")
    assert parse(data[:-1]) is None
    with pytest.raises(HeaderError) as caught:
        parse(data)
    assert str(caught.value) == reason
    for more in (b"\r\n", b"0 0 0 0\r\n"):
        with pytest.raises(HeaderError):
            parse(data + more)


TLVS = encode_tlvs([(0x02, b"example.net"), (NOOP, b""), (0xE0, bytes(300)), (NOOP, b"...")])


@pytest.mark.parametrize(
    ("kind", "block", "said"),
    [
        (TCP4, ADDRESSES, CLIENT),
        (TCP6, ADDRESSES6, CLIENT6),
        (UDP4, ADDRESSES, CLIENT),
        (UDP6, ADDRESSES6, CLIENT6),
        (TCP6, MAPPED[1] + MAPPED[3] + ADDRESSES[8:], CLIENT),
        (TCP6, HALF_MAPPED[1] + HALF_MAPPED[3] + ADDRESSES[8:], HALF_MAPPED),
        (TCP4, bytes(12), ends("0.0.0.0", 0, "0.0.0.0", 0)),
    ],
)
@pytest.mark.parametrize("tlvs", [b"", TLVS, bytes(9)], ids=["bare", "tlvs", "padding"])
def test_a_binary_header_says_who_it_is(
    kind: int, block: bytes, said: tuple[int, bytes, int, bytes, int], tlvs: bytes
) -> None:
    header = encode_block(PROXY, kind, block + tlvs)
    assert parse(header + b"\r\n") == Header(len(header), False, *said)


@pytest.mark.parametrize(
    ("command", "kind", "block"),
    [
        (LOCAL, UNSPECIFIED, b""),
        (LOCAL, TCP4, ADDRESSES),
        (LOCAL, TCP4, b"short"),
        (LOCAL, TCP4, ADDRESSES + b"no TLVs"),
        (LOCAL, 0xFF, b"whatever"),
        (PROXY, UNSPECIFIED, b""),
        (PROXY, UNSPECIFIED, b"whatever"),
        (PROXY, 0x01, ADDRESSES),
        (PROXY, 0x10, b""),
        (PROXY, 0x20, ADDRESSES),
        (PROXY, UNIX_STREAM, bytes(216)),
        (PROXY, UNIX_DATAGRAM, bytes(216) + TLVS),
    ],
)
def test_a_binary_header_that_names_nobody_leaves_the_connections_own_addresses(
    command: int, kind: int, block: bytes
) -> None:
    header = encode_block(command, kind, block)
    assert parse(header + b"\r\n") == Header(len(header), local=True)


WRONG_SUM = encode_tlvs([(CRC32C, b"\0\0\0\1")])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\r\n\r\n\r", "no PROXY header"),
        (SIGNATURE[:-1] + b"\r", "no PROXY header"),
        (SIGNATURE + b"\x11", "not version 2"),
        (SIGNATURE + b"\x31", "not version 2"),
        (SIGNATURE + b"\x22", "neither LOCAL nor PROXY"),
        (SIGNATURE + b"\x2f", "neither LOCAL nor PROXY"),
        (SIGNATURE + b"\x21\x41", "an unknown family or transport"),
        (SIGNATURE + b"\x21\x13", "an unknown family or transport"),
        (SIGNATURE + b"\x21\x11\x10", "a header of more than 4096 bytes"),
        (SIGNATURE + b"\x20\x00\x0f\xf1", "a header of more than 4096 bytes"),
        (SIGNATURE + b"\x21\x11\0\x0b", "a header without room for its addresses"),
        (SIGNATURE + b"\x21\x22\0\x23", "a header without room for its addresses"),
        (SIGNATURE + b"\x21\x31\0\xd7", "a header without room for its addresses"),
        (encode_block(PROXY, TCP4, ADDRESSES + b"\4"), "a TLV cut short"),
        (encode_block(PROXY, TCP4, ADDRESSES + b"\4\0"), "a TLV cut short"),
        (encode_block(PROXY, TCP4, ADDRESSES + b"\4\0\1"), "a TLV cut short"),
        (encode_block(PROXY, TCP6, ADDRESSES6 + b"\2\1\0" + bytes(255)), "a TLV cut short"),
        (encode_block(PROXY, UNIX_STREAM, bytes(216) + b"\4\0\1"), "a TLV cut short"),
        (encode_block(PROXY, TCP4, ADDRESSES + b"\3\0\4\0\0\0"), "a TLV cut short"),
        (encode_block(PROXY, TCP4, ADDRESSES + b"\3\0\3\0\0\0"), "a checksum that is not of 4 bytes"),
        (encode_block(PROXY, TCP4, ADDRESSES + WRONG_SUM), "a wrong checksum"),
        (encode_block(PROXY, UDP6, ADDRESSES6 + WRONG_SUM), "a wrong checksum"),
        (encode_block(PROXY, UNIX_DATAGRAM, bytes(216) + WRONG_SUM), "a wrong checksum"),
        (with_checksum(encode_block(PROXY, TCP4, ADDRESSES + WRONG_SUM * 2)), "two checksums"),
    ],
)
def test_a_binary_header_is_refused_at_the_first_byte_that_cannot_be_right(data: bytes, reason: str) -> None:
    assert parse(data[:-1]) is None
    for more in (b"", b"\0\0", bytes(MAX_HEADER_BYTES)):
        with pytest.raises(HeaderError) as caught:
            parse(data + more)
        assert str(caught.value) == reason


def test_the_longest_header_is_taken() -> None:
    header = encode_block(PROXY, TCP4, ADDRESSES + encode_tlvs([(NOOP, bytes(MAX_HEADER_BYTES - 31))]))
    assert len(header) == MAX_HEADER_BYTES
    assert parse(header[:-1]) is None
    assert parse(header) == Header(MAX_HEADER_BYTES, False, *CLIENT)


def test_a_checksum_is_of_the_whole_header_wherever_it_stands() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C, RFC 3720's polynomial
    header = encode_v2(*CLIENT, tlvs=[(NOOP, b"before"), (CRC32C, bytes(4))])
    right = with_checksum(header)
    assert parse(right) == Header(len(header), False, *CLIENT)
    before = encode_v2(*CLIENT, tlvs=[(CRC32C, bytes(4)), (NOOP, b"behind")])
    moved = before.replace(b"\3\0\4\0\0\0\0", b"\3\0\4" + crc32c(before).to_bytes(4))
    assert parse(moved) == Header(len(moved), False, *CLIENT)
    for at in [*range(16, 28), *range(len(right) - 4, len(right))]:
        damaged = right[:at] + bytes((right[at] ^ 0x10,)) + right[at + 1 :]
        with pytest.raises(HeaderError, match="a wrong checksum"):
            parse(damaged)
