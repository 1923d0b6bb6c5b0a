"""PROXY headers on their way: how long they are waited for, and that nobody's room is lost over them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import trio
from attrs import define, evolve, field
from helpers.clocked import clocked
from helpers.proxy_headers import encode_v1

from superd.acceptor.headers import Announced, Headers
from superd.acceptor.services import Listener
from superd.acceptor.timers import Timers
from superd.policy.proxy_header import Header
from superd.policy.rules import ProxyProtocol
from superd.wire.messages import Peer

from .test_accept import tcp
from .workshop import Workshop

V1 = encode_v1(socket.AF_INET, bytes([192, 0, 2, 7]), 1234, bytes([198, 51, 100, 1]), 443)


@define(eq=False)
class Place:
    """Headers awaited on pairs of sockets."""

    shop: Workshop
    listener: Listener
    headers: Headers = field(init=False)
    read: list[Header] = field(factory=list)
    refused: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.headers = Headers(self.shop.poller, self.shop.timers, self._admit, self._refuse, lambda: 4)

    def _admit(self, announced: Announced, header: Header) -> None:
        self.read.append(header)
        announced.sock.close()

    def _refuse(self, announced: Announced, problem: str) -> None:
        self.refused.append(problem)
        announced.sock.close()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.headers.expect(Announced(self.listener, ours, Peer(socket.AF_INET), source, 1))
        return theirs


@asynccontextmanager
async def place(timeout_s: float = 5.0) -> AsyncIterator[Place]:
    with Workshop(timers=Timers()) as shop:
        engine = shop.service.engine
        rules = evolve(ProxyProtocol(("127.0.0.1",)), timeout_s=timeout_s)
        engine.retune(engine.limits, engine.access_rules, rules, 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            nursery.start_soon(shop.poller.run, lambda: None)
            yield Place(shop, shop.listen(tcp()))
            nursery.cancel_scope.cancel()


@clocked
async def test_a_header_that_does_not_come_is_waited_for_so_long() -> None:
    async with place(timeout_s=3.0) as at:
        with at.connect() as client:
            client.sendall(V1[:20])
            assert at.shop.service.newcomers == 1
            await trio.sleep(2.9)
            assert at.refused == []
            await trio.sleep(0.2)
            assert at.refused == ["it did not come in time"]
            assert at.shop.service.newcomers == 0


@pytest.mark.parametrize("sent", [b"", V1[:20]])
@clocked
async def test_who_hangs_up_before_it_is_not_waited_for(sent: bytes) -> None:
    async with place() as at:
        with at.connect() as client:
            client.sendall(sent)
            await trio.sleep(0.1)
        await trio.sleep(0.1)
        assert at.refused == ["the connection ended before it"]


@clocked
async def test_a_header_waits_for_what_is_parked_before_it() -> None:
    async with place() as at:
        at.shop.service.parked = [(1, b"", 0)]
        with at.connect() as client:
            client.sendall(V1)
            await trio.sleep(1)
            assert at.read == [] and at.shop.service.newcomers == 1
            at.shop.service.parked = []
            await trio.sleep(1)
            assert len(at.read) == 1 and at.shop.service.newcomers == 0


@clocked
async def test_a_closed_listener_lets_go_of_those_who_wait() -> None:
    async with place() as at:
        with at.connect() as client:
            at.headers.forget(at.listener)
            assert client.recv(1) == b""
            assert at.shop.service.newcomers == 0
            await trio.sleep(10)
            assert at.refused == [] and at.read == []


@clocked
async def test_who_sends_no_header_keeps_nobody_out() -> None:
    async with place() as at:
        with ExitStack() as stack:
            patient = stack.enter_context(at.connect("127.0.0.2"))
            silent = [stack.enter_context(at.connect()) for _ in range(20)]
            assert at.shop.service.newcomers == 4
            assert at.refused == ["it had not come when others needed the room"] * 17
            assert silent[0].recv(1) == b"", "the first of those who are most goes first"
            patient.sendall(V1)
            await trio.sleep(0.1)
            assert len(at.read) == 1
        await trio.sleep(0.1)
        assert at.shop.service.newcomers == 0


@clocked
async def test_a_client_waits_while_nobody_can_be_judged() -> None:
    async with place() as at:
        at.shop.service.unready = "names"
        with ExitStack() as stack:
            for _ in range(6):
                stack.enter_context(at.connect()).sendall(V1)
                await trio.sleep(1)
            assert at.read == [] and at.refused == []
            at.shop.service.unready = ""
            await trio.sleep(1)
            assert len(at.read) == 6 and at.shop.service.newcomers == 0
