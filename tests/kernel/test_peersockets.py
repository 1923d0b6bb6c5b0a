"""A socket for each peer beside the listener: who hears what, at every moment, on both families."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import attrs
import pytest
from helpers.forked import NOBODY, in_child, needs_root
from hypothesis import given
from hypothesis import strategies as st
from kernel_endpoints import at_port, endpoint

from superd.config.model import SocketOptions
from superd.kernel import rawudp
from superd.kernel.endpoints import Endpoint, ipv6_available
from superd.kernel.listen import open_listener
from superd.kernel.peersockets import (
    bind_beside_connected,
    can_deliver,
    claim,
    deliver,
    is_member,
    lead_group,
    open_member,
)

PLAIN = SocketOptions()
SO_DETACH_FILTER = 27  # include/uapi/asm-generic/socket.h
needs_ipv6 = pytest.mark.skipif(not ipv6_available(), reason="IPv6 is off here")


class Place:
    """A listener that leads its group, its members and its clients; all closed at the end.

    Args:
        text: its ``listen`` value; port 0 lets the kernel choose.
        home: where clients are, and where they send to.
    """

    def __init__(self, text: str, home: str, stack: ExitStack) -> None:
        self.home = home
        self.stack = stack
        self.endpoint = endpoint(text)
        self.listener = self.kept(open_listener(self.endpoint, PLAIN, nonblocking=True))
        self.endpoint = at_port(self.endpoint, self.listener.getsockname()[1])
        lead_group(self.listener, self.endpoint, PLAIN)

    def kept(self, sock: socket.socket) -> socket.socket:
        return self.stack.enter_context(sock)

    @property
    def target(self) -> tuple[str, int]:
        return self.home, self.listener.getsockname()[1]

    def client(self) -> socket.socket:
        sock = self.kept(socket.socket(self.endpoint.family, socket.SOCK_DGRAM))
        sock.bind((self.home, 0))
        return sock

    def strangers_send(self, count: int = 20) -> None:
        for _ in range(count):
            self.client().sendto(b"stranger", self.target)

    def member(self) -> socket.socket:
        return self.kept(open_member(self.listener, self.endpoint, PLAIN))

    def member_of(self, client: socket.socket) -> socket.socket:
        member = self.member()
        claim(member, client.getsockname())
        return member

    def another_listener(self) -> socket.socket:
        """One that is opened after ours was closed."""
        sock = self.kept(open_listener(self.endpoint, PLAIN, nonblocking=True))
        lead_group(sock, self.endpoint, PLAIN)
        return sock


PLACES = [
    pytest.param(("udp://127.55.2.1:0", "127.55.2.1"), id="ipv4"),
    pytest.param(("udp4://*:0", "127.0.0.1"), id="ipv4-any"),
    pytest.param(("udp://[::1]:0", "::1"), id="ipv6", marks=needs_ipv6),
    pytest.param(("udp6://*:0", "::1"), id="ipv6-any", marks=needs_ipv6),
]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        text, home = request.param
        yield Place(text, home, stack)


@pytest.fixture
def ipv4() -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place("udp4://*:0", "127.0.0.1", stack)


def heard(sock: socket.socket) -> list[bytes]:
    """All that waits in a socket; on loopback that is all that was sent."""
    found = []
    while True:
        try:
            found.append(sock.recv(70000, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return found


def disconnect(sock: socket.socket) -> None:
    address = struct.pack("H14x", socket.AF_UNSPEC)
    assert ctypes.CDLL(None).connect(sock.fileno(), address, len(address)) == 0


# --- who hears what ---


def test_the_listener_hears_every_stranger_while_a_member_has_no_peer_yet(place: Place) -> None:
    members = [place.member() for _ in range(5)]
    place.strangers_send(20)
    assert len(heard(place.listener)) == 20
    assert [heard(member) for member in members] == [[]] * 5


def test_each_peer_is_heard_by_its_own_member_alone(place: Place) -> None:
    clients = [place.client() for _ in range(8)]
    members = [place.member_of(client) for client in clients]
    place.member()
    for number, client in enumerate(clients):
        client.sendto(b"%d" % number, place.target)
    place.strangers_send(10)
    assert [heard(member) for member in members] == [[b"%d" % number] for number in range(8)]
    assert heard(place.listener) == [b"stranger"] * 10


def test_a_member_answers_from_where_the_client_sent_to(place: Place) -> None:
    client = place.client()
    place.member_of(client).send(b"answer")
    data, source = client.recvfrom(100)
    assert (data, source[:2]) == (b"answer", place.target)


def test_a_peer_without_its_member_is_a_stranger_again(place: Place) -> None:
    client = place.client()
    place.member_of(client).close()
    client.sendto(b"again", place.target)
    assert heard(place.listener) == [b"again"]


def test_a_broadcast_is_not_heard_by_a_member_in_the_moment_before_it_has_a_peer(ipv4: Place) -> None:
    member, client = ipv4.member(), ipv4.client()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.sendto(b"to all", ("127.255.255.255", ipv4.target[1]))
    assert heard(ipv4.listener) == [b"to all"]
    assert heard(member) == []


def test_a_child_that_disconnects_its_socket_hears_nobody_else(place: Place) -> None:
    member = place.member_of(place.client())
    disconnect(member)
    with pytest.raises(PermissionError):
        member.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    place.strangers_send()
    assert heard(member) == []


# --- whose port it is ---


@pytest.mark.parametrize(
    "options",
    [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)],
)
def test_nobody_else_can_bind_the_port(place: Place, options: tuple[int, ...]) -> None:
    place.member_of(place.client())
    rival = place.kept(socket.socket(place.endpoint.family, socket.SOCK_DGRAM))
    if place.endpoint.v6only:
        rival.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    for option in options:
        rival.setsockopt(socket.SOL_SOCKET, option, 1)
    with pytest.raises(OSError) as caught:
        rival.bind(place.listener.getsockname())
    assert caught.value.errno == errno.EADDRINUSE


def test_a_new_listener_opens_beside_the_members_of_the_old_one_and_takes_nothing_from_them(
    place: Place,
) -> None:
    clients = [place.client() for _ in range(3)]
    members = [place.member_of(client) for client in clients]
    place.listener.close()
    listener = place.listener = place.another_listener()
    new = place.client()
    place.member_of(new)
    place.member()
    for client in clients:
        client.sendto(b"mine", place.target)
    place.strangers_send(5)
    assert [heard(member) for member in members] == [[b"mine"]] * 3
    assert heard(listener) == [b"stranger"] * 5


def test_a_new_listener_owns_the_port_as_the_old_one_did(ipv4: Place) -> None:
    ipv4.member_of(ipv4.client())
    ipv4.listener.close()
    ipv4.listener = ipv4.another_listener()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rival, pytest.raises(OSError):
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(ipv4.listener.getsockname())


def test_a_listener_does_not_open_beside_a_stranger_that_would_share_the_port(ipv4: Place) -> None:
    ipv4.member_of(ipv4.client())
    ipv4.listener.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("127.0.0.1", ipv4.endpoint.address[1]))
        with pytest.raises(OSError) as caught:
            open_listener(ipv4.endpoint, PLAIN, nonblocking=True)
    assert caught.value.errno == errno.EADDRINUSE


def test_a_listener_that_was_opened_otherwise_can_lead_and_twice_is_no_harm() -> None:
    with ExitStack() as stack:
        adopted = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        adopted.bind(("127.0.0.1", 0))
        where: Endpoint = at_port(endpoint("udp4://127.0.0.1:0"), adopted.getsockname()[1])
        for _ in range(2):
            lead_group(adopted, where, PLAIN)
        stack.enter_context(open_member(adopted, where, PLAIN))
        client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for _ in range(10):
            client.sendto(b"x", adopted.getsockname())
        assert len(heard(adopted)) == 10


def test_a_member_has_the_options_of_its_service(place: Place) -> None:
    options = attrs.evolve(PLAIN, ip_ttl=33, reuse_port=True)
    with open_member(place.listener, place.endpoint, options) as member:
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
            if place.endpoint.is_ipv6
            else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        assert member.getsockopt(level, option) == 33
        assert member.getblocking()


def test_binding_elsewhere_is_as_ever() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        bind_beside_connected(sock, endpoint("udp4://127.55.2.2:0"))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


# --- delivery ---


@needs_root
@pytest.mark.parametrize("size", [0, 1, 1473, 60_000, 65_488])
def test_what_is_delivered_comes_from_the_peer_and_reaches_its_member_alone(place: Place, size: int) -> None:
    clients = [place.client() for _ in range(3)]
    members = [place.member_of(client) for client in clients]
    payload = os.urandom(size)
    deliver(members[1], payload)
    assert members[1].recvfrom(70000, socket.MSG_DONTWAIT) == (payload, clients[1].getsockname())
    assert [heard(sock) for sock in (*members, place.listener)] == [[]] * 4


@needs_root
def test_the_longest_datagram_of_ipv4_is_delivered_and_a_longer_one_is_refused(ipv4: Place) -> None:
    member = ipv4.member_of(ipv4.client())
    deliver(member, bytes(65_507))
    assert heard(member) == [bytes(65_507)]
    with pytest.raises(ValueError, match="65508 bytes do not fit"):
        deliver(member, bytes(65_508))


@needs_root
def test_what_misses_its_member_never_reaches_the_listener(place: Place) -> None:
    """Else the listener would have it delivered again, without end."""
    client = place.client()
    with socket.socket(place.endpoint.family, socket.SOCK_DGRAM) as impostor:
        impostor.connect(place.target)
        here, there = impostor.getsockname(), impostor.getpeername()
        family = place.endpoint.family
        marked = rawudp.packet(
            (socket.inet_pton(family, here[0]), here[1]), (socket.inet_pton(family, there[0]), there[1]), b"x"
        )
        with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(marked, (there[0], 0))
    client.sendto(b"not marked", place.target)
    assert heard(place.listener) == [b"not marked"]


@needs_root
def test_only_who_may_open_raw_sockets_can_deliver() -> None:
    assert can_deliver()

    def as_nobody() -> bool:
        os.setuid(NOBODY)
        return can_deliver()

    assert in_child(as_nobody) is False


# --- what the master takes for a member ---


def test_a_claimed_member_is_one(place: Place) -> None:
    assert is_member(place.member_of(place.client()), [place.listener])


def test_a_socket_elsewhere_is_none(place: Place) -> None:
    elsewhere = place.client()
    elsewhere.connect(place.target)
    assert not is_member(elsewhere, [place.listener])
    assert not is_member(place.member_of(place.client()), [])


def test_a_connection_of_another_kind_is_none(ipv4: Place) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other, socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_member(one, [ipv4.listener])
        with socket.create_connection(server.getsockname()) as stream:
            assert not is_member(stream, [ipv4.listener])


def test_a_member_without_a_peer_is_refused(ipv4: Place) -> None:
    with pytest.raises(OSError) as caught:
        is_member(ipv4.member(), [ipv4.listener])
    assert caught.value.errno == errno.ENOTCONN


# --- packets ---

PORTS = st.integers(1, 65535)


def places(size: int) -> st.SearchStrategy[rawudp.Place]:
    return st.tuples(st.binary(min_size=size, max_size=size), PORTS)


def folded(data: bytes) -> int:
    """The sum of RFC 1071 as it is written there: word by word, the carry added back."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(word for (word,) in struct.iter_unpack("!H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=200))
