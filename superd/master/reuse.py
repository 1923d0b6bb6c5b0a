"""Which of the sockets that are open can serve a changed configuration, and which stand in its way: pure."""

from __future__ import annotations

from superd.config.model import Service, SocketOptions
from superd.errors import Fault
from superd.kernel.endpoints import Endpoint
from superd.master.services import Listener


def find_open(
    available: list[tuple[SocketOptions, Listener]], endpoint: Endpoint, options: SocketOptions
) -> Listener | None:
    """An open socket that can serve an endpoint without being bound anew."""
    for index, (old_options, listener) in enumerate(available):
        if _same_place(listener.endpoint, endpoint) and _bound_alike(old_options, options):
            del available[index]
            return listener
    return None


def _same_place(one: Endpoint, other: Endpoint) -> bool:
    return (one.family, one.type, one.address, one.v6only, one.listen.scope) == (
        other.family,
        other.type,
        other.address,
        other.v6only,
        other.listen.scope,
    )


def _bound_alike(one: SocketOptions, other: SocketOptions) -> bool:
    """Whether the options agree that count when a socket is bound and cannot be changed after."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in (
            "reuse_port",
            "free_bind",
            "bind_to_device",
            "socket_user",
            "socket_group",
            "socket_mode",
            "directory_mode",
        )
    )


def clash(one: Endpoint, other: Endpoint) -> bool:
    """Whether an old socket may stand in the way of a new one: the same port, or the same path."""
    if one.is_unix or other.is_unix:
        return one.address == other.address
    return one.type == other.type and one.address[1] == other.address[1]


def listen_fault(service: Service, listener: Listener) -> Fault:
    return Fault(
        service.source_file,
        f"services.{service.name}.listen",
        f"cannot listen: {listener.reason}",
        "free it, or name another",
        f'"{listener.endpoint.listen.text}"',
        service.name,
    )
