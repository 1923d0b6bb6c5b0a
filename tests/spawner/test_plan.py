"""What a child finds in its environment: the peer, the listeners, the user, and nothing else."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, AF_UNIX, inet_pton

import pytest
from helpers.services import service

from superd.kernel.identity import Identity
from superd.spawner.plan import (
    DEFAULT_PATH,
    base_environment,
    listen_environment,
    listen_names,
)
from superd.wire.messages import Peer
from superd.wire.peers import peer_environment

FTP = Identity(104, 110, (110,), "ftp", "/srv/ftp", "/usr/sbin/nologin")


def v4(address: str) -> bytes:
    return inet_pton(AF_INET, address)


def v6(address: str) -> bytes:
    return inet_pton(AF_INET6, address)


def test_a_child_has_its_users_variables_and_nothing_of_superds_own() -> None:
    assert base_environment(service(), FTP, {"SECRET": "1", "LANG": "C", "HOME": "/root"}, {}) == {
        b"PATH": DEFAULT_PATH.encode(),
        b"HOME": b"/srv/ftp",
        b"USER": b"ftp",
        b"LOGNAME": b"ftp",
        b"SHELL": b"/usr/sbin/nologin",
        b"SUPERD_SERVICE": b"ftp",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOME", "caller"),  # passed on, over the built-in one
        ("TERM", "service"),  # environment, over what was passed on
        ("TZ", "file"),  # environment_file, over environment
        ("SUPERD_SERVICE", "ftp"),  # superd's word, over everything
    ],
)
def test_the_nearest_source_of_a_variable_wins(name: str, value: str) -> None:
    made = base_environment(
        service(
            pass_environment=("HOME", "TERM", "TZ", "UNSET", "SUPERD_SERVICE"),
            environment={"TERM": "service", "TZ": "service", "SUPERD_SERVICE": "service"},
        ),
        FTP,
        {"HOME": "caller", "TERM": "caller", "TZ": "caller", "SUPERD_SERVICE": "caller"},
        {"TZ": "file", "SUPERD_SERVICE": "file"},
    )
    assert made[name.encode()] == value.encode()
    assert b"UNSET" not in made


def test_values_that_are_no_utf8_stay_the_bytes_they_were() -> None:
    caller = {"NAME": b"caf\xe9".decode("utf-8", "surrogateescape")}
    made = base_environment(service(pass_environment=("NAME",)), FTP, caller, {})
    assert made[b"NAME"] == b"caf\xe9"


def test_an_ipv4_peer() -> None:
    assert peer_environment(Peer(AF_INET, v4("192.0.2.7"), 50000, v4("198.51.100.1"), 21)) == {
        b"PROTO": b"TCP",
        b"TCPREMOTEIP": b"192.0.2.7",
        b"TCPREMOTEPORT": b"50000",
        b"TCPLOCALIP": b"198.51.100.1",
        b"TCPLOCALPORT": b"21",
        b"REMOTE_ADDR": b"192.0.2.7",
        b"REMOTE_PORT": b"50000",
        b"REMOTE_HOST": b"192.0.2.7",
    }


def test_an_ipv6_peer() -> None:
    made = peer_environment(Peer(AF_INET6, v6("2001:db8::7"), 50000, v6("2001:db8::1"), 21))
    assert made[b"TCPREMOTEIP"] == made[b"REMOTE_ADDR"] == made[b"REMOTE_HOST"] == b"2001:db8::7"
    assert made[b"TCPLOCALIP"] == b"2001:db8::1"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("fe80::7", b"fe80::7%3"),
        ("febf:ffff::7", b"febf:ffff::7%3"),
        ("fec0::7", b"fec0::7"),
        ("2001:db8::7", b"2001:db8::7"),
    ],
)
def test_a_link_local_peer_keeps_its_interface(address: str, shown: bytes) -> None:
    made = peer_environment(Peer(AF_INET6, v6(address), 1, v6("fe80::1"), 2, scope=3))
    assert made[b"REMOTE_ADDR"] == made[b"TCPREMOTEIP"] == shown
    assert made[b"TCPLOCALIP"] == b"fe80::1%3"


def test_a_datagram_peer_is_udp() -> None:
    made = peer_environment(Peer(AF_INET, v4("192.0.2.7"), 5, v4("192.0.2.1"), 69, datagram=True))
    assert made[b"PROTO"] == b"UDP"
    assert made[b"UDPREMOTEIP"] == b"192.0.2.7"
    assert made[b"UDPREMOTEPORT"] == b"5"
    assert made[b"UDPLOCALIP"] == b"192.0.2.1"
    assert made[b"UDPLOCALPORT"] == b"69"
    assert not any(name.startswith(b"TCP") for name in made)


def test_a_unix_peer_is_known_by_its_credentials() -> None:
    assert peer_environment(Peer(AF_UNIX, pid=12, uid=1000, gid=100)) == {
        b"PROTO": b"UNIX",
        b"UNIXREMOTEPID": b"12",
        b"UNIXREMOTEEUID": b"1000",
        b"UNIXREMOTEEGID": b"100",
    }


def test_listeners_are_announced_as_systemd_does() -> None:
    assert listen_environment(("web", "web"), 4711) == {
        b"LISTEN_FDS": b"2",
        b"LISTEN_PID": b"4711",
        b"LISTEN_FDNAMES": b"web:web",
    }


@pytest.mark.parametrize(("given", "name"), [("", "ftp"), ("http", "http")])
def test_a_listeners_name_is_the_services_unless_it_has_another(given: str, name: str) -> None:
    assert listen_names(service(file_descriptor_name=given), 2) == (name, name)
