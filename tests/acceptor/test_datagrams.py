"""New peers of a UDP listener: each gets a socket, what it sent goes there in order, and nothing is left over.

The test is the master: it opens the sockets, and what was to be delivered it takes as done by the peer itself.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define, field
from helpers.clocked import clocked
from helpers.services import listen

from superd.acceptor.datagrams import DELIVERY_S, MAX_WAITING, Datagrams
from superd.acceptor.poller import Poller
from superd.acceptor.services import Listener
from superd.config.model import SocketOptions
from superd.kernel.endpoints import Endpoint
from superd.kernel.peersockets import lead_group, open_member
from superd.policy.rules import Limits, OnExcess
from superd.wire.datagrams import Deliver, PeerSocket, PeerSocketWanted
from superd.wire.fds import close_all

from .workshop import Workshop

PLAIN = SocketOptions()
WANTED = PeerSocketWanted(1, 0)


@define(eq=False)
class Place:
    """A UDP listener, its clients, and the master's part."""

    shop: Workshop
    poller: Poller = field(factory=lambda: Poller(list[OSError]().append))
    said: list[object] = field(factory=list)
    clients: list[socket.socket] = field(factory=list)
    datagrams: Datagrams = field(init=False)
    listener: Listener = field(init=False)
    endpoint: Endpoint = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.datagrams = Datagrams(
            self.shop.log,
            self.shop.timers,
            self.poller,
            self.shop.dispatch,
            self.shop.accepting,
            self.shop.refusals,
            self._say,
            lambda _: None,
        )
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        self.listener = self.shop.listen(sock)
        self.listener.datagram = True
        text = f"udp4://127.0.0.1:{sock.getsockname()[1]}"
        address = sock.getsockname()
        self.endpoint = Endpoint(text, listen(text), int(socket.AF_INET), int(socket.SOCK_DGRAM), address)
        lead_group(sock, self.endpoint, PLAIN)

    def _say(self, message: object, descriptors: Sequence[int] = ()) -> None:
        self.said.append(message)
        close_all(descriptors)

    def take_said(self) -> list[object]:
        said, self.said = self.said, []
        return said

    def client(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(self.listener.sock.getsockname())
        self.clients.append(sock)
        return sock

    def read(self) -> None:
        self.datagrams.read(self.listener)

    def answer(self) -> None:
        """As the master does: a socket for the peer that asked first."""
        member = open_member(self.listener.sock, self.endpoint, PLAIN)
        self.datagrams.answered(PeerSocket(1, 0, ""), [member.detach()])

    def refuse(self, reason: str) -> None:
        self.datagrams.answered(PeerSocket(1, 0, reason), [])

    @property
    def newcomers(self) -> int:
        return self.shop.service.newcomers

    async def dispatched(self) -> list[tuple[bytes, str, int]]:
        """What the next packet of connections gives to read, from whom, to which port."""
        with trio.fail_after(5):
            await trio.lowlevel.wait_readable(self.shop.work.fileno())
        found = []
        for _, peer, descriptor in self.shop.receive():
            assert peer.datagram
            with socket.socket(fileno=descriptor) as sock:
                found.append((sock.recv(100), socket.inet_ntoa(peer.remote), peer.remote_port))
        return found


@asynccontextmanager
async def a_place(credits: int = 8) -> AsyncIterator[Place]:
    with Workshop(credits=credits) as shop:
        place = Place(shop)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.poller.run, lambda: None)
            nursery.start_soon(shop.timers.run, lambda: None)
            yield place
            nursery.cancel_scope.cancel()
        place.datagrams.forget(place.listener)
        for client in place.clients:
            client.close()


def on_trio(test: Callable[[], object]) -> Callable[[], None]:
    """Run by trio on the real clock: these tests wait for the kernel, and never for a time."""

    def run() -> None:
        trio.run(test)  # type: ignore[arg-type]

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@on_trio
async def test_a_new_peer_is_asked_for_once_and_what_it_sent_is_delivered_in_order() -> None:
    async with a_place() as place:
        client = place.client()
        for data in (b"1", b"2"):
            client.send(data)
        place.read()
        assert place.take_said() == [WANTED]
        client.send(b"3")  # before its socket is there
        place.answer()
        assert place.take_said() == [Deliver(1, data) for data in (b"1", b"2", b"3")]
        client.send(b"4")
        assert await place.dispatched() == [(b"4", *client.getsockname())]
        assert place.newcomers == 0
        assert place.shop.service.accepted == 1


