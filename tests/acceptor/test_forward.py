"""Forwarded connections from their admission to their end: what clients, backends and the log see of them."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Callable

import pytest
import trio
from helpers.clocked import clocked
from helpers.proxy_headers import encode_v1, encode_v2

from superd.acceptor.pipes import MOST
from superd.policy.outcome import Outcome
from superd.policy.rules import Access, Limits, ProxyProtocol

from .pairs import in_trio, read_exactly, read_to_end, reset, send_all
from .relay import address_of, backend, free_port, relay

both_ways_of_carrying = pytest.mark.parametrize("most", [MOST, 0], ids=["splice", "copy"])


@both_ways_of_carrying
@in_trio
async def test_a_connection_is_carried_and_logged(most: int) -> None:
    with backend() as listening:
        async with relay(address_of(listening), most) as one:
            client = one.connect()
            peer = await one.accept(listening)
            await send_all(client, b"hello")
            assert await read_exactly(peer, 5) == b"hello"
            await send_all(peer, b"good day")
            peer.close()
            assert await read_to_end(client) == b"good day"
            client.close()
            end = await one.ended()
            assert "outcome=clean received=5 sent=8 duration=" in end
            (began,) = one.events("connection")
            assert f"backend={address_of(listening)}" in began
            assert one.shop.service.accepted == 1
            assert one.left == [0], "the engine was told first"


@in_trio
async def test_a_unix_backend() -> None:
    path = f"/tmp/superd-test-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.setblocking(False)
        try:
            async with relay(f"unix://{path}") as one:
                client = one.connect()
                peer = await one.accept(listening)
                await send_all(peer, b"from a socket")
                peer.close()
                assert await read_to_end(client) == b"from a socket"
                client.close()
                assert f"backend=unix://{path}" in one.events("connection")[0]
        finally:
            os.unlink(path)


@in_trio
async def test_a_backend_that_has_gone_before_it_is_looked_at_ends_its_client() -> None:
    """A unix connection is there at once, and so may be its end: the kernel tells both in one, and never again."""
    name = f"@superd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name[1:]}")
        listening.listen()
        async with relay(f"unix://{name}") as one:
            client = one.connect()
            listening.accept()[0].close()
            assert await read_to_end(client) == b""
            assert "outcome=clean received=0 sent=0" in await one.ended()


@in_trio
async def test_a_backend_that_resets_is_named() -> None:
    with backend() as listening:
        async with relay(address_of(listening)) as one:
            client = one.connect()
            peer = await one.accept(listening)
            await send_all(peer, b"half")
            await read_exactly(client, 4)
            reset(peer)
            assert 'outcome=reset by=backend error="Connection reset by peer"' in await one.ended()
            await trio.lowlevel.wait_readable(client)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert "received=0 sent=4" in await one.ended()


# --- the PROXY header ---


@pytest.mark.parametrize("version", [1, 2])
@in_trio
async def test_the_backend_is_told_of_the_client_first(version: int) -> None:
    encode: Callable[..., bytes] = encode_v1 if version == 1 else encode_v2
    with backend() as listening:
        async with relay(address_of(listening)) as one:
            one.shop.service.engine.retune(Limits(), Access(), ProxyProtocol(send=version), 0)
            client = one.connect()
            await send_all(client, b"payload")
            peer = await one.accept(listening)
            packed = socket.inet_aton("127.0.0.1")
            header = encode(socket.AF_INET, packed, client.getsockname()[1], packed, one.port)
            assert await read_exactly(peer, len(header) + 7) == header + b"payload"
            peer.close()
            client.close()
            assert "received=7 sent=0" in await one.ended(), "the header is not the client's"


# --- time ---


@clocked
async def test_a_silent_connection_is_ended_after_its_idle_timeout() -> None:
    with backend() as listening:
        async with relay(address_of(listening), idle_timeout_s=60.0) as one:
            client = one.connect()
            peer = await one.accept(listening)
            await trio.sleep(50)
            await send_all(client, b"x")
            await read_exactly(peer, 1)
            await trio.sleep(50)
            assert len(one.shop.service.served) == 1
            assert await read_to_end(client) == b""
            assert "outcome=idle received=1 sent=0 duration=110" in await one.ended()


@clocked
async def test_runtime_max_ends_a_connection() -> None:
    with backend() as listening:
        async with relay(address_of(listening), runtime_max_s=30.0) as one:
            client = one.connect()
            await one.accept(listening)
            assert await read_to_end(client) == b""
            assert "outcome=timed-out received=0 sent=0 duration=30.0" in await one.ended()


@in_trio
async def test_what_is_still_connecting_can_be_ended() -> None:
    async with relay(f"tcp://127.0.0.1:{free_port()}") as one:
        client = one.connect()
        (served,) = one.shop.service.served.values()
        served.end(Outcome.STOPPED)
        assert await read_to_end(client) == b""
        assert one.shop.service.served == {}
        assert "outcome=stopped received=0 sent=0" in await one.ended()


@in_trio
async def test_a_forward_is_small() -> None:
    """Ten thousand that say nothing must not cost more than their sockets."""
    with backend() as listening:
        listening.listen(2000)
        async with relay(address_of(listening)) as one:
            for _ in range(20):
                one.connect()
            while len(one.events("connection")) < 20:
                await trio.sleep(0.001)
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(300):
                one.connect()
            while len(one.events("connection")) < 320:
                await trio.sleep(0.01)
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert grown / 300 < 4096
