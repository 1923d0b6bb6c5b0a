"""Ports below 1024 for a program that is not root: ``request`` asks superd's broker for a bound socket.

    import superd.bind

    listener = superd.bind.request("tcp", "0.0.0.0", 80)
    listener.listen()

Who may have which port is said by ``[[grants]]`` in superd.toml(5). A program that does not know superd is started
with superd-bind(1) instead. This module needs the standard library alone, and may be copied into a program.

The protocol: a SOCK_SEQPACKET connection for each request, one packet each way. The request is ``REQUEST`` with two
descriptors (SCM_RIGHTS): the unbound socket, and a pidfd of the process it is for, one of the sender's user.
The answer is an errno, 0 for success, and a few words in UTF-8. A socket that was granted is bound by then. Whoever
asks too often is hung up on, and may try again.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
import time
from typing import Any

__all__ = ["BIND_SOCKET", "BrokerError", "bind", "request"]

BIND_SOCKET = "/run/superd/bind.sock"
"""Where the broker listens, unless SUPERD_BIND_SOCKET says otherwise."""

REQUEST = struct.Struct("=4sBBHI16s")
"""Magic, kind, IP version (4 or 6), port, scope of a link-local address, and the address, 4 bytes of it or 16.

For ``LIST``, which asks what the sender may bind, all after the kind is 0.
"""

MAGIC = b"SDB1"
BIND, LIST = 1, 2
ANSWER = struct.Struct("=i")
MAX_ANSWER_BYTES = 65536
_BUSY = {errno.EAGAIN, errno.ECONNRESET, errno.EPIPE}
"""What one sees who asks too often: the broker hangs up, or too many wait for it. Try again in a moment."""

_PATIENCE_S = 10.0
_PAUSE_S = 0.02
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class BrokerError(OSError):
    """superd's broker does not answer; ``filename`` is where it should."""


def request(
    transport: str, host: str, port: int, *, reuse_port: bool = False, broker: str = ""
) -> socket.socket:
    """A socket that is bound to a port which superd grants.

    Args:
        transport: ``"tcp"`` or ``"udp"``.
        host: an address in figures: ``"0.0.0.0"``, ``"127.0.0.1"``, ``"::"``, ``"fe80::1%eth0"``.
        port: 1 to 65535.
        reuse_port: share the port with other sockets of this user (SO_REUSEPORT).
        broker: the broker's socket; SUPERD_BIND_SOCKET or ``BIND_SOCKET`` unless given.

    Returns:
        The socket, with SO_REUSEADDR as servers have it. A tcp one does not listen yet.

    Raises:
        ValueError: no such transport.
        PermissionError: no grant allows it; the text says which came near.
        BrokerError: no broker answers.
        OSError: what bind(2) says, as EADDRINUSE; or ``host`` is no address (``socket.gaierror``).
    """
    if transport not in _KINDS:
        raise ValueError(f"no transport {transport!r}: write 'tcp' or 'udp'")
    flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=_KINDS[transport], flags=flags)[0]
    sock = socket.socket(family, kind)
    try:
        if transport == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bind(sock, address, broker=broker)
    except BaseException:
        sock.close()
        raise
    return sock


def bind(
    sock: socket.socket, address: tuple[Any, ...], *, pidfd: int | None = None, broker: str = ""
) -> None:
    """Have the broker bind a socket.

    Args:
        sock: an unbound tcp or udp socket.
        address: as ``sock.bind`` takes it, in figures.
        pidfd: the process it is for, of the same user; the caller's unless given.
        broker: as for ``request``.

    Raises:
        OSError: as for ``request``.
    """
    host, port = str(address[0]).partition("%")[0], int(address[1])
    scope = int(address[3]) if len(address) > 3 else 0
    version = 6 if sock.family == socket.AF_INET6 else 4
    packed = socket.inet_pton(sock.family, host).ljust(16, b"\0")
    packet = REQUEST.pack(MAGIC, BIND, version, port, scope, packed)
    own = os.pidfd_open(os.getpid()) if pidfd is None else -1
    try:
        number, words = ask(packet, (sock.fileno(), own if pidfd is None else pidfd), broker)
    finally:
        if own >= 0:
            os.close(own)
    if number:
        raise OSError(number, words or os.strerror(number))


def ask(packet: bytes, descriptors: tuple[int, ...] = (), broker: str = "") -> tuple[int, str]:
    """Send one request and wait for its answer; one that is turned away as too many is sent again.

    Returns:
        The errno and the words of the answer.

    Raises:
        BrokerError: no broker answers.
    """
    path = broker or os.environ.get("SUPERD_BIND_SOCKET") or BIND_SOCKET
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            answer = _exchange(path, packet, descriptors)
            return ANSWER.unpack_from(answer)[0], answer[ANSWER.size :].decode(errors="replace")
        except OSError as error:
            if error.errno not in _BUSY or time.monotonic() > deadline:
                reason = f"superd's broker does not answer: {error.strerror or error}"
                raise BrokerError(error.errno or errno.ETIMEDOUT, reason, path) from error
        time.sleep(_PAUSE_S)


def _exchange(path: str, packet: bytes, descriptors: tuple[int, ...]) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(_PATIENCE_S)
        link.connect(path)
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        link.sendmsg([packet], rights, socket.MSG_NOSIGNAL)
        answer = link.recv(MAX_ANSWER_BYTES)
    if len(answer) < ANSWER.size:
        raise ConnectionResetError(errno.ECONNRESET, "it hung up")
    return answer
