"""What starts a service's children: its program is executed, for a connection or for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from superd.config.model import Service
from superd.kernel import rlimits
from superd.spawner.descriptors import DescriptorBudget
from superd.spawner.plan import Environment, encode
from superd.spawner.spawn import fork_exec, spawn
from superd.wire.messages import Peer
from superd.wire.peers import peer_environment


class Starter(Protocol):
    """Starts the children of a service.

    Args:
        always_logs: its children write to the log even where their standard error leads elsewhere.
    """

    always_logs: bool

    def start(self, sock: int, error: int, peer: Peer) -> int:
        """Start a child with a socket and a descriptor for its standard error; returns its pid.

        Raises:
            OSError: it could not be started.
        """

    def start_instance(self, descriptors: Sequence[int], environment: Callable[[int], Environment]) -> int:
        """Start the one process that a service has; arguments and errors as those of ``fork_exec``."""


class Program:
    """Executes a service's program."""

    always_logs = False

    def __init__(self, service: Service, environment: Environment, budget: DescriptorBudget) -> None:
        self._path = encode(service.program)
        self._argv = tuple(encode(word) for word in service.exec)
        self._limits = rlimits.split(service.resource_limits)[1]
        self._kill_signal = service.kill_signal
        self._environment = environment
        self._budget = budget

    def start(self, sock: int, error: int, peer: Peer) -> int:
        environment = {**self._environment, **peer_environment(peer)}
        standard = (sock, sock, error)
        if self._limits:
            limits = {**self._budget.inherited(), **self._limits}
            with self._budget.lifted():
                return fork_exec(self._path, self._argv, lambda _: environment, standard, limits)
        if not self._budget.crowded:
            return spawn(self._path, self._argv, environment, standard)
        with self._budget.seated(standard) as low:
            return spawn(self._path, self._argv, environment, low)

    def start_instance(self, descriptors: Sequence[int], environment: Callable[[int], Environment]) -> int:
        return fork_exec(self._path, self._argv, environment, descriptors, self._limits, self._kill_signal)
