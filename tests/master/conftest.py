"""A registry at work: real sockets, a real log, and what it tells the acceptor written down."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from attrs import define, field

from superd.config.model import Service
from superd.log import Logger, Sink, SinkKind
from superd.master.loop import Loop
from superd.master.registry import Prepared, Registry
from superd.master.reload import compare
from superd.master.services import Managed
from superd.master.spawners import Spawners


@define
class Told:
    """What the acceptor was told, with the inodes of the descriptors that went with it."""

    messages: list[tuple[object, list[int]]] = field(factory=list)

    def __call__(self, message: object, descriptors: Sequence[int] | None = None) -> None:
        self.messages.append((message, [os.fstat(one).st_ino for one in descriptors or ()]))

    def take(self) -> list[object]:
        messages, self.messages = [message for message, _ in self.messages], []
        return messages


@define
class World:
    """A registry and everything around it."""

    loop: Loop
    registry: Registry
    told: Told
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text()

    def add(self, *services: Service) -> list[Managed]:
        return self.registry.add(services)

    def listener(self, name: str, index: int = 0) -> socket.socket:
        sock = self.registry.by_name()[name].listeners[index].sock
        assert sock is not None, f"{name} does not listen"
        return sock

    def prepare(self, *services: Service) -> list[Prepared]:
        """Get ready for a configuration of these services alone."""
        old = self.registry.by_name()
        change = compare({name: managed.service for name, managed in old.items()}, by_name(services))
        wanted = by_name(services)
        leaving = (*change.changed, *change.removed)
        return [
            self.registry.prepare(wanted[name], old, leaving) for name in (*change.changed, *change.added)
        ]


def by_name(services: Sequence[Service]) -> dict[str, Service]:
    return {service.name: service for service in services}


def _no_life(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("these tests start no spawner")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    told, loop = Told(), Loop()
    log_file = tmp_path / "log"
    descriptor = os.open(log_file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    log = Logger(Sink(SinkKind.FILE, descriptor), lambda: 0.0, immediate=True)
    spawners = Spawners(loop, _no_life, {}, 1024, told, lambda *_: None)
    registry = Registry(loop, log, spawners, told, None)
    yield World(loop, registry, told, log_file)
    registry.close_all()
    for managed in registry.services.values():
        managed.close_work()
    log.close()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Ports of 127.0.0.1 that nobody has."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
