"""The tables of /proc/net (proc_pid_net(5)): who listens and who is connected, for whoever may read them."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator
from itertools import islice

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_ESTABLISHED = "01"  # TCP_ESTABLISHED, include/net/tcp_states.h
_CONNECTED = (
    "03"  # SS_CONNECTED, include/uapi/linux/net.h; of an accepted socket, which carries its listener's path
)


def parse_address(text: str) -> Address:
    """Parse 8 or 32 hex digits: 32-bit words, each in the machine's own byte order."""
    words = (int(text[start : start + 8], 16) for start in range(0, len(text), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


def lines(path: str) -> Iterator[str]:
    """Yield the lines after the heading; a table is missing where its family is off."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as table:
            yield from islice(table, 1, None)
    except FileNotFoundError:
        return


def has_connections(listener: socket.socket) -> bool:
    """Whether a connection to a stream listener is open now, accepted or not. False for datagrams.

    Raises:
        OSError: /proc is not there.
    """
    if listener.type == socket.SOCK_DGRAM:
        return False
    if listener.family == socket.AF_UNIX:
        name = listener.getsockname()
        path = "@" + name[1:].decode(errors="surrogateescape") if isinstance(name, bytes) else name
        columns = (line.rstrip("\n").split(maxsplit=7) for line in lines("/proc/self/net/unix"))
        return any(len(row) == 8 and row[7] == path and row[5] == _CONNECTED for row in columns)
    host, port = listener.getsockname()[:2]
    wanted = ipaddress.ip_address(host.partition("%")[0])
    return any(_is_connection(row, wanted, port) for table in ("tcp", "tcp6") for row in _rows(table))


def _rows(table: str) -> Iterator[list[str]]:
    return (line.split() for line in lines(f"/proc/self/net/{table}"))


def _is_connection(row: list[str], wanted: Address, port: int) -> bool:
    host, _, local_port = row[1].partition(":")
    if row[3] != _ESTABLISHED or int(local_port, 16) != port:
        return False
    return wanted.is_unspecified or parse_address(host) == wanted
