"""Opening listening sockets, and recognising those that systemd or an earlier master opened.

``endpoints`` says which sockets a service needs, ``sockopts`` sets their options, ``socketfiles`` keeps the files
of unix sockets; this module joins them and is the one to import.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Mapping

from superd.config.model import SocketOptions
from superd.kernel import socketfiles
from superd.kernel.endpoints import Endpoint, ipv6_available, plan_endpoints, socket_address
from superd.kernel.peersockets import bind_beside_connected
from superd.kernel.socketfiles import FileId
from superd.kernel.sockopts import apply_options

__all__ = [
    "Endpoint",
    "FileId",
    "apply_options",
    "inherited_listeners",
    "ipv6_available",
    "matches",
    "open_listener",
    "plan_endpoints",
    "remove_socket_file",
    "socket_file_id",
]

_FIRST_INHERITED_FD = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)

# What an administrator should know beyond strerror, by what bind says.
_BIND_HINTS = {
    errno.EACCES: "a port below net.ipv4.ip_unprivileged_port_start wants root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no interface has this address (free_bind = true does not wait for one)",
}


def open_listener(endpoint: Endpoint, options: SocketOptions, *, nonblocking: bool) -> socket.socket:
    """Open, set up and bind a socket, and listen on it unless it is a datagram one.

    It is closed on exec. Its options pass to the connections accepted from it, so that none costs a system call
    later.

    Args:
        endpoint: what to open.
        options: the service's ``[socket]`` table; what does not suit the socket is left out.
        nonblocking: O_NONBLOCK, for listeners that superd accepts from; programs expect a blocking one.

    Raises:
        OSError: ``strerror`` says in words which option, address or path is at fault.
    """
    try:
        sock = socket.socket(endpoint.family, endpoint.type)
    except OSError as error:
        raise OSError(error.errno, f"cannot make the socket: {error.strerror}") from error
    try:
        sock.setblocking(not nonblocking)
        _set_before_bind(sock, endpoint)
        apply_options(sock, endpoint, options)
        _bind(sock, endpoint, options)
        if endpoint.type != socket.SOCK_DGRAM:
            sock.listen(options.backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def socket_file_id(endpoint: Endpoint) -> FileId | None:
    """Return the identity of the endpoint's socket file, to be kept for ``remove_socket_file``.

    None for sockets without file. Ask once, right after ``open_listener``.
    """
    return socketfiles.socket_file_id(str(endpoint.address)) if endpoint.has_socket_file else None


def remove_socket_file(endpoint: Endpoint, file_id: FileId) -> bool:
    """Remove the file of a unix socket if it is still ours; call it before closing the socket.

    Returns:
        Whether it was removed. False: another program has replaced it, or it is gone.

    Raises:
        OSError: the folder may not be written.
    """
    return socketfiles.remove_file(str(endpoint.address), file_id)


def inherited_listeners(environ: Mapping[str, str], pid: int) -> list[int]:
    """Return the descriptors that systemd passed to the process ``pid``, and close them on exec from now on.

    Names (LISTEN_FDNAMES) play no part: ``matches`` finds the endpoint.

    Raises:
        OSError: EBADF, LISTEN_FDS promises descriptors that are not open.

    Source: sd_listen_fds(3).
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not (count.isascii() and count.isdigit() and len(count) < 10):
        return []
    fds = range(_FIRST_INHERITED_FD, _FIRST_INHERITED_FD + int(count))
    for fd in fds:
        os.set_inheritable(fd, False)
    return list(fds)


def matches(sock_fd: int, endpoint: Endpoint) -> bool:
    """Return whether an open descriptor is the socket that ``endpoint`` asks for.

    Family, type, address, the interface of a link-local address and IPV6_V6ONLY must agree, and a stream socket
    must be listening already, as systemd's are. The descriptor is left open.
    """
    try:
        with socket.socket(fileno=os.dup(sock_fd)) as sock:
            return (
                (sock.family, sock.type) == (endpoint.family, endpoint.type)
                and _is_listening(sock) == (endpoint.type != socket.SOCK_DGRAM)
                and _canonical(sock.getsockname()) == _canonical(socket_address(endpoint))
                and (endpoint.v6only is None or _is_v6only(sock) == endpoint.v6only)
            )
    except OSError:  # not open, not a socket, or its interface does not exist: it does not match
        return False


def _set_before_bind(sock: socket.socket, endpoint: Endpoint) -> None:
    """Set what is no option to the administrator.

    SO_REUSEADDR lets a restarted superd bind past connections in TIME_WAIT. On UDP it would let two daemons share
    a port unnoticed. IPV6_V6ONLY is set either way, whatever net.ipv6.bindv6only says.
    """
    if endpoint.is_tcp:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if endpoint.v6only is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(endpoint.v6only))


def _bind(sock: socket.socket, endpoint: Endpoint, options: SocketOptions) -> None:
    try:
        if endpoint.has_socket_file:
            socketfiles.bind_file(sock, str(endpoint.address), options)
        elif endpoint.is_udp:
            bind_beside_connected(sock, endpoint)
        else:
            sock.bind(socket_address(endpoint))
    except OSError as error:
        raise OSError(error.errno, _explained(endpoint, error)) from error


def _explained(endpoint: Endpoint, error: OSError) -> str:
    text = error.strerror or str(error)
    if endpoint.is_unix:
        return f"{endpoint.address}: {text}"
    hint = _BIND_HINTS.get(error.errno or 0)
    return f"{text}: {hint}" if hint else text


def _is_listening(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _is_v6only(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def _canonical(address: tuple[str, int] | tuple[str, int, int, int] | str | bytes) -> tuple[object, ...]:
    """Return a socket address in a form that compares equal however it was written.

    Python returns abstract names as bytes and paths as str; an IPv6 address has many spellings.
    """
    if isinstance(address, (str, bytes)):
        return (os.fsencode(address),)
    scope_id = address[3] if len(address) == 4 else 0
    return ipaddress.ip_address(address[0].partition("%")[0]), address[1], scope_id
