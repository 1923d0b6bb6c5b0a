"""Mounts: mount(2), umount2(2), mount_setattr(2), and what there is."""

from __future__ import annotations

import ctypes
import os

from attrs import frozen

from superd.kernel.libc import checked

# include/uapi/linux/mount.h
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2
ATTR_RDONLY = 0x1
ATTR_NOEXEC = 0x8

_RESOLVE_IN_ROOT = 0x10  # include/uapi/linux/openat2.h
_SYS_OPENAT2 = 437  # on every architecture but alpha (asm-generic/unistd.h), kernel 5.6
_AT_RECURSIVE = 0x8000  # include/uapi/linux/fcntl.h
_SYS_MOUNT_SETATTR = 442  # on every architecture but alpha (asm-generic/unistd.h), kernel 5.12


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.mount.restype = ctypes.c_int
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.umount2.restype = ctypes.c_int
_syscall = _libc.syscall
_syscall.argtypes = (
    ctypes.c_long,
    ctypes.c_long,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
)
_syscall.restype = ctypes.c_long


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Attach a file system, or with MS_BIND a part of one, to a path (needs CAP_SYS_ADMIN)."""
    words = (os.fsencode(source), os.fsencode(target), os.fsencode(kind) or None)
    checked(f"mount {target}", int(_libc.mount(*words, flags, os.fsencode(options) or None)))


def umount(target: str) -> None:
    """Take the topmost mount at a path away, at once for all who look it up anew."""
    checked(f"umount2 {target}", int(_libc.umount2(os.fsencode(target), MNT_DETACH)))


def mount_setattr(target: str, *, add: int = 0, remove: int = 0, recursive: bool = True) -> None:
    """Change attributes of a mount, and of all those below it; unlike a remount it leaves the others alone."""
    attributes = _MountAttr(attr_set=add, attr_clr=remove)
    flags = _AT_RECURSIVE if recursive else 0
    arguments = (-100, os.fsencode(target), flags, ctypes.addressof(attributes), ctypes.sizeof(attributes))
    checked(f"mount_setattr {target}", int(_syscall(_SYS_MOUNT_SETATTR, *arguments)))


def open_in_root(root: int, path: str) -> int:
    """A descriptor (O_PATH) of what a path leads to where a folder is the root directory, as with chroot(2).

    No link leads out, whoever made it and whatever becomes of it meanwhile (openat2(2), kernel 5.6).
    """
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    arguments = (root, os.fsencode(path), ctypes.addressof(how), ctypes.sizeof(how), 0)
    return checked(f"openat2 {path}", int(_syscall(_SYS_OPENAT2, *arguments)))


@frozen
class Mount:
    """One line of /proc/self/mountinfo, as far as it matters here."""

    path: str
    is_read_only: bool


def mounts() -> list[Mount]:
    """What is mounted in this mount namespace (proc_pid_mountinfo(5)), in the order of mounting."""
    with open("/proc/self/mountinfo", "rb") as lines:
        rows = [line.split(b" ") for line in lines]
    return [Mount(_unescaped(row[4]), b"ro" in row[5].split(b",")) for row in rows]


def _unescaped(path: bytes) -> str:
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        path = path.replace(code, character)
    return os.fsdecode(path)
