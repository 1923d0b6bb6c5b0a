"""Who is at the other end of a unix socket, as the kernel noted it when they connected: unix(7), socket(7)."""

from __future__ import annotations

import array
import errno
import socket
import struct
from typing import Any

_SO_PEERGROUPS = 59  # include/uapi/asm-generic/socket.h, since Linux 4.13
_MAX_GROUPS_BYTES = 1024  # what Python's getsockopt takes: 256 groups; of more, the primary one alone counts
_UCRED = struct.Struct("iII")


def credentials(sock: Any) -> tuple[int, int, frozenset[int]]:
    """Pid, uid and all groups of the peer."""
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    groups = array.array("I")
    try:
        groups.frombytes(sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_GROUPS_BYTES))
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
    return pid, uid, frozenset((gid, *groups))
