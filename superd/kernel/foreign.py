"""Calls on a socket that somebody else uses at the same time: by its descriptor, and without Python's global lock.

He may hold the kernel's lock of the socket for as long as he likes (a send from memory that he does not yet supply),
and ``socket.socket`` asks for the socket's name while every thread of the process waits.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

_libc = ctypes.CDLL(None, use_errno=True)  # lets the other threads run while it calls
_libc.getsockopt.argtypes = (
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_int),
    ctypes.POINTER(ctypes.c_uint32),
)
_libc.getsockname.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint32))
_libc.bind.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)

_IPV4 = struct.Struct(
    "=H2s4s8x"
)  # struct sockaddr_in, include/uapi/linux/in.h; the port as the network has it
_IPV6 = struct.Struct("=H2sI16sI")  # struct sockaddr_in6, include/uapi/linux/in6.h
_NAME_BYTES = 128  # struct sockaddr_storage


def _checked(call: str, result: int) -> None:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def pack_address(family: int, port: int, packed: bytes, scope: int = 0) -> bytes:
    """A sockaddr.

    Args:
        family: AF_INET or AF_INET6.
        packed: the address, 4 or 16 bytes.
        scope: interface index of a link-local IPv6 address.
    """
    network_port = port.to_bytes(2)
    if family == socket.AF_INET:
        return _IPV4.pack(family, network_port, packed)
    return _IPV6.pack(family, network_port, 0, packed, scope)


def getsockopt(descriptor: int, option: int) -> int:
    """A whole number at SOL_SOCKET; ENOTSOCK where there is no socket."""
    value, size = ctypes.c_int(), ctypes.c_uint32(ctypes.sizeof(ctypes.c_int))
    result = _libc.getsockopt(descriptor, socket.SOL_SOCKET, option, ctypes.byref(value), ctypes.byref(size))
    _checked("getsockopt", int(result))
    return value.value


def bound_port(descriptor: int) -> int:
    """The port of an AF_INET or AF_INET6 socket, 0 while it is not bound (getsockname(2))."""
    name, size = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_uint32(_NAME_BYTES)
    _checked("getsockname", int(_libc.getsockname(descriptor, name, ctypes.byref(size))))
    return int.from_bytes(name.raw[2:4])


def bind(descriptor: int, address: bytes) -> None:
    """bind(2), to what ``pack_address`` made."""
    _checked("bind", int(_libc.bind(descriptor, address, len(address))))
