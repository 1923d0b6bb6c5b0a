"""A service that forwards, put together as the acceptor does it, on a listener of its own."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field

from superd.acceptor.backends import Backends
from superd.acceptor.forward import Forwards
from superd.acceptor.names import Answer
from superd.acceptor.pipes import MOST, Pipes
from superd.acceptor.services import Listener
from superd.policy.networks import parse_address
from superd.policy.outcome import Outcome

from .workshop import Workshop, settings


@define(eq=False)
class Relay:
    """A service that forwards, on a listener of its own.

    Args:
        names: what a resolver finds.
    """

    shop: Workshop
    target: str
    most: int = MOST
    names: dict[str, list[str]] = field(factory=dict)
    changed: dict[str, Any] = field(factory=dict)
    listener: Listener = field(init=False)
    forwards: Forwards = field(init=False)
    backends: Backends = field(init=False)
    pipes: Pipes = field(init=False)
    demands: int = 0
    runs: bool = True
    left: list[int] = field(factory=list)
    kept: list[socket.socket] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        service = self.shop.service
        service.settings = settings(**{"forward": self.target, "program": (), **self.changed})
        self.pipes = Pipes(self.most)
        self.listener = self.shop.listen(socket.create_server(("127.0.0.1", 0)))
        self.backends = Backends(self.shop.log, self.shop.timers, self._look_up, lambda: [self.target])
        self.backends.update()
        self.forwards = Forwards(
            self.shop.log,
            self.shop.timers,
            self.shop.poller,
            self.backends,
            self.pipes,
            self._demand,
            self._left,
        )
        service.server = self.forwards.admit

    def _look_up(self, name: str, answer: Answer) -> None:
        found = tuple(parse_address(text) for text in self.names.get(name, []))
        answer(name, found, "" if found else "Name or service not known")

    def _demand(self, _: object) -> bool:
        self.demands += 1
        return self.runs

    def _left(self, service: object) -> None:
        self.left.append(self.shop.service.engine.open)

    @property
    def port(self) -> int:
        port: int = self.listener.sock.getsockname()[1]
        return port

    def connect(self) -> socket.socket:
        """A client, accepted and admitted."""
        client = socket.create_connection(("127.0.0.1", self.port))
        client.setblocking(False)
        self.kept.append(client)
        self.shop.accepting.accept(self.listener)
        return client

    async def accept(self, listening: socket.socket) -> socket.socket:
        """The backend's end of a connection."""
        await trio.lowlevel.wait_readable(listening)
        peer, _ = listening.accept()
        peer.setblocking(False)
        self.kept.append(peer)
        return peer

    def events(self, word: str) -> list[str]:
        return [line for line in self.shop.logged().splitlines() if re.search(rf"\b{word} ", line)]

    async def ended(self) -> str:
        """The line of the log that the only connection left behind."""
        while self.shop.service.served:
            await trio.sleep(0.001)
        (line,) = self.events("end")
        return line


@asynccontextmanager
async def relay(target: str, most: int = MOST, **more: object) -> AsyncIterator[Relay]:
    with Workshop() as shop:
        names = more.pop("names", {})
        assert isinstance(names, dict)
        runs = bool(more.pop("runs", True))
        one = Relay(shop, target, most, names, more, runs=runs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.poller.run, lambda: None)
            nursery.start_soon(shop.timers.run, lambda: None)
            yield one
            for served in list(shop.service.served.values()):
                served.end(Outcome.STOPPED)
            nursery.cancel_scope.cancel()
        for sock in one.kept:
            sock.close()
        assert one.pipes._out == 0
        one.pipes.close()
        assert shop.service.engine.open == 0, "everybody admitted has ended, and once"


def backend(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    sock = socket.create_server((address, port))
    sock.setblocking(False)
    return sock


def address_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"tcp://{host}:{port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
