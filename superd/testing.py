"""For tests of handlers: a handler is called with one end of a pair of sockets, the test has the other.

::

    from superd.testing import exchange

    def test_who_is_asked_for() -> None:
        assert exchange(finger, b"root\\r\\n").startswith(b"Login: root")

The handler runs in a thread of the test's own process, so its exceptions, breakpoints and coverage are the test's.
What superd does beside calling it (the user, the limits, the process of its own) is not there.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from superd.handler.connection import Address, Connection
from superd.handler.loading import serving, takes_nothing

PEER, LOCAL = Address("192.0.2.7", 50000), Address("192.0.2.1", 7)
"""Who is there unless the test says otherwise: addresses of documentation (RFC 5737)."""

PATIENCE_S = 30.0
"""A handler that has not ended that long after its client has gone is a failure."""

__all__ = ["LOCAL", "PEER", "Session", "connected", "exchange"]


class Session:
    """The test's side of a handler's connection.

    Args:
        socket: the client's end. Reading gives up after ``PATIENCE_S``.
        log: what the handler wrote to the log, line by line.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.log: list[str] = []


@contextlib.contextmanager
def connected(
    handler: Callable[..., Any],
    *,
    peer: Address = PEER,
    local: Address = LOCAL,
    service: str = "test",
    datagram: bool = False,
) -> Iterator[Session]:
    """Have a handler serve a connection while the block runs; at its end the client closes.

    Args:
        handler: what the configuration would name: a function with the connection or nothing as its parameter,
            ``async`` perhaps, or a class of socketserver's kind. One without parameters has ``sys.stdin`` and
            ``sys.stdout``, which are everybody's: one at a time.
        peer, local, service: what the connection says.
        datagram: the connection carries datagrams.

    Raises:
        LoadError: it is no handler.
        TimeoutError: it does not end.
        BaseException: what it raised, SystemExit included, when the block has ended without an exception.
    """
    serve = serving(handler)
    wires = _standard_streams if takes_nothing(handler) else contextlib.nullcontext
    kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
    client, server = socket.socketpair(socket.AF_UNIX, kind)
    client.settimeout(PATIENCE_S)
    session = Session(client)
    connection = Connection(server, peer, local, service, session.log.append, datagram=datagram)
    raised: list[BaseException] = []
    thread = threading.Thread(target=_served, args=(serve, connection, wires, raised), daemon=True)
    thread.start()
    with client:
        yield session
    thread.join(PATIENCE_S)
    if thread.is_alive():
        raise TimeoutError(f"the handler did not end within {PATIENCE_S:g} s of its client")
    if raised:
        raise raised[0]


def exchange(handler: Callable[..., Any], data: bytes = b"", **how: Any) -> bytes:
    """What a handler answers to all that a client sends before it ends its side.

    Args:
        how: as ``connected`` takes it.

    Raises:
        BaseException: as ``connected``.
    """
    with connected(handler, **how) as session:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it does not care for all of it
            session.socket.sendall(data)
        session.socket.shutdown(socket.SHUT_WR)
        return b"".join(_pieces(session.socket))


def _pieces(sock: socket.socket) -> Iterator[bytes]:
    """What comes until the other side ends, or breaks off because it was sent more than it took."""
    with contextlib.suppress(ConnectionResetError):
        yield from iter(lambda: sock.recv(65536), b"")


def _served(
    serve: Callable[[Connection], Any],
    connection: Connection,
    wires: Callable[[socket.socket], contextlib.AbstractContextManager[None]],
    raised: list[BaseException],
) -> None:
    try:
        with connection.socket as sock, wires(sock):
            try:
                serve(connection)
                connection.flush()
            finally:
                _close_files(connection)
    except BaseException as error:  # noqa: BLE001  it is the test's
        raised.append(error)


def _close_files(connection: Connection) -> None:
    """A socket whose files are open is not closed."""
    for name in ("reader", "writer"):
        file = vars(connection).get(name)
        if file is not None:
            with contextlib.suppress(OSError):  # what it could not send any more was told by flush
                file.close()


@contextlib.contextmanager
def _standard_streams(sock: socket.socket) -> Iterator[None]:
    """``sys.stdin`` and ``sys.stdout`` as a handler without parameters finds them."""
    before = sys.stdin, sys.stdout
    with (
        io.TextIOWrapper(sock.makefile("rb"), "utf-8", "surrogateescape") as sys.stdin,
        io.TextIOWrapper(sock.makefile("wb"), "utf-8", "surrogateescape") as sys.stdout,
    ):
        try:
            yield
            sys.stdout.flush()
        finally:
            sys.stdin, sys.stdout = before
