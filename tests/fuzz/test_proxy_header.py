"""Whatever a stream begins with: it is a PROXY header, or none yet, or refused, and the same however it comes."""

from __future__ import annotations

import ipaddress
import re
from socket import AF_INET, AF_INET6

from helpers.proxy_headers import (
    CRC32C,
    PROXY,
    TCP4,
    UNSPECIFIED,
    Tlv,
    encode_block,
    encode_v1,
    encode_v2,
    with_checksum,
)
from hypothesis import example, given
from hypothesis import strategies as st

from superd.policy.proxy_header import Header, HeaderError, parse

MAPPED = bytes(10) + b"\xff\xff"

ports = st.integers(0, 65535)
tlvs = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind != CRC32C), st.binary(max_size=20)), max_size=4
)


@st.composite
def stream_ends(draw: st.DrawFn) -> tuple[int, bytes, int, bytes, int]:
    family = draw(st.sampled_from([AF_INET, AF_INET6]))
    addresses = st.ip_addresses(v=4 if family == AF_INET else 6)
    source, destination = draw(addresses).packed, draw(addresses).packed
    return int(family), source, draw(ports), destination, draw(ports)


@st.composite
def binary(draw: st.DrawFn) -> bytes:
    extra: list[Tlv] = draw(tlvs)
    if not draw(st.booleans()):
        return encode_v2(*draw(stream_ends()), local=draw(st.booleans()), tlvs=extra)
    return with_checksum(encode_v2(*draw(stream_ends()), tlvs=[*extra, (CRC32C, bytes(4))]))


nameless = st.sampled_from(
    [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN and more\r\n", encode_block(PROXY, UNSPECIFIED, b"\0")]
)
lines = stream_ends().map(lambda said: encode_v1(*said))
headers = st.one_of(lines, binary(), nameless)


@st.composite
def damaged(draw: st.DrawFn, kinds: st.SearchStrategy[bytes], pieces: st.SearchStrategy[bytes]) -> bytes:
    data = bytearray(draw(kinds))
    for _ in range(draw(st.integers(1, 3))):
        cut = draw(st.integers(0, len(data)))
        data[cut : cut + draw(st.integers(0, 3))] = draw(pieces)
    return bytes(data)


shards = st.sampled_from(
    [b" ", b".", b":", b"::", b"0", b"9", b"255", b"f", b"\r", b"\n", b"\r\n", b"TCP4", b"1.2.3.4"]
)

REFUSED = "refused"


def outcome(data: bytes) -> Header | str | None:
    try:
        return parse(data)
    except HeaderError:
        return REFUSED


MAPPED_ENDS = (int(AF_INET6), MAPPED + b"\0\1\2\3", 1, MAPPED + b"\4\5\6\7", 2)


@given(said=stream_ends() | st.just(MAPPED_ENDS), payload=st.binary(max_size=40), extra=tlvs)
def test_what_is_sent_is_what_is_read(
    said: tuple[int, bytes, int, bytes, int], payload: bytes, extra: list[Tlv]
) -> None:
    _, source, source_port, destination, destination_port = said
    sent = (encode_v1(*said), encode_v2(*said, tlvs=extra))
    if source.startswith(MAPPED) and destination.startswith(MAPPED):
        said = int(AF_INET), source[12:], source_port, destination[12:], destination_port
    for header in sent:
        assert parse(header + payload) == Header(len(header), False, *said)


@given(header=headers, payload=st.binary(max_size=40))
def test_a_header_is_waited_for_until_its_last_byte_and_ends_there(header: bytes, payload: bytes) -> None:
    assert [cut for cut in range(len(header)) if parse(header[:cut]) is not None] == []
    read = parse(header)
    assert read is not None
    assert read.length == len(header)
    assert parse(header + payload) == read


@given(
    data=st.one_of(st.binary(max_size=80), damaged(headers, st.binary(max_size=3)), damaged(lines, shards))
)
@example(data=b"PROXY UNKNOWN " + b"a" * 200)
@example(data=encode_block(PROXY, TCP4, bytes(12) + b"\4\0\1") + b"\0")
def test_however_the_bytes_come_the_outcome_is_the_same(data: bytes) -> None:
    outcomes = [outcome(data[:size]) for size in range(len(data) + 1)]
    decided = next((index for index, one in enumerate(outcomes) if one is not None), len(outcomes))
    assert set(outcomes[decided:]) <= {outcomes[-1]}


@given(line=damaged(lines, shards))
@example(
    line=b"PROXY TCP6 0000:0000:0000:0000:0000:0000:192.168.100.101 0000:0000:0000:0000:0000:0000:192.168.100.10"
)
def test_a_line_that_is_waited_for_can_be_finished(line: bytes) -> None:
    sizes = range(len(line), 5, -1)
    begun = (line[:size] for size in sizes if line.startswith(b"PROXY ") and outcome(line[:size]) != REFUSED)
    known = next(begun, b"PROXY ")
    while outcome(known) is None:
        endings = (known + bytes((byte,)) for byte in b"\r\n .0:TCP4")
        known = next(longer for longer in endings if outcome(longer) != REFUSED)


def by_another_reader(line: bytes) -> bool:
    """Whether a line is right, said by a regular expression and the ipaddress module."""
    if len(line) > 107:
        return False
    match = re.fullmatch(rb"PROXY TCP([46]) ([\da-fA-F:.]+) ([\da-fA-F:.]+) (\d{1,5}) (\d{1,5})\r\n", line)
    if match is None:
        return re.fullmatch(rb"PROXY UNKNOWN( [^\r\n]*)?\r\n", line) is not None
    version, *addresses, source_port, destination_port = (part.decode() for part in match.groups())
    try:
        if {ipaddress.ip_address(text).version for text in addresses} != {int(version)}:
            return False
    except ValueError:
        return False
    return all(str(int(port)) == port and int(port) < 65536 for port in (source_port, destination_port))


@given(line=damaged(lines, shards))
@example(line=b"PROXY TCP6 1:2:3:4:5:6:7:: ::1.2.3.4 0 0\r\n")
@example(line=b"PROXY TCP6 1:2:3:4::5:6:7:8 ::1 0 0\r\n")
def test_two_readers_agree_on_lines(line: bytes) -> None:
    first = line[: line.find(b"\n") + 1] or line
    assert isinstance(outcome(first), Header) == by_another_reader(first)
