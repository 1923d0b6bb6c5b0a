"""Where a datagram arrived, and an answer that comes from there."""

from __future__ import annotations

import socket

import pytest

from superd.kernel.arrivals import receive, send_answer, tell_addresses
from superd.kernel.endpoints import ipv6_available

needs_ipv6 = pytest.mark.skipif(not ipv6_available(), reason="IPv6 is off here")


def listener(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(10)
    tell_addresses(sock)
    return sock


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.9.8.7"),
        ("127.0.0.1", "127.0.0.1"),
        pytest.param("::", "::1", marks=needs_ipv6),
    ],
)
def test_the_answer_comes_from_the_address_that_was_asked(bound: str, asked: str) -> None:
    with listener(bound) as sock, socket.socket(sock.family, socket.SOCK_DGRAM) as client:
        client.connect((asked, sock.getsockname()[1]))
        client.settimeout(10)
        client.send(b"question")
        arrival = receive(sock, 100)
        assert (arrival.payload, arrival.to_one) == (b"question", True)
        assert arrival.source == client.getsockname()
        send_answer(sock, b"answer", arrival)
        assert client.recv(100) == b"answer"


def test_what_was_sent_to_many_is_known() -> None:
    with listener("0.0.0.0") as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.sendto(b"anybody?", ("127.255.255.255", sock.getsockname()[1]))
        assert not receive(sock, 100).to_one


def test_one_that_came_too_early_to_be_told_of_is_not_answered() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        sock.bind(("127.0.0.1", 0))
        client.sendto(b"early", sock.getsockname())
        tell_addresses(sock)
        assert not receive(sock, 100).to_one
