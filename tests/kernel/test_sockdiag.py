"""Whose a connection is, from the kernel."""

from __future__ import annotations

import os
import socket

import pytest
from helpers.forked import NOBODY, in_child, needs_root

from superd.kernel.endpoints import ipv6_available
from superd.kernel.sockdiag import tcp_owner

needs_ipv6 = pytest.mark.skipif(not ipv6_available(), reason="IPv6 is off here")


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_both_ends_of_a_connection_have_an_owner(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        ends = client.getsockname()[:2], client.getpeername()[:2]
        assert tcp_owner(*ends) == os.getuid()
        assert tcp_owner(*reversed(ends)) == os.getuid()


@needs_ipv6
def test_an_ipv4_client_of_a_dual_stack_socket() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection(("127.0.0.1", server.getsockname()[1])) as client,
    ):
        ours, theirs = client.getsockname(), client.getpeername()
        assert tcp_owner(ours, theirs) == os.getuid()
        mapped = tuple((f"::ffff:{host}", port) for host, port in (theirs, ours))
        assert tcp_owner(*mapped) == os.getuid()


def test_nobody_owns_a_connection_that_is_not_there_or_only_could_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listening = server.getsockname()
        assert tcp_owner(listening, ("127.0.0.1", 1)) is None
        assert tcp_owner(("127.0.0.1", 1), listening) is None


@needs_root
def test_others_are_told_too_and_it_takes_no_privilege() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        ends = client.getsockname(), client.getpeername()

        def ask() -> None:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            assert tcp_owner(*ends) == 0

        in_child(ask)
