"""PROXY headers on the live system: required from whom they are expected, believed from nobody else."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from clients import service
from harness import Superd, read_all, wait_until
from helpers.proxy_headers import encode_v1, encode_v2
from sources import connect_from

pytestmark = pytest.mark.live

PROXY, STRANGER = "127.9.0.1", "127.9.0.2"
TELL = '["/bin/sh", "-c", "echo $REMOTE_ADDR $REMOTE_PORT $TCPLOCALIP $TCPLOCALPORT; cat"]'

V1 = encode_v1(socket.AF_INET, bytes([192, 0, 2, 7]), 1234, bytes([198, 51, 100, 1]), 443)
V2_SIX = encode_v2(
    socket.AF_INET6,
    socket.inet_pton(socket.AF_INET6, "2001:db8::7"),
    1234,
    socket.inet_pton(socket.AF_INET6, "2001:db8::1"),
    443,
)


def tell(address: str, more: str = "", timeout: str = "5s") -> str:
    proxy = f'[services.tell.proxy_protocol]\naccept_from = ["{PROXY}"]\ntimeout = "{timeout}"\n'
    return service("tell", f"tcp://{address}:7", TELL, "daemon", proxy + more)


def answer(source: str, address: str, *parts: bytes) -> bytes:
    with connect_from(source, address) as client:
        for part in parts:
            client.sendall(part)
        client.shutdown(socket.SHUT_WR)
        try:
            return read_all(client)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (V1, b"192.0.2.7 1234 198.51.100.1 443\n"),
        (V2_SIX, b"2001:db8::7 1234 2001:db8::1 443\n"),
    ],
)
def test_the_child_sees_the_real_client_and_every_byte_after_the_header(
    address: str, header: bytes, told: bytes
) -> None:
    with Superd(tell(address)) as superd:
        assert answer(PROXY, address, header + b"payload") == told + b"payload"
        source = told.split()[0].decode()
        assert superd.wait_for("connection", source=source)["port"] == 1234
        superd.wait_for("end", source=source)


def test_a_header_in_drops_is_put_together(address: str) -> None:
    with Superd(tell(address)), connect_from(PROXY, address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in V1 + b"x":
            client.sendall(bytes([byte]))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"192.0.2.7 1234 198.51.100.1 443\nx"


def test_a_local_command_is_the_proxys_own_connection(address: str) -> None:
    local = encode_v2(socket.AF_INET, bytes(4), 0, bytes(4), 0, local=True)
    with Superd(tell(address)):
        assert answer(PROXY, address, local).startswith(PROXY.encode() + b" ")


def test_without_a_header_the_proxy_is_refused(address: str) -> None:
    with Superd(tell(address)) as superd:
        assert answer(PROXY, address, b"GET / HTTP/1.0\r\n\r\n") == b""
        refused = superd.wait_for("refused", source=PROXY)
        assert refused["reason"] == "proxy-header"
        assert superd.status("tell")["refused"] == {"proxy-header": 1}


def test_a_header_that_does_not_come_in_time_is_not_waited_for(address: str) -> None:
    with Superd(tell(address, timeout="200ms")) as superd, connect_from(PROXY, address) as client:
        client.sendall(V1[:10])
        with pytest.raises(ConnectionResetError):  # what it sent is never read
            read_all(client)
        assert superd.wait_for("refused", source=PROXY)["rule"] == "it did not come in time"


def test_a_header_of_anybody_else_is_payload(address: str) -> None:
    with Superd(tell(address)):
        told = answer(STRANGER, address, V1)
        assert told.startswith(STRANGER.encode()) and told.endswith(V1)


def test_access_and_limits_are_those_of_the_real_client(address: str) -> None:
    more = (
        '[services.tell.access]\nallow = ["192.0.2.0/24", "127.0.0.0/8"]\n'
        "[services.tell.limits]\nmax_connections_per_source = 1\n"
    )
    other = encode_v1(socket.AF_INET, bytes([203, 0, 113, 9]), 1, bytes(4), 443)
    with Superd(tell(address, more)) as superd, ExitStack() as stack:
        assert answer(PROXY, address, other) == b""
        assert superd.wait_for("refused", source="203.0.113.9")["reason"] == "address"
        first = stack.enter_context(connect_from(PROXY, address))
        first.sendall(V1)
        assert first.makefile("rb").readline().startswith(b"192.0.2.7")
        assert answer(PROXY, address, V1) == b""
        assert superd.wait_for("refused", source="192.0.2.7")["reason"] == "source-connections"
        another = encode_v1(socket.AF_INET, bytes([192, 0, 2, 8]), 1, bytes(4), 443)
        assert answer(PROXY, address, another).startswith(b"192.0.2.8")


def test_a_proxy_that_access_denies_need_not_send_a_header(address: str) -> None:
    with Superd(tell(address, f'[services.tell.access]\ndeny = ["{PROXY}"]\n')) as superd:
        assert answer(PROXY, address, V1) == b""
        assert superd.wait_for("refused", source=PROXY)["reason"] == "address"


def test_connections_that_wait_for_a_header_hold_up_nobody_else(address: str) -> None:
    with Superd(tell(address)) as superd, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect_from(PROXY, address)).sendall(V1[:5])
        assert answer(STRANGER, address, b"hello").endswith(b"hello")
        superd.reload(tell(address, "[services.tell.socket]\nno_delay = true\n"))
        wait_until(lambda: answer(PROXY, address, V1 + b"x").endswith(b"x"), "the proxy to be served again")
