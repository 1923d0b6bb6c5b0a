"""Backends that are slow to start, absent, have several addresses, or names that move."""

from __future__ import annotations

import trio
from helpers.clocked import clocked

from superd.acceptor.forward import CONNECT_S, START_S

from .pairs import in_trio, read_exactly, read_to_end, send_all
from .relay import address_of, backend, free_port, relay


@in_trio
async def test_a_backend_that_is_still_starting_is_waited_for() -> None:
    port = free_port()
    async with relay(f"tcp://127.0.0.1:{port}") as one:
        client = one.connect()
        await send_all(client, b"early")
        await trio.sleep(0.1)
        assert len(one.shop.service.served) == 1
        with backend(port=port) as listening:
            peer = await one.accept(listening)
            assert await read_exactly(peer, 5) == b"early", "what came before waits"
            peer.close()
            client.close()
            await one.ended()
            assert one.events("error") == []


@clocked
async def test_a_backend_that_never_comes_ends_its_client_with_a_reason() -> None:
    port = free_port()
    async with relay(f"tcp://127.0.0.1:{port}") as one:
        began = trio.current_time()
        client = one.connect()
        assert await read_to_end(client) == b""
        assert CONNECT_S - 1 <= trio.current_time() - began <= CONNECT_S
        (line,) = one.events("error")
        assert f'message="cannot reach tcp://127.0.0.1:{port}: Connection refused"' in line
        assert "source=127.0.0.1 outcome=never-started" in line
        assert one.shop.service.served == {}
        assert one.events("end") == []


@clocked
async def test_what_cannot_change_is_not_tried_again() -> None:
    """A path that is no socket: there is nothing to wait for."""
    async with relay("unix:///etc/passwd") as one:
        began = trio.current_time()
        client = one.connect()
        await read_to_end(client)
        # connect(2) to a file that is no socket is refused like one without a listener
        assert trio.current_time() - began <= CONNECT_S
    async with relay("unix:///etc/passwd/socket") as one:
        began = trio.current_time()
        client = one.connect()
        await read_to_end(client)
        assert trio.current_time() == began
        assert "Not a directory" in one.events("error")[0]


@in_trio
async def test_addresses_of_a_name_are_tried_in_turn_and_the_good_one_is_remembered() -> None:
    with backend("127.0.0.3") as listening:
        port = listening.getsockname()[1]
        names = {"db.example": ["127.0.0.2", "127.0.0.3"]}
        async with relay(f"tcp://db.example:{port}", names=names) as one:
            for _ in range(2):
                client = one.connect()
                (await one.accept(listening)).close()
                client.close()
                while one.shop.service.served:
                    await trio.sleep(0.001)
            assert len(one.events("connection")) == 2
            assert all(f"backend=tcp://127.0.0.3:{port}" in line for line in one.events("connection"))
            first = one.backends.addresses(f"tcp://db.example:{port}")[0]
            assert first.text == f"tcp://127.0.0.3:{port}"


@clocked
async def test_a_name_that_cannot_be_looked_up_is_named() -> None:
    async with relay("tcp://nowhere.example:80") as one:
        client = one.connect()
        assert await read_to_end(client) == b""
        assert "nowhere.example could not be looked up" in one.events("error")[0]


@in_trio
async def test_a_name_that_has_moved_is_looked_up_again_when_its_address_fails() -> None:
    with backend("127.0.0.5") as listening:
        port = listening.getsockname()[1]
        names = {"db.example": ["127.0.0.4"]}
        async with relay(f"tcp://db.example:{port}", names=names) as one:
            names["db.example"] = ["127.0.0.5"]
            client = one.connect()
            (await one.accept(listening)).close()
            client.close()
            await one.ended()


@clocked
async def test_a_backend_that_superd_starts_is_demanded_until_it_runs_and_has_longer() -> None:
    with backend() as listening:
        async with relay(address_of(listening), runs=False, program=("/bin/backend",)) as one:
            client = one.connect()
            assert one.demands == 1
            await trio.sleep(CONNECT_S + 1)
            assert one.demands > 3
            assert len(one.shop.service.served) == 1
            one.runs = True
            peer = await one.accept(listening)
            await send_all(peer, b"up at last")
            assert await read_exactly(client, 10) == b"up at last"


@clocked
async def test_a_backend_that_does_not_start_is_given_up() -> None:
    async with relay("tcp://127.0.0.1:1", runs=False, program=("/bin/backend",)) as one:
        began = trio.current_time()
        assert await read_to_end(one.connect()) == b""
        assert START_S - 1 < trio.current_time() - began <= START_S
        assert 'message="cannot reach tcp://127.0.0.1:1: it does not run"' in one.events("error")[0]
