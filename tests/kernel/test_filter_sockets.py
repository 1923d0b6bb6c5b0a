"""A private network by system calls: no peer but those of the sockets that a service was given."""

from __future__ import annotations

import ctypes
import errno
import socket

import pytest
from filtered import IO_URING, call, sandbox, under

from superd.config.sandbox import ANY_PORT
from superd.kernel.filters import Facts

EPERM = errno.EPERM

OWNER = Facts(root=False, owns_listeners=True)
DATAGRAMS = Facts(root=False, owns_listeners=True, datagrams=True)
BACKEND = Facts(root=False, is_backend=True)

SOCKET_CALLS = {
    "connect": call("connect", -1, 0, 0),
    "bind": call("bind", -1, 0, 0),
    "listen": call("listen", -1, 1),
    "accept": call("accept", -1, 0, 0),
    "accept4": call("accept4", -1, 0, 0, 0),
    "sendto": call("sendto", -1, 0, 0, 0, 1, 16),
}
"""To a descriptor that is none: EBADF comes from the kernel, EPERM from the filter."""


@pytest.mark.parametrize(
    ("facts", "connect", "denied"),
    [
        (Facts(root=False), ANY_PORT, "connect bind listen accept accept4 sendto"),
        (Facts(root=False), (), "connect bind listen accept accept4 sendto"),
        (OWNER, ANY_PORT, "connect bind sendto"),
        (DATAGRAMS, ANY_PORT, "connect bind"),
        (Facts(root=False), (5432,), "bind listen accept accept4"),
        (BACKEND, ANY_PORT, ""),
    ],
)
def test_no_way_leads_from_a_private_network_to_another(
    facts: Facts, connect: tuple[int, ...], denied: str
) -> None:
    expected = [EPERM if name in denied.split() else errno.EBADF for name in SOCKET_CALLS]
    wanted = sandbox(private_network=True, tcp_connect_ports=connect)
    assert under(wanted, *SOCKET_CALLS.values(), facts=facts) == expected


def test_an_inherited_connection_is_served_and_leads_nowhere_else() -> None:
    """Its peer closes it; to disconnect and connect it anew, or to listen on it, would leave the namespace."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
    ):
        theirs, _ = server.accept()
        with theirs:
            unspecified = ctypes.create_string_buffer(16)
            assert under(
                sandbox(private_network=True),
                lambda: theirs.send(b"hello"),
                lambda: theirs.sendmsg([b"hello"]),
                lambda: theirs.getpeername(),
                call("connect", theirs.fileno(), ctypes.addressof(unspecified), 16),
                lambda: theirs.connect(server.getsockname()),
                lambda: theirs.listen(),
                lambda: theirs.sendmsg([b"x"], [], socket.MSG_FASTOPEN, server.getsockname()),
                *IO_URING,
            ) == [0, 0, 0, EPERM, EPERM, EPERM, errno.EISCONN, EPERM, EPERM, EPERM]
            assert ours.recv(100) == b"hellohello"


def test_a_listener_that_was_given_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        wanted = sandbox(private_network=True)
        assert under(wanted, lambda: server.listen(5), server.accept, facts=OWNER) == [0, 0]
