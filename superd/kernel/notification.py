"""System calls that another process answers: seccomp's user notification, and what it takes to look at who waits.

superd-bind starts in front of every program it is used for, so this module keeps to what loads fast: it has wrappers of
its own where ``linux.py`` would bring attrs with it. The filter is written out, since it is a few instructions and the
libseccomp of Debian 12 cannot ask for SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV.

Source: seccomp_unotify(2), seccomp(2), process_vm_readv(2), pidfd_getfd(2); include/uapi/linux/seccomp.h of Linux 6.18.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_libc.syscall.restype = ctypes.c_long
_libc.signalfd.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)

# include/uapi/linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_SYS_PIDFD_GETFD = 438  # on every architecture (asm-generic/unistd.h)
_PIDFD_THREAD = os.O_EXCL  # include/uapi/linux/pidfd.h, kernel 6.9

_SET_MODE_FILTER = 1
_FLAG_NEW_LISTENER, _FLAG_WAIT_KILLABLE_RECV = 1 << 3, 1 << 5
_RET_ALLOW, _RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
_RECV, _SEND, _ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

_NOTICE = struct.Struct("=QII iIQ6Q")  # struct seccomp_notif
_RESPONSE = struct.Struct("=QqiI")  # struct seccomp_notif_resp

# include/uapi/linux/bpf_common.h: load a word, compare and jump, return
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter
_NUMBER_AT, _ARCH_AT = 0, 4  # struct seccomp_data


class Machine(NamedTuple):
    """Numbers of an architecture: AUDIT_ARCH_*, and system calls."""

    arch: int
    seccomp: int
    bind: int
    execs: tuple[int, int]


# include/uapi/linux/audit.h, and the system call tables of each
_GENERIC = (277, 200, (221, 281))
MACHINES = {
    "x86_64": Machine(0xC000003E, 317, 49, (59, 322)),
    "aarch64": Machine(0xC00000B7, *_GENERIC),
    "riscv64": Machine(0xC00000F3, *_GENERIC),
    "s390x": Machine(0x80000016, 348, 361, (11, 354)),
}


class Notice(NamedTuple):
    """A system call that waits for its answer.

    Args:
        id: to be given with the answer.
        tid: the thread that waits, as this process sees it; 0 when it does not.
        number: of the system call.
        arguments: all six.
    """

    id: int
    tid: int
    number: int
    arguments: tuple[int, ...]


def this_machine() -> Machine | None:
    """The numbers of this architecture; None when they are not known here."""
    return MACHINES.get(platform.machine())


def _checked(call: str, result: int) -> int:
    if result != -1:
        return result
    code = ctypes.get_errno()
    raise OSError(code, f"{call}: {os.strerror(code)}")


def set_no_new_privs() -> None:
    """Make every later execve grant no privilege; an ordinary user's filter needs it."""
    _checked("PR_SET_NO_NEW_PRIVS", int(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))


def set_child_subreaper() -> None:
    """Make this process the parent of its orphaned descendants."""
    _checked("PR_SET_CHILD_SUBREAPER", int(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)))


