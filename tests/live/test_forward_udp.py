"""Forwards of datagrams on the live system: sessions, their ends, and answers that find back."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from harness import PATIENCE_S, Superd, wait_until

from superd.kernel.endpoints import ipv6_available

pytestmark = pytest.mark.live


def forward(address: str, more: str = "", listen: str = "") -> str:
    return f'''
        [services.dns]
        listen = ["{listen or f"udp://{address}:53"}"]
        forward = "udp://{address}:5353"
        {more}
        '''


@contextmanager
def datagrams(address: str, port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, port))
        sock.settimeout(PATIENCE_S)
        yield sock


def query(number: int) -> bytes:
    """A question for www.example, as a stub resolver asks it. Source: RFC 1035, 4.1."""
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + b"\3www\7example\0" + struct.pack(">HH", 1, 1)


def answer(question: bytes) -> bytes:
    """One address for it."""
    number, *_ = struct.unpack_from(">6H", question)
    head = struct.pack(">6H", number, 0x8180, 1, 1, 0, 0)
    return head + question[12:] + struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes([192, 0, 2, 1]))


def test_each_client_hears_the_answer_to_its_own_question(address: str) -> None:
    with datagrams(address, 5353) as backend, Superd(forward(address)) as superd, ExitStack() as stack:
        clients = [stack.enter_context(datagrams(address)) for _ in range(20)]
        for number, client in enumerate(clients):
            client.sendto(query(number), (address, 53))
        asked = [backend.recvfrom(512) for _ in clients]
        assert len({source for _, source in asked}) == len(clients), "a session each"
        for question, source in reversed(asked):
            backend.sendto(answer(question), source)
        for number, client in enumerate(clients):
            assert client.recvfrom(512) == (answer(query(number)), (address, 53)), "from where it asked"
        clients[0].sendto(query(99), (address, 53))
        question, source = backend.recvfrom(512)
        assert (question, source) == (query(99), asked[0][1]), "the session goes on"
        assert superd.status("dns")["children"] == 20
        assert superd.status("dns")["accepted"] == 20


def test_an_answer_comes_from_the_address_that_was_asked(address: str) -> None:
    """Of a listener on every address: a client takes no answer from another one."""
    with datagrams(address) as probe:
        port = probe.getsockname()[1]
    text = forward(address, listen=f"udp://*:{port}")
    with datagrams(address, 5353) as backend, Superd(text), datagrams("127.0.0.1") as client:
        client.sendto(query(1), (address, port))
        question, source = backend.recvfrom(512)
        backend.sendto(answer(question), source)
        assert client.recvfrom(512) == (answer(query(1)), (address, port))


def test_a_session_ends_when_nothing_was_said_for_long(address: str) -> None:
    text = forward(address, 'idle_timeout = "300ms"')
    with datagrams(address, 5353) as backend, Superd(text) as superd, datagrams(address) as client:
        client.sendto(query(1), (address, 53))
        question, source = backend.recvfrom(512)
        backend.sendto(answer(question), source)
        assert client.recv(512) == answer(query(1))
        end = superd.wait_for("end", service="dns")
        assert (end["outcome"], end["source"]) == ("idle", address)
        assert (end["received"], end["sent"]) == (len(query(1)), len(answer(query(1))))
        assert superd.status("dns")["children"] == 0
        client.sendto(query(2), (address, 53))
        assert backend.recv(512) == query(2)


def test_sessions_are_bounded_by_the_limits(address: str) -> None:
    text = forward(address) + "[services.dns.limits]\nmax_connections = 2\n"
    with datagrams(address, 5353) as backend, Superd(text) as superd, ExitStack() as stack:
        clients = [stack.enter_context(datagrams(address)) for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendto(query(number), (address, 53))
        assert {backend.recv(512) for _ in range(2)} == {query(0), query(1)}
        assert superd.wait_for("refused")["reason"] == "connections"


def test_a_backend_that_is_not_there_ends_the_session_with_a_reason(address: str) -> None:
    with Superd(forward(address)) as superd, datagrams(address) as client:
        client.sendto(query(1), (address, 53))
        end = superd.wait_for("end", service="dns")
        assert (end["outcome"], end["by"], end["error"]) == ("reset", "backend", "Connection refused")
        with datagrams(address, 5353) as backend:
            client.sendto(query(2), (address, 53))
            assert backend.recv(512) == query(2), "the next datagram finds it"


@pytest.mark.skipif(not ipv6_available(), reason="needs IPv6")
def test_a_datagram_that_is_too_long_for_the_way_to_the_backend_is_lost_alone(address: str) -> None:
    """IPv6 carries 20 bytes more than IPv4."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    text = forward(address, listen=f"udp://[::1]:{port}")
    with (
        datagrams(address, 5353) as backend,
        Superd(text) as superd,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client,
    ):
        for payload in (b"before", bytes(65_520), b"after"):
            client.sendto(payload, ("::1", port))
        assert [backend.recv(100) for _ in range(2)] == [b"before", b"after"]
        assert superd.status("dns")["accepted"] == 1, "the session goes on"


def test_a_datagram_from_a_port_that_answers_by_itself_is_refused(address: str) -> None:
    with datagrams(address, 5353), Superd(forward(address)) as superd, datagrams(address, 7) as echo:
        echo.sendto(b"x", (address, 53))
        assert superd.wait_for("refused")["reason"] == "loop"


def test_a_reload_and_a_stop_end_sessions_in_order(address: str) -> None:
    with (
        datagrams(address, 5353) as backend,
        Superd(forward(address)) as superd,
        datagrams(address) as client,
    ):
        client.sendto(query(1), (address, 53))
        question, source = backend.recvfrom(512)
        superd.reload(forward(address, 'idle_timeout = "1h"'))
        backend.sendto(answer(question), source)
        client.sendto(query(2), (address, 53))
        question, _ = backend.recvfrom(512)
        assert question == query(2)
        wait_until(lambda: superd.status("dns")["children"] == 1, "one session")
        superd.stop()
        ends = superd.log_events("end", service="dns")
        assert [end["outcome"] for end in ends] == ["stopped", "stopped"]
