"""What superd says of its clients: read again by its own parser, and byte for byte what another encoder writes."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, AF_UNIX

import pytest
from helpers.proxy_headers import encode_v1, encode_v2
from hypothesis import given
from hypothesis import strategies as st

from superd.policy.proxy_header import MAX_HEADER_BYTES, Header, parse
from superd.policy.proxy_header_out import encode_header

PORTS = st.integers(0, 65535)


def ends(size: int) -> st.SearchStrategy[tuple[bytes, int, bytes, int]]:
    packed = st.binary(min_size=size, max_size=size)
    return st.tuples(packed, PORTS, packed, PORTS)


CONNECTIONS = st.one_of(
    st.tuples(st.just(int(AF_INET)), ends(4)),
    st.tuples(st.just(int(AF_INET6)), ends(16)),
)


@given(CONNECTIONS)
def test_both_versions_are_what_another_encoder_writes(
    connection: tuple[int, tuple[bytes, int, bytes, int]],
) -> None:
    family, addresses = connection
    assert encode_header(1, family, *addresses) == encode_v1(family, *addresses)
    assert encode_header(2, family, *addresses) == encode_v2(family, *addresses)


@given(st.sampled_from([1, 2]), CONNECTIONS)
def test_the_parser_reads_it_again(
    version: int, connection: tuple[int, tuple[bytes, int, bytes, int]]
) -> None:
    family, (source, source_port, destination, destination_port) = connection
    header = encode_header(version, family, source, source_port, destination, destination_port)
    read = parse(header + b"payload")
    assert read is not None
    assert read.length == len(header) < MAX_HEADER_BYTES
    mapped = bytes(10) + b"\xff\xff"
    if not (source.startswith(mapped) and destination.startswith(mapped)):
        assert read == Header(len(header), False, family, source, source_port, destination, destination_port)


@pytest.mark.parametrize("version", [1, 2])
def test_of_a_unix_client_nothing_is_known(version: int) -> None:
    header = encode_header(version, AF_UNIX, b"", 0, b"", 0)
    assert parse(header) == Header(len(header), local=True)


def test_a_line_as_the_specification_prints_it() -> None:
    source, destination = bytes([192, 168, 0, 1]), bytes([192, 168, 0, 11])
    assert encode_header(1, AF_INET, source, 56324, destination, 443) == (
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
    )
