"""The master's listening sockets: opened, adopted, tried again, closed."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable

import attrs

from superd.config.model import Mode, Service, SocketOptions
from superd.kernel.arrivals import tell_addresses
from superd.kernel.endpoints import Endpoint, ipv6_available, plan_endpoints
from superd.kernel.listen import (
    apply_options,
    matches,
    open_listener,
    remove_socket_file,
    socket_file_id,
)
from superd.kernel.owners import port_owner
from superd.kernel.peersockets import lead_group, open_member
from superd.master.loop import Loop
from superd.master.services import Listener, Managed

_UNIX_KINDS = {socket.SOCK_DGRAM: "-dgram", socket.SOCK_SEQPACKET: "-seqpacket"}

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 30.0


class Adoptable:
    """Sockets that somebody opened for us: systemd, before the start. Each can be taken once."""

    def __init__(self, descriptors: list[int]) -> None:
        self._descriptors = descriptors

    def take(self, endpoint: Endpoint) -> socket.socket | None:
        """The socket that an endpoint asks for, or None."""
        for descriptor in self._descriptors:
            if matches(descriptor, endpoint):
                self._descriptors.remove(descriptor)
                return socket.socket(fileno=descriptor)
        return None

    def close(self) -> list[str]:
        """Close what nobody took; returns the addresses, to be told to the administrator."""
        left = []
        for descriptor in self._descriptors:
            try:
                with socket.socket(fileno=descriptor) as sock:
                    left.append(_spelt(sock))
            except OSError:  # LISTEN_FDS may pass a fifo or a file too
                os.close(descriptor)
                left.append(f"descriptor {descriptor}")
        self._descriptors = []
        return left


def _spelt(sock: socket.socket) -> str:
    """The address of a socket as ``listen`` would have it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = name if isinstance(name, str) else "@" + name[1:].decode(errors="backslashreplace")
        return f"unix{_UNIX_KINDS.get(sock.type, '')}://{path}"
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"{'udp' if sock.type == socket.SOCK_DGRAM else 'tcp'}://{host}:{name[1]}"


def plan(service: Service) -> list[Listener]:
    """The listeners that a service needs, none of them open."""
    return [Listener(endpoint) for endpoint in plan_endpoints(service, ipv6=ipv6_available())]


def open_one(listener: Listener, service: Service, adoptable: Adoptable | None = None) -> bool:
    """Open a listener, or note why it cannot be; True when it is open."""
    try:
        sock = _opened(listener, service, adoptable)
    except OSError as error:
        listener.reason = _explain(listener.endpoint, error)
        listener.may_come = error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV)
        listener.attempts += 1
        return False
    listener.sock, listener.reason, listener.attempts = sock, "", 0
    return True


def _opened(listener: Listener, service: Service, adoptable: Adoptable | None) -> socket.socket:
    endpoint = listener.endpoint
    sock = adoptable.take(endpoint) if adoptable else None
    try:
        if sock is not None:
            adapt(sock, endpoint, service)
            return sock
        nonblocking = service.mode is Mode.NOWAIT
        sock = open_listener(endpoint, _options(endpoint, service), nonblocking=nonblocking)
        if _has_peers(endpoint, service):
            lead_group(sock, endpoint, service.socket)
        if _is_answered(endpoint, service):
            tell_addresses(sock)
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    listener.file_id = socket_file_id(endpoint)
    return sock


def adapt(sock: socket.socket, endpoint: Endpoint, service: Service) -> None:
    """Give a socket that is open already what its service asks for."""
    if service.mode is Mode.NOWAIT:
        sock.setblocking(False)  # an instance's are made blocking at its start, when the acceptor has let go
    apply_options(sock, endpoint, _options(endpoint, service))
    if endpoint.type != socket.SOCK_DGRAM:
        sock.listen(service.socket.backlog)
    if _has_peers(endpoint, service):
        lead_group(sock, endpoint, service.socket)
    if _is_answered(endpoint, service):
        tell_addresses(sock)


def _is_answered(endpoint: Endpoint, service: Service) -> bool:
    """Whether the acceptor answers what comes. It wants to know where each datagram arrived, from the first one on."""
    return endpoint.is_udp and service.is_served_here


def _has_peers(endpoint: Endpoint, service: Service) -> bool:
    """Whether each peer of the listener gets a socket of its own."""
    return endpoint.is_udp and service.mode is Mode.NOWAIT and not service.is_served_here


def _options(endpoint: Endpoint, service: Service) -> SocketOptions:
    """``[socket]`` as it suits a listener: one that has peers shares its port with their sockets alone."""
    return attrs.evolve(service.socket, reuse_port=False) if _has_peers(endpoint, service) else service.socket


def sockets_with_peers(listeners: Iterable[Listener], service: Service) -> list[socket.socket]:
    """Those of a service's listeners whose peers get sockets of their own, as far as they are open."""
    return [one.sock for one in listeners if one.sock is not None and _has_peers(one.endpoint, service)]


def open_peer(listener: Listener, service: Service) -> socket.socket:
    """Open a socket for one peer of a UDP listener; the acceptor, who knows the peer, connects it.

    Raises:
        OSError: it cannot be had; ENOTCONN, there is no such listener (any more).
    """
    if listener.sock is None or not _has_peers(listener.endpoint, service):
        raise OSError(errno.ENOTCONN, "the listener is closed")
    return open_member(listener.sock, listener.endpoint, service.socket)


def _explain(endpoint: Endpoint, error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(endpoint)
        return f"{text}: {owner}" if owner else f"{text} (ss -lpn tells by whom)"
    return text


def retry(loop: Loop, listener: Listener, managed: Managed, opened: Callable[[Managed], None]) -> float:
    """Try to open a listener again later, until it is; returns in how many seconds."""
    seconds = float(min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(listener.attempts - 1, 8)))

    def again() -> None:
        listener.timer = None
        if open_one(listener, managed.service):
            opened(managed)
        else:
            retry(loop, listener, managed, opened)

    listener.timer = loop.after(seconds, again)
    return seconds


def close_one(listener: Listener, *, remove_file: bool = True) -> None:
    """Close a listener; a unix socket's file goes with it."""
    if listener.timer is not None:
        listener.timer.cancel()
        listener.timer = None
    if listener.sock is None:
        return
    if remove_file and listener.file_id is not None:
        try:
            remove_socket_file(listener.endpoint, listener.file_id)
        except OSError:
            pass  # the folder is gone, or not ours any more; the next start replaces a stale socket
    listener.sock.close()
    listener.sock = None
