"""Real connections on loopback: named rightly, handed over whole, and never the end of the acceptor."""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio
from helpers.clocked import clocked
from helpers.forked import NOBODY, in_child, needs_root, public_folder

from superd.acceptor.accept import BACK_OFF_S, client_of, pack, unmapped
from superd.kernel.endpoints import ipv6_available
from superd.wire.fds import close_all
from superd.wire.messages import MAX_BATCH, Peer

from .workshop import Workshop

needs_ipv6 = pytest.mark.skipif(not ipv6_available(), reason="IPv6 is off here")
V4 = socket.inet_aton("127.0.0.1")


def tcp(address: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((address, 0))
    sock.listen(200)
    return sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(stack: ExitStack, port: int, host: str = "127.0.0.1") -> socket.socket:
    return stack.enter_context(socket.create_connection((host, port)))


def only_peer(shop: Workshop) -> Peer:
    ((_, peer, descriptor),) = shop.receive()
    os.close(descriptor)
    return peer


def source(shop: Workshop) -> str:
    (child,) = shop.service.children.values()
    return child.source


# --- who is there ---


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@clocked
async def test_an_ipv4_client(clients: ExitStack, address: str) -> None:
    """The same on a listener of one address, whose connections need not be asked, and on a wildcard."""
    with Workshop() as shop:
        listener = shop.listen(tcp(address))
        port = port_of(listener.sock)
        client = connect(clients, port)
        shop.accepting.accept(listener)
        assert only_peer(shop) == Peer(socket.AF_INET, V4, port_of(client), V4, port)
        assert source(shop) == "127.0.0.1"


@needs_ipv6
@clocked
async def test_an_ipv6_client(clients: ExitStack) -> None:
    with Workshop() as shop:
        listener = shop.listen(tcp("::1", socket.AF_INET6))
        client = connect(clients, port_of(listener.sock), "::1")
        shop.accepting.accept(listener)
        local = socket.inet_pton(socket.AF_INET6, "::1")
        assert only_peer(shop) == Peer(socket.AF_INET6, local, port_of(client), local, port_of(listener.sock))
        assert source(shop) == "::1"


@needs_ipv6
@clocked
async def test_an_ipv4_client_of_a_dual_stack_socket_is_an_ipv4_client(clients: ExitStack) -> None:
    with Workshop() as shop:
        listener = shop.listen(tcp("::", socket.AF_INET6))
        client = connect(clients, port_of(listener.sock))
        shop.accepting.accept(listener)
        assert only_peer(shop) == Peer(socket.AF_INET, V4, port_of(client), V4, port_of(listener.sock))
        assert source(shop) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:0:1", "::ffff:0:1"),
        ("::1", "::1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_only_mapped_addresses_are_unmapped(address: str, meant: str) -> None:
    assert unmapped(address) == meant
    assert pack(address) == pack(meant)


def test_an_ipv4_client_that_a_proxy_dresses_up_is_judged_as_ipv4() -> None:
    """Only the destination is IPv6 here, so the header as a whole is; deny lists know the client as 192.0.2.7."""
    mapped = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7")
    peer = Peer(int(socket.AF_INET6), mapped, 1, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 2)
    assert client_of(1, peer)[:3] == (1, 4, 0xC0000207)


def test_a_scope_is_no_part_of_the_packed_address() -> None:
    assert pack("fe80::1%eth0") == pack("fe80::1")


@needs_root
def test_a_unix_client_is_known_by_what_the_kernel_says() -> None:
    with public_folder() as folder:

        @clocked
        async def accept() -> None:
            with Workshop() as shop:
                sock = socket.socket(socket.AF_UNIX)
                sock.bind(str(folder / "s"))
                sock.listen()
                (folder / "s").chmod(0o666)
                listener = shop.listen(sock)
                pid = _connect_as_nobody(folder / "s")
                shop.accepting.accept(listener)
                assert only_peer(shop) == Peer(socket.AF_UNIX, pid=pid, uid=NOBODY, gid=NOBODY)
                assert source(shop) == f"uid:{NOBODY}"

        accept()


def _connect_as_nobody(path: Path) -> int:
    """The pid of a client that has connected, and is gone; its connection waits to be accepted."""
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        socket.socket(socket.AF_UNIX).connect(str(path))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    return pid


# --- the connection itself ---


@clocked
async def test_the_spawner_gets_the_connection_and_nobody_else_keeps_it(clients: ExitStack) -> None:
    with Workshop() as shop:
        listener = shop.listen(tcp())
        client = connect(clients, port_of(listener.sock))
        shop.accepting.accept(listener)
        ((_, _, descriptor),) = shop.receive()
        assert os.get_blocking(descriptor), "programs expect it so"
        os.write(descriptor, b"hello")
        os.close(descriptor)
        assert client.recv(100) == b"hello"
        assert client.recv(100) == b"", "it is closed with the child's copy"


@clocked
async def test_ids_go_up_and_those_of_another_acceptor_never_meet_them(clients: ExitStack) -> None:
    with Workshop() as shop:
        listener = shop.listen(tcp())
        for _ in range(2):
            connect(clients, port_of(listener.sock))
        for _ in range(2):
            shop.accepting.accept(listener)
        ids = list(shop.service.children)
        assert ids == [(1 << 40) + 1, (1 << 40) + 2]
        assert shop.service.accepted == 2


@clocked
async def test_all_that_waits_is_taken_in_batches_that_fit_a_packet(clients: ExitStack) -> None:
    with Workshop(credits=200) as shop:
        listener = shop.listen(tcp())
        for _ in range(100):
            connect(clients, port_of(listener.sock))
        sizes: list[int] = []
        while sum(sizes) < 100:
            shop.accepting.accept(listener)
            got = shop.receive()
            close_all([descriptor for _, _, descriptor in got])
            sizes.append(len(got))
        assert max(sizes) == MAX_BATCH
        assert sizes[0] == 1, "an idle service is not asked in vain"
        shop.accepting.accept(listener)
        with pytest.raises(BlockingIOError):
            shop.receive()


@clocked
async def test_no_more_are_taken_than_there_are_credits_and_the_rest_waits(clients: ExitStack) -> None:
    with Workshop(credits=3) as shop:
        listener = shop.listen(tcp())
        for _ in range(5):
            connect(clients, port_of(listener.sock))
        for _ in range(10):
            shop.accepting.accept(listener)
        assert len(shop.service.children) == 3
        assert shop.polls >= 1, "so its listeners are looked at again"
        shop.dispatch.acknowledged(shop.service, next(iter(shop.service.sent)))
        shop.accepting.accept(listener)
        assert len(shop.service.children) == 4


# --- what goes wrong ---


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@clocked
async def test_a_client_that_resets_before_it_is_accepted_is_in_nobodys_way(
    clients: ExitStack, address: str
) -> None:
    with Workshop() as shop:
        listener = shop.listen(tcp(address))
        with socket.create_connection(("127.0.0.1", port_of(listener.sock))) as hasty:
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client = connect(clients, port_of(listener.sock))
        for _ in range(3):
            shop.accepting.accept(listener)
        ports: list[int] = []
        while len(ports) < shop.service.accepted:
            for _, peer, descriptor in shop.receive():
                ports.append(peer.remote_port)
                os.close(descriptor)
        assert port_of(client) in ports
        assert shop.exhausted == []


def test_without_descriptors_the_queue_is_left_to_the_kernel_for_a_while() -> None:
    def starve() -> None:
        @clocked
        async def accept() -> None:
            with Workshop() as shop, ExitStack() as stack:
                listener = shop.listen(tcp())
                connect(stack, port_of(listener.sock))
                soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(shop.timers.run, lambda: None)
                    for times in range(1, 20):  # it waits no longer for having waited before
                        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                        shop.accepting.accept(listener)
                        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                        assert shop.exhausted == [errno.EMFILE] * times
                        assert shop.dispatch.room(shop.service) == 0
                        await trio.sleep(BACK_OFF_S + 0.01)
                        assert shop.dispatch.room(shop.service) == shop.credits
                    shop.accepting.accept(listener)
                    assert only_peer(shop).remote == V4
                    nursery.cancel_scope.cancel()

        accept()

    in_child(starve)
