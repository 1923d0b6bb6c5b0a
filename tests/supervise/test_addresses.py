"""What a sockaddr in somebody's memory says."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st

from superd.kernel.foreign import pack_address
from superd.supervise.answering import Address, parse_address


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_ipv4(host: object, port: int) -> None:
    packed = socket.inet_pton(socket.AF_INET, str(host))
    raw = pack_address(socket.AF_INET, port, packed)
    assert parse_address(raw) == Address(socket.AF_INET, str(host), port, 0)
    assert parse_address(raw[:15]) is None


@given(st.ip_addresses(v=6), st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_ipv6(host: object, port: int, scope: int) -> None:
    packed = socket.inet_pton(socket.AF_INET6, str(host))
    raw = pack_address(socket.AF_INET6, port, packed, scope)
    found = parse_address(raw)
    assert found is not None
    assert (socket.inet_pton(socket.AF_INET6, found.host), found.port, found.scope) == (packed, port, scope)
    assert parse_address(raw[:24]) == found._replace(scope=0)  # RFC 2133 had no scope
    assert parse_address(raw[:23]) is None


@given(st.binary(max_size=40))
def test_any_bytes(raw: bytes) -> None:
    found = parse_address(raw)
    assert found is None or found.family in (socket.AF_INET, socket.AF_INET6)
