"""Landlock: a process gives up files and TCP ports, without root and for good, whoever owns them.

What a ruleset handles is denied but for its rules; what it does not handle stays as it was. Each kernel handles what
its ABI number tells: ``restrict`` returns it, and refuses what it would have to leave out silently.

======  ======  ==================================================
ABI     kernel  adds
======  ======  ==================================================
1       5.13    reading, writing, making, removing, executing files
2       5.19    moving files between folders, denied before
3       6.2     truncating files, allowed before
4       6.7     TCP: binding and connecting
5       6.10    ioctl of devices, allowed before
======  ======  ==================================================

Source: landlock(7), include/uapi/linux/landlock.h of kernel 6.18 (ABI 7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntFlag

from attrs import frozen

from superd.errors import SuperdError

NET_ABI = 4
"""The first that knows ports."""


class LandlockError(SuperdError):
    """A ruleset could not be made or enforced; the process must not go on as if it were."""


class Access(IntFlag):
    """What may be done below a path. To write and to execute include to read."""

    READ = 1
    WRITE = 2
    EXECUTE = 4


@frozen
class PathRule:
    """What is allowed below a path.

    Args:
        path: of a folder with all that is in it, or of a single file; it must exist.
        access: what may be done there. Of several rules that apply, each counts.
    """

    path: str
    access: Access


@frozen
class Ruleset:
    """What is left to a process.

    Args:
        paths: the only ones that may be used; None leaves all files as they are.
        bind_ports: the only TCP ports that may be bound, 0 to 65535 (0: one that the kernel chooses); None: all.
        connect_ports: the only TCP ports that may be connected to; None: all.
    """

    paths: tuple[PathRule, ...] | None = None
    bind_ports: tuple[int, ...] | None = None
    connect_ports: tuple[int, ...] | None = None

    @property
    def names_ports(self) -> bool:
        return self.bind_ports is not None or self.connect_ports is not None

    @property
    def needed_abi(self) -> int:
        """The lowest ABI that takes it: 0 when it restricts nothing."""
        if self.names_ports:
            return NET_ABI
        return 0 if self.paths is None else 1


# asm-generic/unistd.h: the same on every architecture but alpha
_SYS_CREATE_RULESET = 444
_SYS_ADD_RULE = 445
_SYS_RESTRICT_SELF = 446

# include/uapi/linux/landlock.h
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_RULE_NET_PORT = 2

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_CHAR = 1 << 6
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_MAKE_SOCK = 1 << 9
_MAKE_FIFO = 1 << 10
_MAKE_BLOCK = 1 << 11
_MAKE_SYM = 1 << 12
_REFER = 1 << 13
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15

_BIND_TCP = 1 << 0
_CONNECT_TCP = 1 << 1

_OF_ABI = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
"""Rights that each ABI adds."""

_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""Rights that a rule for a single file may name (EINVAL for others)."""

_READING = _READ_FILE | _READ_DIR
_CHANGING = _WRITE_FILE | _TRUNCATE | _IOCTL_DEV | _REMOVE_DIR | _REMOVE_FILE | _REFER
_MAKING = _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM

_RIGHTS = {
    Access.READ: _READING,
    Access.WRITE: _READING | _CHANGING | _MAKING,  # but no devices
    Access.EXECUTE: _READING | _EXECUTE,
}


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1  # as the header has it
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _NetPortAttr(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = (ctypes.c_long, *[ctypes.c_ulong] * 4)
_libc.syscall.restype = ctypes.c_long


def _syscall(call: str, number: int, *arguments: int) -> int:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    result = int(_libc.syscall(number, *padded))
    if result != -1:
        return result
    code = ctypes.get_errno()
    raise OSError(code, f"{call}: {os.strerror(code)}")


def abi() -> int:
    """The ABI of this kernel's Landlock, 0 where it has none or it is switched off at boot (``lsm=``)."""
    try:
        return _syscall("landlock_create_ruleset", _SYS_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            return 0
        raise


def restrict(ruleset: Ruleset) -> int:
    """Give up all that a ruleset does not leave, for this thread and whatever it starts.

    Needs no_new_privs or CAP_SYS_ADMIN. Files that are open stay open. A process under rules for files mounts
    nothing any more.

    Args:
        ruleset: what is left.

    Returns:
        The ABI it was enforced with. Below 3 files could be truncated wherever their permissions allow it, below 5
        devices be controlled by ioctl: whether that will do is the caller's to say.

    Raises:
        LandlockError: the kernel's ABI is below ``ruleset.needed_abi``.
        OSError: a path cannot be opened (it is the ``filename``), or the kernel refuses.
    """
    known = abi()
    if known < ruleset.needed_abi:
        raise LandlockError(_lacking(known, ruleset))
    if not ruleset.needed_abi:
        return known
    files = sum(rights for number, rights in _OF_ABI.items() if number <= known)
    with _made(files if ruleset.paths is not None else 0, _handled_net(ruleset)) as descriptor:
        for rule in ruleset.paths or ():
            _allow_path(descriptor, rule, files)
        _allow_ports(descriptor, ruleset.bind_ports or (), _BIND_TCP)
        _allow_ports(descriptor, ruleset.connect_ports or (), _CONNECT_TCP)
        _syscall("landlock_restrict_self", _SYS_RESTRICT_SELF, descriptor, 0)
    return known


def _lacking(known: int, ruleset: Ruleset) -> str:
    if not known:
        return "this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, and landlock in lsm=)"
    return f"Landlock of this kernel knows no ports (ABI {known}; kernel 6.7 has {ruleset.needed_abi})"


def _handled_net(ruleset: Ruleset) -> int:
    binding = 0 if ruleset.bind_ports is None else _BIND_TCP
    connecting = 0 if ruleset.connect_ports is None else _CONNECT_TCP
    return binding | connecting


@contextmanager
def _made(files: int, net: int) -> Iterator[int]:
    """A ruleset of the kernel's. One of no ports is passed without their field, which old kernels lack."""
    attr = _RulesetAttr(files, net)
    size = ctypes.sizeof(attr) if net else ctypes.sizeof(ctypes.c_uint64)
    descriptor = _syscall("landlock_create_ruleset", _SYS_CREATE_RULESET, ctypes.addressof(attr), size, 0)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _allow_path(ruleset: int, rule: PathRule, handled: int) -> None:
    rights = handled & _rights(rule.access)
    place = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_FILES
        attr = _PathBeneathAttr(rights, place)
        pointer = ctypes.addressof(attr)
        _syscall("landlock_add_rule", _SYS_ADD_RULE, ruleset, _RULE_PATH_BENEATH, pointer, 0)
    finally:
        os.close(place)


def _rights(access: Access) -> int:
    rights = 0
    for one, given in _RIGHTS.items():
        if one in access:
            rights |= given
    return rights


def _allow_ports(ruleset: int, ports: Iterable[int], right: int) -> None:
    for port in ports:
        attr = _NetPortAttr(right, port)
        pointer = ctypes.addressof(attr)
        _syscall("landlock_add_rule", _SYS_ADD_RULE, ruleset, _RULE_NET_PORT, pointer, 0)
