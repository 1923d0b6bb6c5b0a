"""``[services.X.socket]`` on a socket: one table, applied before bind and inherited by accepted connections."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable

from attrs import frozen

from superd.config.model import SocketOptions
from superd.kernel.endpoints import Endpoint

# Constants that Python 3.11's socket module lacks.
_SO_SNDBUFFORCE = 32  # include/uapi/asm-generic/socket.h
_SO_RCVBUFFORCE = 33
_SO_PASSRIGHTS = 83
_IP_FREEBIND = 15  # include/uapi/linux/in.h
_IPV6_FREEBIND = 78  # include/uapi/linux/in6.h, kernel 4.15


@frozen
class _Row:
    """One option: the field of ``SocketOptions``, the sockets it suits, and the setsockopt(2) call.

    ``forced`` is a privileged option of the same level that goes past the system's maximum.
    """

    field: str
    suits: Callable[[Endpoint], bool]
    level: int
    option: int
    forced: int | None = None

    @property
    def key(self) -> str:
        """The key in the file, which has no unit in its name."""
        return self.field.removesuffix("_s").removesuffix("_bytes")


def _is_any(endpoint: Endpoint) -> bool:
    return True


def _is_inet(endpoint: Endpoint) -> bool:
    return not endpoint.is_unix


def _is_tcp(endpoint: Endpoint) -> bool:
    return endpoint.is_tcp


def _is_udp(endpoint: Endpoint) -> bool:
    return endpoint.is_udp


def _is_ipv6(endpoint: Endpoint) -> bool:
    return endpoint.is_ipv6


def _carries_ipv4(endpoint: Endpoint) -> bool:
    return endpoint.carries_ipv4


def _is_unix(endpoint: Endpoint) -> bool:
    return endpoint.is_unix


# A dual-stack socket has both rows of ip_tos and ip_ttl set: the IPv4 one speaks to its IPv4 clients.
_ROWS = (
    _Row("keep_alive", _is_tcp, socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    _Row("no_delay", _is_tcp, socket.IPPROTO_TCP, socket.TCP_NODELAY),
    _Row("defer_accept_s", _is_tcp, socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT),
    _Row("tcp_congestion", _is_tcp, socket.IPPROTO_TCP, socket.TCP_CONGESTION),
    _Row("receive_buffer_bytes", _is_any, socket.SOL_SOCKET, socket.SO_RCVBUF, _SO_RCVBUFFORCE),
    _Row("send_buffer_bytes", _is_any, socket.SOL_SOCKET, socket.SO_SNDBUF, _SO_SNDBUFFORCE),
    _Row("ip_tos", _carries_ipv4, socket.IPPROTO_IP, socket.IP_TOS),
    _Row("ip_tos", _is_ipv6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    _Row("ip_ttl", _carries_ipv4, socket.IPPROTO_IP, socket.IP_TTL),
    _Row("ip_ttl", _is_ipv6, socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
    _Row("mark", _is_inet, socket.SOL_SOCKET, socket.SO_MARK),
    _Row("reuse_port", _is_inet, socket.SOL_SOCKET, socket.SO_REUSEPORT),
    _Row("free_bind", _carries_ipv4, socket.IPPROTO_IP, _IP_FREEBIND),
    _Row("free_bind", _is_ipv6, socket.IPPROTO_IPV6, _IPV6_FREEBIND),
    _Row("bind_to_device", _is_inet, socket.SOL_SOCKET, socket.SO_BINDTODEVICE),
    _Row("broadcast", _is_udp, socket.SOL_SOCKET, socket.SO_BROADCAST),
    _Row("pass_credentials", _is_unix, socket.SOL_SOCKET, socket.SO_PASSCRED),
)


def apply_options(sock: socket.socket, endpoint: Endpoint, options: SocketOptions) -> None:
    """Set every option that is given and suits the socket; on a socket adopted from systemd as well.

    Raises:
        OSError: the kernel refused one; ``strerror`` names its key and value.
    """
    for row in _ROWS:
        value = getattr(options, row.field)
        if value is not None and row.suits(endpoint):
            _set(sock, row, value)


def refuse_descriptors(sock: socket.socket, *, refused: bool = True) -> bool:
    """Have the kernel turn away who sends descriptors to a unix socket (EPERM), and to those accepted from it.

    Args:
        refused: False: let them in again.

    A descriptor that was sent is closed by the receiver, even by one that takes none, and its sender decides how
    long that lasts: SO_LINGER on a connection that stands still (socket(7)), or a file system of his own.

    Returns:
        False: the kernel is older than 6.16 and takes them.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, not refused)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        return False
    return True


def _set(sock: socket.socket, row: _Row, value: int | str) -> None:
    # Packed here: of a number that needs the 32nd bit, as a mark may, socket.setsockopt makes a TypeError.
    raw = os.fsencode(value) if isinstance(value, str) else struct.pack("I", value)
    try:
        if row.forced is None or not _force(sock, row.level, row.forced, raw):
            sock.setsockopt(row.level, row.option, raw)
    except OSError as error:
        raise OSError(error.errno, f"socket.{row.key} = {value!r}: {error.strerror}") from error


def _force(sock: socket.socket, level: int, option: int, raw: bytes) -> bool:
    """Return whether the privileged option could be set; without CAP_NET_ADMIN it cannot."""
    try:
        sock.setsockopt(level, option, raw)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        return False
    return True
