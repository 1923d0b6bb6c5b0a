"""Datagrams with the address at which they arrived, so that the answer comes from there (ip(7), ipv6(7))."""

from __future__ import annotations

import socket
import struct
from typing import Any

from attrs import frozen

IP_PKTINFO = 8  # include/uapi/linux/in.h
_INFO4 = struct.Struct("=I4s4s")  # struct in_pktinfo: interface, local address, destination
_INFO6 = struct.Struct("=16sI")  # struct in6_pktinfo: address, interface
_SPACE_BYTES = socket.CMSG_SPACE(_INFO6.size)


@frozen
class Arrival:
    """One datagram.

    Args:
        source: as recvfrom(2) gives it.
        answer_from: the control message that makes an answer come from where this one arrived.
        to_one: it was sent to this machine, not to many (broadcast, multicast).
    """

    payload: bytes
    source: tuple[Any, ...]
    answer_from: tuple[tuple[int, int, bytes], ...]
    to_one: bool


def tell_addresses(sock: socket.socket) -> None:
    """Have a UDP socket tell where each datagram arrived."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def receive(sock: socket.socket, most_bytes: int) -> Arrival:
    """Take one datagram of a socket that tells addresses.

    Raises:
        OSError: as recvmsg(2).
    """
    payload, notes, _, source = sock.recvmsg(most_bytes, _SPACE_BYTES)
    for level, kind, data in notes:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, local, destination = _INFO4.unpack(data)
            info = _INFO4.pack(0, local, bytes(4))  # by whatever interface leads there
            return Arrival(payload, source, ((level, kind, info),), local == destination)
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            address, interface = _INFO6.unpack(data)
            scoped = address[0] == 0xFE and address[1] & 0xC0 == 0x80
            info = _INFO6.pack(address, interface if scoped else 0)
            return Arrival(payload, source, ((level, kind, info),), address[0] != 0xFF)
    return Arrival(payload, source, (), False)


def send_answer(sock: socket.socket, payload: bytes, arrival: Arrival) -> None:
    """Answer a datagram.

    Raises:
        OSError: as sendmsg(2).
    """
    sock.sendmsg([payload], arrival.answer_from, socket.MSG_DONTWAIT, arrival.source)