def assemble(arch: int, numbers: tuple[int, ...]) -> bytes:
    """A filter that has these system calls of one architecture answered by the listener, and allows all others."""
    length = len(numbers)
    steps = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 0, length + 1, arch),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((_JUMP_EQUAL, length - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_USER_NOTIF),
    ]
    return b"".join(_INSTRUCTION.pack(*step) for step in steps)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def install_listener(machine: Machine, program: bytes) -> tuple[int, bool]:
    """Install a filter on this thread for good (needs no_new_privs or CAP_SYS_ADMIN).

    Returns:
        The listener (close-on-exec), and whether calls that it has received are only interrupted by death (kernel
        5.19); older kernels start them anew after each signal.

    Raises:
        OSError: EBUSY where a listener is over this process already; ENOSYS, EINVAL where the kernel has none.
    """
    for flags in (_FLAG_NEW_LISTENER | _FLAG_WAIT_KILLABLE_RECV, _FLAG_NEW_LISTENER):
        steps = _Program(len(program) // _INSTRUCTION.size, program)
        result = int(_libc.syscall(machine.seccomp, _SET_MODE_FILTER, flags, ctypes.byref(steps)))
        if result != -1 or ctypes.get_errno() != errno.EINVAL:
            break
    return _checked("seccomp", result), bool(flags & _FLAG_WAIT_KILLABLE_RECV)


def receive(listener: int) -> Notice:
    """The next call that waits. ENOENT: it has just died; EINTR."""
    buffer = bytearray(_NOTICE.size)
    fcntl.ioctl(listener, _RECV, buffer)
    id_, tid, _, number, _, _, *arguments = _NOTICE.unpack(buffer)
    return Notice(id_, tid, number, tuple(arguments))


def is_waiting(listener: int, notice: Notice) -> bool:
    """Whether the call still waits; then its thread id still is its own."""
    try:
        fcntl.ioctl(listener, _ID_VALID, struct.pack("=Q", notice.id))
    except OSError:
        return False
    return True


def respond(listener: int, notice: Notice, error: int | None) -> None:
    """Answer a call: with an errno, with success (0), or by having the kernel do it (None).

    One that does not wait any more needs no answer.
    """
    flags = _CONTINUE if error is None else 0
    try:
        fcntl.ioctl(listener, _SEND, _RESPONSE.pack(notice.id, 0, -(error or 0), flags))
    except OSError as gone:
        if gone.errno not in (errno.ENOENT, errno.EINPROGRESS):
            raise


def open_thread(tid: int) -> int:
    """A pidfd of a thread, or before kernel 6.9 of its process."""
    try:
        return os.pidfd_open(tid, _PIDFD_THREAD)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    with open(f"/proc/{tid}/status", encoding="utf-8", errors="replace") as status:
        process = next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))
    return os.pidfd_open(process)


def pidfd_getfd(pidfd: int, descriptor: int) -> int:
    """A copy of another process's descriptor (kernel 5.6). EPERM: it may not be looked into."""
    return _checked("pidfd_getfd", int(_libc.syscall(_SYS_PIDFD_GETFD, pidfd, descriptor, 0)))


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_libc.process_vm_readv.argtypes = (
    ctypes.c_int,
    ctypes.POINTER(_Vector),
    ctypes.c_ulong,
    ctypes.POINTER(_Vector),
    ctypes.c_ulong,
    ctypes.c_ulong,
)
_libc.process_vm_readv.restype = ctypes.c_ssize_t


def process_vm_readv(pid: int, address: int, length: int) -> bytes:
    """Bytes of another process's memory, read once. EFAULT: there is no such memory; EPERM, ESRCH."""
    buffer = ctypes.create_string_buffer(length)
    here, there = _Vector(ctypes.addressof(buffer), length), _Vector(address, length)
    count = _libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return buffer.raw[: _checked("process_vm_readv", int(count))]


_SIGSET_BYTES = 128  # sizeof(sigset_t) of glibc and musl
_SIGNALFD_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_SIGINFO = struct.Struct("=IiiI112x")  # struct signalfd_siginfo: signo, errno, code, pid
SI_KERNEL = (
    0x80  # include/uapi/asm-generic/siginfo.h: sent by a terminal, say, to all processes in front of it
)


def signalfd() -> int:
    """A descriptor that is readable while a blocked signal of any kind waits (signalfd(2))."""
    every = ctypes.create_string_buffer(b"\xff" * _SIGSET_BYTES, _SIGSET_BYTES)
    return _checked("signalfd", int(_libc.signalfd(-1, every, _SIGNALFD_FLAGS)))


def read_signals(descriptor: int) -> list[tuple[int, int]]:
    """Number and code of all that wait."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            data = os.read(descriptor, 32 * _SIGINFO.size)
        except BlockingIOError:
            return found
        found += [(number, code) for number, _, code, _ in _SIGINFO.iter_unpack(data)]
