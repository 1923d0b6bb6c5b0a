"""Handlers: imported once by the spawner, and called in a process that is forked for each connection.

Nothing is executed, so nothing closes descriptors or clears memory for the child. It closes all but its own, and
never returns into the spawner's stack. What it shares with the spawner is what the service's user may know anyway:
its code, and the environment, which is each child's own. It stays undumpable as the spawner is, so children of
one user cannot look into each other, which executed ones could.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from superd.config.model import Service, StandardError
from superd.errors import Exit
from superd.handler.connection import Address, Connection
from superd.handler.loading import Serve, load
from superd.handler.places import search_path
from superd.handler.running import run
from superd.handler.streams import renew_for_sockets
from superd.kernel import linux, rlimits
from superd.spawner.descriptors import DescriptorBudget
from superd.spawner.plan import Environment
from superd.wire.messages import Peer
from superd.wire.peers import address_text, peer_environment

MOST_LINES, MOST_CHARS = 40, 300
"""Of a traceback. Even if JSON needs six bytes for each character, that fits a ``HandlerFailed``."""

LOG = 3
"""The log's descriptor in a child whose standard error leads elsewhere."""


def load_handler(service: Service, environment: Environment) -> Serve | None:
    """Import a service's handler into this process, for good; None where it has none.

    Raises:
        LoadError: it cannot be used.
    """
    if service.handler is None:
        return None
    folders = search_path(service.environment.get("PYTHONPATH", ""))
    os.environb.clear()
    os.environb.update(environment)
    sys.argv = [service.handler.text]
    with _signals_kept():
        serve = load(service.handler, folders)
    renew_for_sockets()
    gc.collect()
    return serve


@contextmanager
def _signals_kept() -> Iterator[None]:
    """What a module makes of signals while it is imported would be the spawner's end, or its deafness."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


def fitting(lines: Sequence[str]) -> tuple[str, ...]:
    """As much of a traceback as a message carries: its last lines, whatever JSON makes of them."""
    return tuple(line[:MOST_CHARS] for line in lines[-MOST_LINES:])


class HandlerCalls:
    """Forks, and calls the handler in the child."""

    always_logs = True

    def __init__(self, serve: Serve, service: Service, budget: DescriptorBudget, null: int) -> None:
        self._serve = serve
        self._service = service
        self._limits = rlimits.split(service.resource_limits)[1]
        self._budget = budget
        self._null = null
        self._title_area = linux.argument_area()

    def start(self, sock: int, error: int, peer: Peer) -> int:
        pid = os.fork()
        if pid == 0:
            self._live(sock, error, peer)
        return pid

    def start_instance(self, descriptors: Sequence[int], environment: Callable[[int], Environment]) -> int:
        raise OSError(errno.EINVAL, "a handler has no instance")

    def _live(self, sock: int, error: int, peer: Peer) -> NoReturn:
        """The child's whole life."""
        status: int = Exit.SOFTWARE
        try:
            log = self._place(sock, error)
            status = self._call(peer, log)
        finally:
            os._exit(status)

    def _place(self, sock: int, error: int) -> int:
        """Descriptors 0, 1 and 2, and that of the log, which is returned; no other stays open."""
        os.dup2(sock, 0)
        os.dup2(sock, 1)
        kind = self._service.standard_error
        if kind is StandardError.LOG:
            os.dup2(error, 2)
            linux.close_range(3)
            return 2
        os.dup2(sock if kind is StandardError.SOCKET else self._null, 2)
        os.dup2(error, LOG, inheritable=False)
        linux.close_range(LOG + 1)
        return LOG

    def _call(self, peer: Peer, log: int) -> int:
        def write_log(text: str) -> None:
            _write_all(log, f"{text}\n".encode("utf-8", "backslashreplace"))

        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            rlimits.apply({**self._budget.inherited(), **self._limits})
        except OSError as error:
            write_log(f"{self._service.name}: {error.strerror}")
            return Exit.SOFTWARE
        os.environb.update(peer_environment(peer))
        connection = connection_of(peer, self._service.name, write_log)
        linux.set_name(self._service.name)
        linux.write_title(self._title_area, f"{self._service.name}: {connection.peer}")
        return run(self._serve, connection, write_log)


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:  # the spawner is gone, and a line of log is not worth a connection
        pass


def connection_of(peer: Peer, service: str, log: Callable[[str], None]) -> Connection:
    """The connection on descriptor 0, as the handler is given it."""
    if peer.family == socket.AF_UNIX:
        sock = socket.socket(fileno=0)  # a stream or records: it is asked
        return Connection(sock, Address("", 0, peer.pid, peer.uid, peer.gid), Address("", 0), service, log)
    kind = socket.SOCK_DGRAM if peer.datagram else socket.SOCK_STREAM
    return Connection(
        socket.socket(peer.family, kind, 0, 0),
        Address(address_text(peer, peer.remote), peer.remote_port),
        Address(address_text(peer, peer.local), peer.local_port),
        service,
        log,
        datagram=peer.datagram,
    )