def test_data_with_its_checksum_sums_up_to_ones(data: bytes) -> None:
    found = rawudp.checksum(data)
    assert 0 < found <= 0xFFFF
    assert folded(data + b"\0" * (len(data) % 2) + struct.pack("!H", found)) == 0xFFFF


def test_the_checksum_of_a_known_packet() -> None:
    """The example of RFC 1071, section 3."""
    assert rawudp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@given(places(4), places(4), st.binary(max_size=300))
def test_a_packet_of_ipv4_says_what_it_was_given(
    remote: rawudp.Place, local: rawudp.Place, payload: bytes
) -> None:
    made = rawudp.packet(remote, local, payload)
    assert made[0] == 0x45 and made[8] == 0 and made[9] == socket.IPPROTO_UDP
    assert struct.unpack("!H", made[2:4])[0] == len(made)
    assert (made[12:16], made[16:20]) == (remote[0], local[0])
    assert struct.unpack("!HHHH", made[20:28]) == (remote[1], local[1], 8 + len(payload), 0)
    assert made[28:] == payload


@given(places(16), places(16), st.binary(max_size=300))
def test_a_packet_of_ipv6_says_what_it_was_given_and_its_checksum_holds(
    remote: rawudp.Place, local: rawudp.Place, payload: bytes
) -> None:
    made = rawudp.packet(remote, local, payload)
    assert made[0] == 0x60 and made[6] == socket.IPPROTO_UDP and made[7] == 0
    length = struct.unpack("!H", made[4:6])[0]
    assert length == len(made) - 40 == 8 + len(payload)
    assert (made[8:24], made[24:40]) == (remote[0], local[0])
    assert struct.unpack("!HHH", made[40:46]) == (remote[1], local[1], length)
    pseudo = remote[0] + local[0] + struct.pack("!I3xB", length, socket.IPPROTO_UDP)
    assert folded(pseudo + made[40:]) == 0xFFFF
    assert made[48:] == payload
