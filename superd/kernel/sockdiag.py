"""Who owns a TCP connection of this machine, asked of the kernel: sock_diag(7), without privilege.

The kernel looks the connection up as it would for a packet; /proc/net/tcp would be a walk through all of them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

_SOCK_DIAG_BY_FAMILY = 20  # include/uapi/linux/sock_diag.h
_NETLINK_SOCK_DIAG = 4  # include/uapi/linux/netlink.h, as the rest
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_ESTABLISHED = 1  # TCP_ESTABLISHED, include/net/tcp_states.h
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF  # INET_DIAG_NOCOOKIE

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBBI")  # struct inet_diag_req_v2, up to its id
_ID = struct.Struct("!HH16s16s")  # struct inet_diag_sockid, up to its interface
_ID_REST = struct.Struct("=III")  # interface and cookie
_ANSWER = struct.Struct("=BBBB")  # struct inet_diag_msg, up to its id …
_ANSWER_REST = struct.Struct("=IIIII")  # … and after it: expires, rqueue, wqueue, uid, inode
_REST_OFFSET = _HEADER.size + _ANSWER.size + _ID.size + _ID_REST.size

_TIMEOUT_S = 1  # the kernel answers at once, within the send itself


def tcp_owner(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """The uid that owns an established connection.

    Args:
        local: numeric address and port of the end on this machine.
        remote: those of the other end, of the same family.

    Returns:
        The uid; None when there is no such connection.

    Raises:
        OSError: the kernel does not answer such questions (a module is missing, or the container keeps it back).
    """
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    addresses = (socket.inet_pton(family, place[0].partition("%")[0]) for place in (local, remote))
    place = _ID.pack(local[1], remote[1], *addresses) + _ID_REST.pack(0, _NO_COOKIE, _NO_COOKIE)
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + place
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.send(header + request)
        return _owner(kernel.recv(8192))


def _owner(answer: bytes) -> int | None:
    if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
        error = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if error == errno.ENOENT:
            return None
        raise OSError(error, os.strerror(error))
    state = _ANSWER.unpack_from(answer, _HEADER.size)[1]
    uid: int = _ANSWER_REST.unpack_from(answer, _REST_OFFSET)[3]
    return uid if state == _ESTABLISHED else None  # a listener is what is found when nothing else is
