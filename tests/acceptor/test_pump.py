"""What a client sends reaches the backend and the other way round, whatever either does: by splice and by copying."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from attrs import define, field

from superd.acceptor.pipes import MOST, Pipes
from superd.acceptor.poller import Poller
from superd.acceptor.pump import BACKEND, CLIENT, Pump

from .pairs import in_trio, read_exactly, read_to_end, reset, send_all, tcp_pair, unix_pair

Pair = Callable[[], tuple[socket.socket, socket.socket]]

KINDS = [
    pytest.param(most, client, backend, id=f"{word}-{client.__name__}-{backend.__name__}")
    for word, most in (("splice", MOST), ("copy", 0))
    for client, backend in ((tcp_pair, tcp_pair), (tcp_pair, unix_pair), (unix_pair, tcp_pair))
]
every_kind = pytest.mark.parametrize(("most", "client_pair", "backend_pair"), KINDS)
both_ways_of_carrying = pytest.mark.parametrize("most", [MOST, 0], ids=["splice", "copy"])


@define
class Joined:
    """A pump between two far ends."""

    client: socket.socket
    backend: socket.socket
    pump: Pump
    pipes: Pipes
    poller: Poller
    over: list[tuple[str, int]] = field(factory=list)
    is_over: trio.Event = field(factory=trio.Event)


@asynccontextmanager
async def joined(
    most: int, client_pair: Pair = tcp_pair, backend_pair: Pair = tcp_pair
) -> AsyncIterator[Joined]:
    """Both far ends, joined; at the end nothing is left open, and no pipe is out."""
    before = set(os.listdir("/proc/self/fd"))
    client, near_client = client_pair()
    backend, near_backend = backend_pair()
    poller, pipes = Poller(list[OSError]().append), Pipes(most)
    for sock in (client, near_client, backend, near_backend):
        sock.setblocking(False)

    def over(side: str, error: int) -> None:
        all_.over.append((side, error))
        pump.close(reset={CLIENT: BACKEND, BACKEND: CLIENT}.get(side, ""))
        all_.is_over.set()

    pump = Pump(near_client, near_backend, poller, pipes, over)
    all_ = Joined(client, backend, pump, pipes, poller)
    poller.watch_edges(near_backend.fileno(), lambda _: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run, lambda: None)
        pump.start(0)
        yield all_
        nursery.cancel_scope.cancel()
    if not all_.over:
        pump.close()
    client.close()
    backend.close()
    assert pipes._out == 0, "every pipe was given back"
    pipes.close()
    poller._epoll.close()
    assert set(os.listdir("/proc/self/fd")) <= before, "nothing is left open"


@every_kind
@in_trio
async def test_both_ways_at_once_and_the_end_of_each_by_itself(
    most: int, client_pair: Pair, backend_pair: Pair
) -> None:
    up, down = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(2_000_001)
    got: dict[str, bytes] = {}

    async def read(name: str, sock: socket.socket) -> None:
        got[name] = await read_to_end(sock)

    async def write(sock: socket.socket, data: bytes) -> None:
        await send_all(sock, data)
        sock.shutdown(socket.SHUT_WR)

    async with joined(most, client_pair, backend_pair) as both:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, both.client, up)
            nursery.start_soon(write, both.backend, down)
            nursery.start_soon(read, "up", both.backend)
            nursery.start_soon(read, "down", both.client)
        await both.is_over.wait()
        assert got == {"up": up, "down": down}
        assert both.over == [("", 0)]
        assert (both.pump.up.moved, both.pump.down.moved) == (len(up), len(down))


@every_kind
@in_trio
async def test_a_half_close_leaves_the_other_way_open(
    most: int, client_pair: Pair, backend_pair: Pair
) -> None:
    async with joined(most, client_pair, backend_pair) as both:
        await send_all(both.client, b"question")
        both.client.shutdown(socket.SHUT_WR)
        assert await read_to_end(both.backend) == b"question"
        assert not both.over
        await send_all(both.backend, b"an answer that comes after the end of the question")
        both.backend.close()
        assert await read_to_end(both.client) == b"an answer that comes after the end of the question"
        await both.is_over.wait()
        assert both.over == [("", 0)]


@every_kind
@in_trio
async def test_a_half_close_of_the_backend(most: int, client_pair: Pair, backend_pair: Pair) -> None:
    async with joined(most, client_pair, backend_pair) as both:
        both.backend.shutdown(socket.SHUT_WR)
        assert await read_to_end(both.client) == b""
        await send_all(both.client, b"still heard")
        assert await read_exactly(both.backend, 11) == b"still heard"
        both.client.close()
        assert await read_to_end(both.backend) == b""
        await both.is_over.wait()


@both_ways_of_carrying
@in_trio
async def test_a_reader_that_stands_still_holds_its_writer(most: int) -> None:
    """The writer is told to wait by its own kernel; what was under way arrives whole once the reader goes on."""
    sent = 0
    chunk = bytes(range(256)) * 256
    async with joined(most) as both:
        with trio.move_on_after(0.5):
            while True:
                await trio.lowlevel.wait_writable(both.backend)
                sent += both.backend.send(chunk[sent % 256 :])
        moved = both.pump.down.moved
        assert moved < sent < 64 << 20, "the kernel's queues, and no more"
        both.backend.shutdown(socket.SHUT_WR)
        received = await read_to_end(both.client)
        assert len(received) == sent
        assert received == (bytes(range(256)) * (sent // 256 + 1))[:sent]


@both_ways_of_carrying
@in_trio
async def test_a_client_that_resets_resets_the_backend(most: int) -> None:
    async with joined(most) as both:
        await send_all(both.client, b"x")
        await read_exactly(both.backend, 1)
        reset(both.client)
        await both.is_over.wait()
        assert both.over[0][0] == CLIENT
        with pytest.raises(ConnectionResetError):
            await read_to_end_raw(both.backend)


@both_ways_of_carrying
@in_trio
async def test_a_backend_that_dies_midway_resets_the_client(most: int) -> None:
    async with joined(most) as both:
        await send_all(both.backend, b"half an answ")
        assert await read_exactly(both.client, 12) == b"half an answ"
        reset(both.backend)
        await both.is_over.wait()
        assert both.over[0][0] == BACKEND
        with pytest.raises(ConnectionResetError):
            await read_to_end_raw(both.client)


@both_ways_of_carrying
@in_trio
async def test_a_reset_after_a_half_close_is_noticed_though_nobody_reads(most: int) -> None:
    async with joined(most) as both:
        both.client.shutdown(socket.SHUT_WR)
        assert await read_to_end(both.backend) == b""
        reset(both.client)
        await both.is_over.wait()  # though the backend says nothing
        assert both.over[0][0] == CLIENT


@both_ways_of_carrying
@in_trio
async def test_an_early_answer_arrives_though_the_question_was_not_read_to_its_end(most: int) -> None:
    """A web server that refuses a large upload answers and closes, which resets what is still being sent."""
    async with joined(most) as both:
        await send_all(both.backend, b"413 too large")
        both.backend.close()
        with suppress(trio.BrokenResourceError):
            while not both.over:
                await send_all(both.client, b"more of the question")
        await both.is_over.wait()
        assert await read_exactly(both.client, 13) == b"413 too large"


@pytest.mark.parametrize(
    ("most", "client_pair"), [(MOST, tcp_pair), (0, tcp_pair), (MOST, unix_pair), (0, unix_pair)]
)
@in_trio
async def test_an_urgent_byte_stays_in_its_place_and_holds_nothing_up(most: int, client_pair: Pair) -> None:
    async with joined(most, client_pair) as both:
        for text in (b"first", b"second"):
            await send_all(both.client, text)
            both.client.send(b"!", socket.MSG_OOB)
            assert await read_exactly(both.backend, len(text) + 1) == text + b"!"
        both.client.send(b"!", socket.MSG_OOB)
        await send_all(both.client, b"last words")
        both.client.shutdown(socket.SHUT_WR)
        assert await read_to_end(both.backend) == b"!last words"


@both_ways_of_carrying
@in_trio
async def test_the_end_after_an_urgent_byte_is_not_taken_for_the_end_before_it(most: int) -> None:
    """All of it is there before anybody looks, so the first look is at an end with something urgent before it."""
    client, near_client = tcp_pair()
    client.send(b"!", socket.MSG_OOB)
    client.send(b"all")
    client.close()
    async with joined(most, lambda: (socket.socket(), near_client)) as both:
        assert await read_to_end(both.backend) == b"!all"


@in_trio
async def test_when_pipes_run_out_the_rest_is_copied() -> None:
    """One connection's slow reader holds the only pipe; the other way's bytes pass all the same."""
    async with joined(1) as both:
        with trio.move_on_after(0.3):
            while True:
                await send_all(both.backend, bytes(100_000))
        assert both.pipes.take() is None, "it waits for the client"
        await send_all(both.client, b"copied")
        assert await read_exactly(both.backend, 6) == b"copied"


def test_pipes_are_kept_for_who_comes_next_and_counted() -> None:
    pipes = Pipes(2)
    first, second = pipes.take(), pipes.take()
    assert first is not None
    assert second is not None
    assert pipes.take() is None
    pipes.give(first)
    assert pipes.take() == first
    pipes.drop(second)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(second[0])
    pipes.give(first)
    assert len(pipes) == 1
    pipes.close()
    assert len(pipes) == 0


async def read_to_end_raw(sock: socket.socket) -> bytes:
    """As ``read_to_end``, with the kernel's own errors."""
    data = b""
    while True:
        await trio.lowlevel.wait_readable(sock)
        part = sock.recv(65536)
        if not part:
            return data
        data += part
