"""What a spawner is born with: all that the master hands to the process it forks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from attrs import frozen

from superd.config.model import Service
from superd.config.sandbox import Feature, Sandbox
from superd.kernel.identity import Identity


@frozen
class Birth:
    """All that a spawner is born with.

    Args:
        service: its settings.
        identity: whose place it takes, resolved by the master.
        caller: the environment superd was started with (for ``pass_environment``).
        soft_nofile: the limit on descriptors that superd was started with; children get it unless told otherwise.
        master: this end of the link to the master.
        own: this end of its own link to the acceptor (acknowledgements, pings, instances).
        work: where connections arrive, shared by all spawners of the service.
        listeners: the service's listening sockets, in the order of ``listen`` (wait and always only).
        sandbox: the effective one.
        lacking: features of it that this machine lacks, and that the service does without.
        outer_pids: a descriptor of the master's pid namespace, where the spawner was born into one of its own.
    """

    service: Service
    identity: Identity
    caller: Mapping[str, str]
    soft_nofile: int
    master: socket.socket
    own: socket.socket
    work: socket.socket
    listeners: Sequence[socket.socket]
    sandbox: Sandbox
    lacking: frozenset[Feature]
    outer_pids: int | None = None

    def descriptors(self) -> list[int]:
        sockets = [sock.fileno() for sock in (self.master, self.own, self.work, *self.listeners)]
        return sockets if self.outer_pids is None else [*sockets, self.outer_pids]


SpawnerLife = Callable[[Birth], NoReturn]
"""What a spawner does with its life; given to the master by whoever starts it, since roles do not know each other."""
