"""Landlock: a process gives up what is not named, without being root (landlock(7), kernel 5.13).

Source: include/uapi/linux/landlock.h; the versions of its interface in Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from superd.kernel.libc import checked

_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446  # asm-generic/unistd.h; alpha differs
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
READ = READ_FILE | READ_DIR
WRITE = READ | sum(1 << bit for bit in range(1, 16))
"""Everything but to execute; for ``rights``, which leaves what this kernel does not know."""

_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1

NETWORK_VERSION = 4
"""The interface that knows TCP ports (kernel 6.7)."""

_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many of the file system each version knows


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_libc.syscall.restype = ctypes.c_long


def landlock_version() -> int:
    """Return the version of the interface; 0 where the kernel has none, or was started without it."""
    try:
        return checked(
            "landlock_create_ruleset",
            int(_libc.syscall(_SYS_CREATE_RULESET, None, None, _CREATE_RULESET_VERSION, None)),
        )
    except OSError:  # ENOSYS, EOPNOTSUPP; EPERM of a container's filter
        return 0


class Ruleset:
    """What will be allowed, before it is in force.

    Args:
        files: whether the file system is looked after: nothing of it is then allowed but what is named.
        ports: BIND_TCP and CONNECT_TCP, those that are looked after.
    """

    def __init__(self, *, files: bool, ports: int) -> None:
        version = landlock_version()
        self._files = (1 << _RIGHTS.get(version, 16)) - 1 if files else 0
        attributes = _RulesetAttr(self._files, ports)
        size = ctypes.sizeof(attributes) if version >= NETWORK_VERSION else 8
        self._descriptor = self._call(_SYS_CREATE_RULESET, ctypes.addressof(attributes), size, 0, 0)

    def _call(self, number: int, *arguments: int) -> int:
        return checked("landlock", int(_libc.syscall(number, *arguments)))

    def allow_path(self, path: str | int, rights: int) -> None:
        """Allow a file, or a folder and all in it, by its path or a descriptor."""
        descriptor = path if isinstance(path, int) else os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                rights &= _OF_FILES
            rule = _PathBeneath(rights & self._files, descriptor)
            self._call(_SYS_ADD_RULE, self._descriptor, _RULE_PATH_BENEATH, ctypes.addressof(rule), 0)
        finally:
            if descriptor != path:
                os.close(descriptor)

    def allow_ports(self, ports: Iterable[int], right: int) -> None:
        """Allow BIND_TCP or CONNECT_TCP for these."""
        for port in ports:
            rule = _NetPort(right, port)
            self._call(_SYS_ADD_RULE, self._descriptor, _RULE_NET_PORT, ctypes.addressof(rule), 0)

    def enforce(self) -> None:
        """Put it into force for this process and all that it starts, for good (needs no_new_privs or CAP_SYS_ADMIN)."""
        self._call(_SYS_RESTRICT_SELF, self._descriptor, 0, 0, 0)
        os.close(self._descriptor)