@on_trio
async def test_many_peers_get_sockets_of_their_own() -> None:
    async with a_place() as place:
        clients = [place.client() for _ in range(3)]
        for client in clients:
            client.send(b"first")
        place.read()
        assert place.take_said() == [WANTED] * 3
        for client in clients:
            place.answer()
            client.send(b"%d" % client.getsockname()[1])
            port = client.getsockname()[1]
            assert await place.dispatched() == [(b"%d" % port, "127.0.0.1", port)]


@on_trio
async def test_newcomers_take_room_and_the_rest_waits_in_the_kernel() -> None:
    async with a_place(credits=2) as place:
        for _ in range(3):
            place.client().send(b"x")
        place.read()
        assert place.newcomers == 2
        assert place.shop.dispatch.room(place.shop.service) == 0
        assert place.listener.sock.recv(10) == b"x"


@on_trio
async def test_one_peer_cannot_fill_the_memory_and_what_is_dropped_is_told() -> None:
    async with a_place(credits=64) as place:
        client = place.client()
        for number in range(MAX_WAITING + 3):
            client.send(b"%d" % number)
        place.read()
        place.answer()
        delivered = [Deliver(1, b"%d" % number) for number in range(MAX_WAITING)]
        assert place.take_said() == [WANTED, *delivered]
        assert place.shop.logged().count("a datagram was dropped, too many came before their child") == 3


@on_trio
async def test_the_first_datagram_waits_however_long_and_no_more_bytes_than_may() -> None:
    async with a_place(credits=64) as place:
        client = place.client()
        for letter in (b"a", b"b"):
            client.send(letter * 60_000)
        place.read()
        place.answer()
        assert place.take_said() == [WANTED, Deliver(1, b"a" * 60_000)]
        assert "a datagram was dropped" in place.shop.logged()


@on_trio
async def test_why_a_peer_gets_no_socket_is_told_and_the_listener_rests() -> None:
    async with a_place() as place:
        place.client().send(b"x")
        place.read()
        place.refuse("Too many open files")
        assert "no child for a peer: Too many open files" in place.shop.logged()
        assert place.newcomers == 0
        assert place.shop.dispatch.room(place.shop.service) == 0


@on_trio
async def test_no_child_is_started_while_there_is_nothing_to_read() -> None:
    async with a_place() as place:
        place.client().send(b"x")
        place.read()
        place.answer()
        await trio.testing.wait_all_tasks_blocked()
        assert place.newcomers == 1
        with pytest.raises(BlockingIOError):
            place.shop.receive()


@clocked
async def test_what_was_never_delivered_is_told_and_forgotten() -> None:
    async with a_place() as place:
        place.client().send(b"x")
        place.read()
        place.answer()
        await trio.sleep(DELIVERY_S + 1)
        assert "no child for a peer: what it sent could not be delivered" in place.shop.logged()
        assert place.newcomers == 0


@on_trio
async def test_a_closed_listener_leaves_nothing_behind_and_late_sockets_are_closed() -> None:
    async with a_place() as place:
        place.client().send(b"settled")
        place.client().send(b"asked for")
        place.read()
        place.answer()
        place.datagrams.forget(place.listener)
        assert place.newcomers == 0
        reader, writer = os.pipe()
        place.datagrams.answered(PeerSocket(1, 0, ""), [writer])
        assert os.read(reader, 1) == b"", "nobody has the other end"
        os.close(reader)


@on_trio
async def test_a_peer_whose_child_has_ended_is_a_newcomer_again() -> None:
    async with a_place() as place:
        client = place.client()
        for _ in range(2):
            client.send(b"hello")
            place.read()
            place.answer()
            client.send(b"for the child")
            assert await place.dispatched() == [(b"for the child", *client.getsockname())]
        assert place.take_said() == [WANTED, Deliver(1, b"hello")] * 2


@clocked
async def test_a_service_that_queues_leaves_new_peers_to_the_kernel_and_hears_its_newcomers_out() -> None:
    async with a_place() as at:
        engine = at.shop.service.engine
        limits = Limits(max_connections=1, on_excess=OnExcess.QUEUE)
        engine.retune(limits, engine.access_rules, engine.proxy_protocol, 0)
        first, second = at.client(), at.client()
        for client, data in ((first, b"1"), (first, b"2"), (second, b"3")):
            client.send(data)
        at.read()
        assert at.take_said() == [WANTED]
        at.read()
        assert at.take_said() == [] and not at.shop.service.refused
        at.answer()
        assert at.take_said() == [Deliver(1, b"1"), Deliver(1, b"2")]
        engine.close()
        at.read()
        assert at.take_said() == [WANTED]
