"""Builtins on connections that stand still, break, or never end: each costs little, and ends once."""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field
from helpers.clocked import clocked

from superd.acceptor.builtins.serving import Builtins
from superd.acceptor.builtins.streams import READ_BYTES, Talk
from superd.acceptor.builtins.tcpmux import BUSY, LINE_S
from superd.acceptor.services import Arrival, Listener, Service
from superd.acceptor.timers import Timers
from superd.policy.decision import Client
from superd.policy.outcome import Outcome
from superd.wire.messages import Peer

from .workshop import Workshop, engine, settings


@define(eq=False)
class Place:
    """A builtin, its clients at the other ends of pairs of sockets, and the services beside it."""

    shop: Workshop
    builtins: Builtins = field(init=False)
    others: list[Service] = field(factory=list)
    ended: int = 0

    def __attrs_post_init__(self) -> None:
        shop = self.shop
        self.builtins = Builtins(
            shop.log,
            lambda: 0.0,
            shop.timers,
            shop.poller,
            shop.dispatch,
            shop.accepting,
            shop.refusals,
            lambda: [shop.service, *self.others],
            self._note,
        )

    def _note(self, _: Service) -> None:
        self.ended += 1

    def connect(self) -> socket.socket:
        """A client that was admitted."""
        service = self.shop.service
        ours, theirs = socket.socketpair()
        id_ = self.shop.accepting.new_id()
        service.engine.offer(Client(id_, 4, 1), 0)
        with socket.socket(socket.AF_UNIX) as sock:
            listener = Listener(service, 0, "tcp://*:7", sock, False, None)
            self.builtins.admit(Arrival(listener, id_, ours.detach(), Peer(socket.AF_INET), "192.0.2.1", 1))
        return theirs

    async def settled(self) -> None:
        await trio.testing.wait_all_tasks_blocked()

    def outcomes(self) -> list[str]:
        self.shop.log.flush()
        lines = self.shop.logged().splitlines()
        return [line.partition("outcome=")[2].split()[0] for line in lines if " end " in line]


@asynccontextmanager
async def place(builtin: str, **changed: Any) -> AsyncIterator[Place]:
    with Workshop(timers=Timers()) as shop:
        shop.service.settings = settings(builtin=builtin, **changed)
        here = Place(shop)
        here.builtins.attach(shop.service, builtin)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.poller.run, lambda: None)
            nursery.start_soon(shop.timers.run, lambda: None)
            yield here
            nursery.cancel_scope.cancel()
        for service in (shop.service, *here.others):
            for served in list(service.served.values()):
                served.end(Outcome.STOPPED)


def talk_of(here: Place) -> Talk:
    (talk,) = here.shop.service.served.values()
    assert isinstance(talk, Talk)
    return talk


@clocked
async def test_who_is_idle_is_let_go_and_who_is_not_stays() -> None:
    async with place("echo", idle_timeout_s=10.0) as here:
        client, quiet = here.connect(), here.connect()
        for _ in range(5):
            await trio.sleep(6)
            client.send(b"x")
            await here.settled()
            assert client.recv(10) == b"x"
        assert quiet.recv(10) == b""
        assert here.outcomes() == ["idle"]
        assert here.shop.service.engine.open == 1
        client.close()
        quiet.close()


@clocked
async def test_nobody_stays_longer_than_runtime_max() -> None:
    async with place("echo", idle_timeout_s=10.0, runtime_max_s=25.0) as here:
        client = here.connect()
        for _ in range(4):
            await trio.sleep(6)
            client.send(b"x")
        await trio.sleep(2)
        assert here.outcomes() == ["timed-out"]
        client.close()


@clocked
async def test_who_does_not_read_is_not_read_from_either() -> None:
    async with place("echo", idle_timeout_s=10.0) as here:
        client = here.connect()
        client.setblocking(False)
        sent = 0
        while True:
            try:
                sent += client.send(b"x" * 65536)
            except BlockingIOError:
                held = sent
                await here.settled()
                try:
                    sent += client.send(b"x" * 65536)
                except BlockingIOError:
                    break
        assert held <= sent
        assert 0 < len(talk_of(here).pending) <= READ_BYTES
        got = 0
        while got < sent:
            try:
                got += len(client.recv(1 << 20))
            except BlockingIOError:
                await here.settled()
        assert not talk_of(here).pending
        client.close()


