"""The master's listening sockets: opened, adopted, tried again, closed."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from superd.config.model import Mode, Service
from superd.kernel.endpoints import Endpoint, ipv6_available, plan_endpoints
from superd.kernel.listen import (
    apply_options,
    matches,
    open_listener,
    remove_socket_file,
    socket_file_id,
)
from superd.kernel.owners import port_owner
from superd.master.loop import Loop
from superd.master.services import Listener, Managed

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
                    left.append(str(sock.getsockname()))
            except OSError:  # LISTEN_FDS may pass a fifo or a file too
                os.close(descriptor)
                left.append(f"descriptor {descriptor}")
        self._descriptors = []
        return left


def plan(service: Service) -> list[Listener]:
    """The listeners that a service needs, none of them open."""
    return [Listener(endpoint) for endpoint in plan_endpoints(service, ipv6=ipv6_available())]


def open_one(listener: Listener, service: Service, adoptable: Adoptable | None = None) -> bool:
    """Open a listener, or note why it cannot be; True when it is open."""
    nonblocking = service.mode is Mode.NOWAIT
    try:
        sock = adoptable.take(listener.endpoint) if adoptable else None
        if sock is None:
            sock = open_listener(listener.endpoint, service.socket, nonblocking=nonblocking)
            listener.file_id = socket_file_id(listener.endpoint)
        else:
            adapt(sock, listener.endpoint, service)
    except OSError as error:
        listener.reason = _explain(listener.endpoint, error)
        listener.may_come = error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV)
        listener.attempts += 1
        return False
    listener.sock, listener.reason, listener.attempts = sock, "", 0
    return True


def adapt(sock: socket.socket, endpoint: Endpoint, service: Service) -> None:
    """Give a socket that is open already what its service asks for."""
    sock.setblocking(service.mode is not Mode.NOWAIT)
    apply_options(sock, endpoint, service.socket)
    if endpoint.type != socket.SOCK_DGRAM:
        sock.listen(service.socket.backlog)


def _explain(endpoint: Endpoint, error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(endpoint)
        return f"{text}: {owner}" if owner else f"{text} (by whom is hidden from this user)"
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
