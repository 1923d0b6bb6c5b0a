"""Listening sockets are what the configuration asked for, and a failure says which part of it failed."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

import attrs
import pytest
from helpers.forked import NOBODY, in_child, needs_root
from kernel_child import in_new_network
from kernel_endpoints import at_port, endpoint, plan

from superd.config.model import Mode, SocketOptions
from superd.kernel.listen import (
    Endpoint,
    inherited_listeners,
    ipv6_available,
    matches,
    open_listener,
)
from superd.kernel.sockopts import refuse_descriptors

PLAIN = SocketOptions()
needs_ipv6 = pytest.mark.skipif(not ipv6_available(), reason="IPv6 is off here")


def _open(text: str, options: SocketOptions = PLAIN, *, nonblocking: bool = True) -> socket.socket:
    return open_listener(endpoint(text), options, nonblocking=nonblocking)


def _bound(text: str, sock: socket.socket) -> Endpoint:
    """Return the endpoint of ``text`` with the port that the kernel chose."""
    return at_port(endpoint(text), sock.getsockname()[1])


def _failure(text: str, options: SocketOptions = PLAIN) -> OSError:
    with pytest.raises(OSError) as caught:
        _open(text, options).close()
    return caught.value


# --- what every listener is ---


@pytest.mark.parametrize(
    "text", ["tcp://127.55.1.1:0", "udp://127.55.1.1:0", "unix-seqpacket://@superd-test-cloexec"]
)
def test_no_program_inherits_a_listener(text: str) -> None:
    with _open(text) as sock:
        inode = os.fstat(sock.fileno()).st_ino
        listing = subprocess.run(
            ["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True, check=True
        )
    assert f"socket:[{inode}]" not in listing.stdout


@pytest.mark.parametrize("nonblocking", [True, False])
def test_blocking_is_as_asked(nonblocking: bool) -> None:
    with _open("tcp://127.55.1.1:0", nonblocking=nonblocking) as sock:
        assert os.get_blocking(sock.fileno()) is not nonblocking


def test_a_connection_is_accepted() -> None:
    with (
        _open("tcp://127.55.1.1:0", nonblocking=False) as sock,
        socket.create_connection(sock.getsockname()) as client,
    ):
        connection, peer = sock.accept()
        with connection:
            assert peer == client.getsockname()


def test_a_restart_is_not_held_up_by_old_connections() -> None:
    """The server closes first, so its side lingers in TIME_WAIT."""
    with _open("tcp://127.55.1.2:0", nonblocking=False) as sock:
        again = _bound("tcp://127.55.1.2:0", sock)
        with socket.create_connection(sock.getsockname()) as client:
            connection, _ = sock.accept()
            connection.close()
            assert client.recv(1) == b""
    open_listener(again, PLAIN, nonblocking=True).close()


def test_two_datagram_daemons_never_share_a_port() -> None:
    with _open("udp://127.55.1.3:0") as sock, pytest.raises(OSError) as caught:
        open_listener(_bound("udp://127.55.1.3:0", sock), PLAIN, nonblocking=True)
    assert caught.value.errno == errno.EADDRINUSE


# --- both families ---


@needs_root
@needs_ipv6
def test_nowait_gives_each_family_its_own_socket_on_one_port() -> None:
    def child() -> list[int]:
        listeners = [open_listener(e, PLAIN, nonblocking=False) for e in plan("tcp://*:7007")]
        families: list[int] = []
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, 7007)):
                ready = listeners[len(families)]
                connection, _ = ready.accept()
                families.append(int(connection.family))
        return families

    assert in_new_network(child) == [socket.AF_INET, socket.AF_INET6]


@needs_root
@needs_ipv6
@pytest.mark.parametrize("bindv6only", ["0", "1"])
def test_wait_gives_one_socket_for_both_whatever_the_system_default(bindv6only: str) -> None:
    def child() -> list[str]:
        with open("/proc/sys/net/ipv6/bindv6only", "w", encoding="ascii") as default:
            default.write(bindv6only)
        (only,) = plan("tcp://*:7007", mode=Mode.WAIT)
        peers = []
        with open_listener(only, PLAIN, nonblocking=False) as sock:
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, 7007)):
                    connection, peer = sock.accept()
                    connection.close()
                    peers.append(peer[0])
        return peers

    assert in_new_network(child) == ["::ffff:127.0.0.1", "::1"]


@needs_root
@needs_ipv6
def test_where_ipv6_is_off_ipv4_serves_alone() -> None:
    def child() -> tuple[bool, list[str]]:
        with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w", encoding="ascii") as switch:
            switch.write("1")
        available = ipv6_available()
        return available, [e.name for e in plan("tcp://*:7007", ipv6=available)]

    assert in_new_network(child) == (False, ["tcp://*:7007"])


@needs_ipv6
def test_an_unknown_interface_is_named() -> None:
    assert "no interface nosuch0" in str(_failure("tcp://[fe80::1%nosuch0]:0"))


@needs_root
@needs_ipv6
def test_a_link_local_address_keeps_its_interface() -> None:
    def child() -> int:
        subprocess.run(["ip", "addr", "add", "fe80::55/64", "dev", "lo", "nodad"], check=True)
        with _open("tcp://[fe80::55%lo]:0") as sock:
            return int(sock.getsockname()[3])

    assert in_new_network(child) == socket.if_nametoindex("lo")


# --- options ---

INHERITED = {
    "keep_alive": (SocketOptions(keep_alive=True), socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "no_delay": (SocketOptions(no_delay=True), socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    "receive_buffer": (
        SocketOptions(receive_buffer_bytes=50_000),
        socket.SOL_SOCKET,
        socket.SO_RCVBUF,
        100_000,
    ),
    "send_buffer": (SocketOptions(send_buffer_bytes=50_000), socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000),
    "ip_tos": (SocketOptions(ip_tos=0x10), socket.IPPROTO_IP, socket.IP_TOS, 0x10),
    "ip_ttl": (SocketOptions(ip_ttl=9), socket.IPPROTO_IP, socket.IP_TTL, 9),
}


@pytest.mark.parametrize("key", INHERITED)
def test_an_accepted_connection_inherits(key: str) -> None:
    """So that no connection costs a system call for them. The kernel doubles buffer sizes (socket(7))."""
    options, level, option, expected = INHERITED[key]
    with (
        _open("tcp://127.55.1.4:0", options, nonblocking=False) as sock,
        socket.create_connection(sock.getsockname()),
    ):
        connection, _ = sock.accept()
        with connection:
            assert connection.getsockopt(level, option) == expected


@needs_root
@needs_ipv6
def test_a_dual_stack_socket_has_the_options_of_both_families() -> None:
    def child() -> tuple[int, ...]:
        (only,) = plan("tcp://*:7007", mode=Mode.WAIT)
        options = SocketOptions(ip_tos=0x10, ip_ttl=9, free_bind=True)
        with open_listener(only, options, nonblocking=True) as sock:
            return (
                sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS),
                sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
                sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL),
                sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
            )

    assert in_new_network(child) == (0x10, 0x10, 9, 9)


@needs_root
def test_root_gets_buffers_beyond_the_systems_maximum_and_others_up_to_it() -> None:
    wanted = SocketOptions(receive_buffer_bytes=64 << 20)

    def size() -> int:
        with _open("udp://127.55.1.5:0", wanted) as sock:
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def unprivileged() -> int:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return size()

    assert size() == 2 * (64 << 20)
    assert in_child(unprivileged) < 2 * (64 << 20)


@needs_root
def test_the_other_options_are_set() -> None:
    options = SocketOptions(
        defer_accept_s=5, mark=7, reuse_port=True, bind_to_device="lo", tcp_congestion="reno"
    )
    with _open("tcp://127.55.1.6:0", options) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) >= 5
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == 7
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"reno"


@needs_root
def test_a_mark_may_have_all_its_bits() -> None:
    highest = 2**32 - 1
    with _open("tcp://127.55.1.6:0", SocketOptions(mark=highest)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) & highest == highest


def test_datagram_and_unix_options_are_set() -> None:
    with _open("udp://127.55.1.6:0", SocketOptions(broadcast=True)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
    with _open("unix-dgram://@superd-test-cred", SocketOptions(pass_credentials=True)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED) == 1


def test_descriptors_are_turned_away_from_a_listener_and_its_connections() -> None:
    with (
        _open("unix://@superd-test-rights", nonblocking=False) as sock,
        socket.socket(socket.AF_UNIX) as client,
    ):
        if not refuse_descriptors(sock):
            pytest.skip("needs Linux 6.16")
        client.connect(sock.getsockname())
        with pytest.raises(PermissionError):
            socket.send_fds(client, [b"before it is accepted"], [client.fileno()])
        connection, _ = sock.accept()
        with connection:
            with pytest.raises(PermissionError):
                socket.send_fds(client, [b"and after"], [client.fileno()])
            client.send(b"without any")
            assert connection.recv(100) == b"without any"


def test_an_address_that_is_not_there_yet_can_be_bound_freely() -> None:
    """The address is of a network kept for documentation (RFC 5737)."""
    assert "free_bind" in str(_failure("tcp://198.51.100.77:0"))
    _open("tcp://198.51.100.77:0", SocketOptions(free_bind=True)).close()


def test_options_of_other_sockets_are_left_out() -> None:
    everything = SocketOptions(
        keep_alive=True,
        no_delay=True,
        defer_accept_s=1,
        tcp_congestion="reno",
        ip_tos=8,
        ip_ttl=9,
        broadcast=True,
    )
    for text in ("tcp://127.55.1.7:0", "udp://127.55.1.7:0", "unix://@superd-test-all"):
        _open(text, everything).close()


@pytest.mark.parametrize(
    ("options", "start"),
    [
        (SocketOptions(tcp_congestion="nosuch"), "socket.tcp_congestion = 'nosuch': "),
        (SocketOptions(bind_to_device="nosuch0"), "socket.bind_to_device = 'nosuch0': "),
        (SocketOptions(ip_ttl=256), "socket.ip_ttl = 256: "),
    ],
)
def test_a_refused_option_is_named(options: SocketOptions, start: str) -> None:
    assert str(_failure("tcp://127.55.1.7:0", options).strerror).startswith(start)


@needs_root
def test_a_privileged_port_says_what_it_wants() -> None:
    def child() -> str:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w", encoding="ascii") as start:
            start.write("1024")
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return str(_failure("tcp://127.0.0.1:21"))

    assert "CAP_NET_BIND_SERVICE" in in_new_network(child)


# --- sockets of systemd's ---


@pytest.mark.parametrize(
    "text", ["tcp://127.55.1.8:0", "udp://127.55.1.8:0", pytest.param("tcp://[::1]:0", marks=needs_ipv6)]
)
def test_a_socket_matches_its_endpoint_and_no_other(text: str) -> None:
    with _open(text) as sock:
        bound = _bound(text, sock)
        assert matches(sock.fileno(), bound)
        assert not matches(sock.fileno(), at_port(bound, 1))
        assert not matches(sock.fileno(), endpoint("unix:///run/x"))
        if bound.v6only:
            assert not matches(sock.fileno(), attrs.evolve(bound, v6only=False))
        assert sock.getsockname()[1] == bound.address[1]  # still open


def test_an_abstract_socket_matches() -> None:
    with _open("unix://@superd-test-abstract") as sock:
        assert matches(sock.fileno(), endpoint("unix://@superd-test-abstract"))
        assert not matches(sock.fileno(), endpoint("unix-seqpacket://@superd-test-abstract"))


def test_a_stream_socket_that_does_not_listen_is_no_match() -> None:
    with socket.socket() as sock:
        sock.bind(("127.55.1.9", 0))
        assert not matches(sock.fileno(), _bound("tcp://127.55.1.9:0", sock))


def test_what_is_not_a_socket_is_no_match() -> None:
    with open("/dev/null", "rb") as file:
        assert not matches(file.fileno(), endpoint("tcp://127.0.0.1:21"))
    assert not matches(9999, endpoint("tcp://127.0.0.1:21"))


def test_systemds_descriptors_are_taken_and_closed_on_exec() -> None:
    def child() -> tuple[list[int], list[bool]]:
        os.dup2(0, 3)
        os.dup2(0, 4)
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
        return inherited_listeners(environ, os.getpid()), [os.get_inheritable(fd) for fd in (3, 4)]

    assert in_child(child) == ([3, 4], [False, False])


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "77"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "-1"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "one"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "9" * 5000},
    ],
)
def test_descriptors_meant_for_another_process_are_left_alone(environ: dict[str, str]) -> None:
    assert inherited_listeners(environ, 77) == []


def test_a_promise_of_descriptors_that_are_not_open_is_an_error() -> None:
    with pytest.raises(OSError) as caught:
        inherited_listeners({"LISTEN_PID": "77", "LISTEN_FDS": "999999999"}, 77)
    assert caught.value.errno == errno.EBADF


def test_the_module_loads_no_third_party_package_but_attrs() -> None:
    code = (
        "import sys; before = set(sys.modules); import superd.kernel.listen, superd.kernel.owners, "
        "superd.kernel.privileges, superd.kernel.rlimits; "
        "print(*sorted({n.partition('.')[0] for n in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(found) <= {"attr", "attrs", "superd"}