@clocked
async def test_who_reads_nothing_of_chargen_is_idle() -> None:
    async with place("chargen", idle_timeout_s=10.0) as here:
        client = here.connect()
        await trio.sleep(9)
        assert here.outcomes() == []
        await trio.sleep(2)
        assert here.outcomes() == ["idle"]
        client.close()


@clocked
async def test_a_connection_that_breaks_ends_once() -> None:
    async with place("chargen") as here:
        client = here.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await here.settled()
        assert here.outcomes() == ["reset"]
        assert (here.ended, here.shop.service.engine.open) == (1, 0)


@clocked
async def test_all_that_was_sent_before_the_end_comes_back() -> None:
    async with place("echo") as here:
        client = here.connect()
        client.send(b"last words")
        client.shutdown(socket.SHUT_WR)
        await here.settled()
        assert client.recv(100) == b"last words"
        assert client.recv(100) == b""
        assert here.outcomes() == ["clean"]
        client.close()


@clocked
async def test_a_service_that_is_no_longer_builtin_lets_its_clients_go() -> None:
    async with place("echo") as here:
        client = here.connect()
        here.builtins.attach(here.shop.service, "")
        assert here.shop.service.server is None
        assert client.recv(10) == b""
        assert here.outcomes() == ["stopped"]
        client.close()


@pytest.mark.parametrize("builtin", ["echo", "tcpmux"])
@clocked
async def test_who_has_gone_cannot_go_again(builtin: str) -> None:
    async with place(builtin) as here:
        client = here.connect()
        (served,) = here.shop.service.served.values()
        served.end(Outcome.STOPPED)
        served.end(Outcome.IDLE)
        assert (here.outcomes(), here.ended) == (["stopped"], 1)
        client.close()


# --- tcpmux ---


@clocked
async def test_who_does_not_say_what_he_wants_is_let_go() -> None:
    async with place("tcpmux") as here:
        client = here.connect()
        client.send(b"half a na")
        await trio.sleep(LINE_S - 1)
        assert here.outcomes() == []
        await trio.sleep(2)
        assert client.recv(100) == b""
        assert here.outcomes() == ["timed-out"]
        client.close()


@clocked
async def test_who_leaves_in_the_middle_of_its_line_is_not_waited_for() -> None:
    async with place("tcpmux") as here:
        with here.connect() as client:
            client.send(b"half a na")
            await here.settled()
        await here.settled()
        assert here.outcomes() == ["failed"]


@clocked
async def test_a_service_without_room_is_waited_for_but_not_for_ever() -> None:
    async with place("tcpmux") as here:
        full = Service(2, settings(listen=("tcpmux://+cat",)), engine(), unready="names")
        here.others.append(full)
        patient, late = here.connect(), here.connect()
        late.send(b"cat\n")
        await trio.sleep(LINE_S + 1)
        assert late.recv(100) == BUSY
        patient.close()
        late.close()
        await here.settled()
        assert (here.outcomes(), full.accepted) == (["timed-out", "clean"], 0)


@clocked
async def test_who_waited_is_served_when_there_is_room() -> None:
    async with place("tcpmux") as here:
        echo = Service(2, settings(listen=("tcpmux://cat",), builtin="echo"), engine(), unready="names")
        here.builtins.attach(echo, "echo")
        echo.server = here.builtins.admit
        here.others.append(echo)
        client = here.connect()
        client.send(b"cat\r\nhello")
        await trio.sleep(1)
        echo.unready = ""
        await trio.sleep(1)
        assert client.recv(100) == b"+Go\r\nhello"
        assert (len(here.shop.service.served), len(echo.served), echo.engine.open) == (0, 1, 1)
        client.close()


@clocked
async def test_without_a_descriptor_to_spare_nobody_is_handed_over() -> None:
    async with place("tcpmux") as here:
        echo = Service(2, settings(listen=("tcpmux://cat",), builtin="echo"), engine())
        here.builtins.attach(echo, "echo")
        here.others.append(echo)
        client = here.connect()
        client.send(b"cat\r\n")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            await here.settled()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert client.recv(100) == BUSY
        assert (here.outcomes(), len(echo.served), here.shop.service.engine.open) == (["clean"], 0, 0)
        client.close()
