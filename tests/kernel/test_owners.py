"""Who holds the address: the process's name, number and user."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import socket
import struct

import pytest
from helpers.forked import NOBODY, in_child, needs_root
from hypothesis import given
from hypothesis import strategies as st
from kernel_endpoints import at_port, endpoint

from superd.config.model import SocketOptions
from superd.kernel import linux
from superd.kernel.listen import Endpoint, ipv6_available, open_listener
from superd.kernel.owners import port_owner
from superd.kernel.procnet import parse_address

needs_ipv6 = pytest.mark.skipif(not ipv6_available(), reason="IPv6 is off here")


def _listening(text: str) -> tuple[socket.socket, Endpoint]:
    wanted = endpoint(text)
    sock = open_listener(wanted, SocketOptions(), nonblocking=True)
    if not wanted.is_unix:
        wanted = at_port(wanted, sock.getsockname()[1])
    return sock, wanted


def _named(text: str, name: str = "ftpd") -> tuple[str | None, str]:
    """Return who is found, and who should be, for a listener that a child called ``name`` holds."""

    def child() -> tuple[str | None, str]:
        linux.set_name(name)
        sock, wanted = _listening(text)
        with sock:
            return port_owner(wanted), f"(pid {os.getpid()}, user root)"

    return in_child(child)


@needs_root
@pytest.mark.parametrize(
    "text",
    [
        "tcp://127.55.2.1:0",
        "udp://127.55.2.1:0",
        pytest.param("tcp://[::1]:0", marks=needs_ipv6),
        pytest.param("udp://[::1]:0", marks=needs_ipv6),
        "unix://@superd test owner",
        "unix-dgram://@superd-test-owner",
        "unix-seqpacket://@superd-test-owner",
    ],
)
def test_the_holder_is_found(text: str) -> None:
    found, expected = _named(text)
    assert found == f"ftpd {expected}"


@needs_root
def test_the_holder_of_a_socket_file_is_found(tmp_path: pathlib.Path) -> None:
    found, expected = _named(f"unix://{tmp_path}/a socket")
    assert found == f"ftpd {expected}"


@needs_root
def test_a_wildcard_is_in_the_way_of_every_address() -> None:
    sock, taken = _listening("tcp://127.55.2.2:0")
    port = sock.getsockname()[1]
    with sock:
        assert port_owner(at_port(taken, port, "0.0.0.0")) is not None
        assert port_owner(at_port(taken, port, "127.55.2.3")) is None


@needs_root
def test_the_user_is_the_holders() -> None:
    def child() -> str | None:
        sock, taken = _listening("udp://127.55.2.4:0")
        os.seteuid(NOBODY)
        linux.set_dumpable(True)
        with sock:
            return port_owner(taken)

    assert str(in_child(child)).endswith("user nobody)")


@needs_root
def test_a_process_cannot_write_to_the_terminal_by_its_name() -> None:
    found, expected = _named("udp://127.55.2.5:0", "a\x1b[31m\nb")
    assert found == f"a?[31m?b {expected}"


def test_a_free_address_has_no_holder() -> None:
    sock, free = _listening("tcp://127.55.2.6:0")
    sock.close()
    assert port_owner(free) is None


def test_a_connection_from_the_port_is_no_holder() -> None:
    """Only listeners count for tcp: the client's own end has the port, too."""
    sock, taken = _listening("tcp://127.55.2.7:0")
    with sock, socket.create_connection(sock.getsockname()) as client:
        host, port = client.getsockname()
        assert port_owner(at_port(taken, port, host)) is None


@needs_root
def test_without_proc_nobody_is_known(tmp_path: pathlib.Path) -> None:
    def child() -> str | None:
        os.chroot(tmp_path)
        return port_owner(endpoint("tcp://127.0.0.1:21"))

    assert in_child(child) is None


@needs_root
def test_of_another_users_process_an_ordinary_user_learns_the_user() -> None:
    sock, taken = _listening("tcp://127.55.2.8:0")

    def child() -> str | None:
        sock.close()
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return port_owner(taken)

    with sock:
        assert in_child(child) == "a process of user root"


@given(st.ip_addresses())
def test_the_kernels_spelling_of_addresses_is_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """32-bit words of the network's byte order, printed as the machine's."""
    words = struct.unpack(f"={len(address.packed) // 4}I", address.packed)
    text = "".join(f"{word:08X}" for word in words)
    assert parse_address(text) == (getattr(address, "ipv4_mapped", None) or address)
