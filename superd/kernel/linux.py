"""The system calls that Python's ``os`` lacks, one wrapper each, named after the call.

Constants carry the header they come from. Every failure is an ``OSError`` that names the call. Prototypes are
set once, at import: without them ctypes would pass 32-bit integers where the kernel reads 64.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterable

from attrs import frozen

from superd.kernel.libc import checked as _checked

_libc = ctypes.CDLL(None, use_errno=True)

# include/uapi/linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_GET_PDEATHSIG = 2
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_GET_KEEPCAPS = 7
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_GET_NAME = 16
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_IS_SET = 1
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_ASK_PERSONALITY = 0xFFFFFFFF  # personality(2): the value that changes nothing
_TASK_COMM_BYTES = 16  # include/linux/sched.h TASK_COMM_LEN, the NUL included
_CAPABILITY_VERSION_3 = 0x20080522  # include/uapi/linux/capability.h: 64 bits in two words
_SYS_CLOSE_RANGE = 436  # on every architecture but alpha (asm-generic/unistd.h)
_MAX_FD = 0xFFFFFFFF

# arch/*/include, and asm-generic/unistd.h: by what uname(2) says and the bytes of a pointer
_SYS_KEYCTL = {
    ("x86_64", 8): 250,
    ("x86_64", 4): 288,
    ("i686", 4): 288,
    ("aarch64", 8): 219,
    ("aarch64", 4): 311,
    ("armv7l", 4): 311,
    ("riscv64", 8): 219,
    ("loongarch64", 8): 219,
    ("ppc64le", 8): 271,
    ("s390x", 8): 280,
}
_KEYCTL_JOIN_SESSION_KEYRING = 1  # include/uapi/linux/keyctl.h

AT_EMPTY_PATH = 0x1000  # include/uapi/linux/fcntl.h: the descriptor itself is meant

CAP_SETPCAP = 8  # include/uapi/linux/capability.h
CAP_NET_BIND_SERVICE = 10
CAP_SYS_RESOURCE = 24


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapWord(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_CapWords = _CapWord * 2

_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_libc.prctl.restype = ctypes.c_int
_libc.capget.argtypes = (ctypes.POINTER(_CapHeader), ctypes.POINTER(_CapWords))
_libc.capget.restype = ctypes.c_int
_libc.capset.argtypes = (ctypes.POINTER(_CapHeader), ctypes.POINTER(_CapWords))
_libc.capset.restype = ctypes.c_int
_libc.syscall.argtypes = (ctypes.c_long, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_libc.syscall.restype = ctypes.c_long
_libc.fchownat.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_int)
_libc.fchownat.restype = ctypes.c_int
_libc.signalfd.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
_libc.signalfd.restype = ctypes.c_int
_libc.personality.argtypes = (ctypes.c_ulong,)
_libc.personality.restype = ctypes.c_int
_libc.sigemptyset.argtypes = (ctypes.c_char_p,)
_libc.sigaddset.argtypes = (ctypes.c_char_p, ctypes.c_int)


def _prctl(call: str, option: int, argument: int = 0, second: int = 0) -> int:
    return _checked(call, int(_libc.prctl(option, argument, second, 0, 0)))


# --- what a process is to the rest of the system: prctl(2) ---


def set_no_new_privs() -> None:
    """Make every later execve of this process and its children grant no privilege (kernel 3.5). Final."""
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def get_no_new_privs() -> bool:
    """Return whether ``set_no_new_privs`` is in force."""
    return bool(_prctl("PR_GET_NO_NEW_PRIVS", _PR_GET_NO_NEW_PRIVS))


def set_dumpable(dumpable: bool) -> None:
    """Allow or deny ptrace, /proc/PID/mem, pidfd_getfd and core files to processes of the same user.

    A change of uid resets it to fs.suid_dumpable, execve of an ordinary program to true.
    """
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, int(dumpable))


def get_dumpable() -> bool:
    """Return whether processes of the same user may look into this one."""
    return _prctl("PR_GET_DUMPABLE", _PR_GET_DUMPABLE) == 1


def set_parent_death_signal(signal_number: int) -> None:
    """Have the kernel send this signal when the thread that forked us ends; 0 switches it off.

    A change of uid or gid clears it: set it after dropping privileges, and compare getppid() afterwards, since
    the parent may have ended before.
    """
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal_number)


def get_parent_death_signal() -> int:
    """Return the signal set by ``set_parent_death_signal``, 0 when there is none."""
    answer = ctypes.c_int()
    _prctl("PR_GET_PDEATHSIG", _PR_GET_PDEATHSIG, ctypes.addressof(answer))
    return answer.value


def set_child_subreaper(subreaper: bool = True) -> None:
    """Make this process the parent of its orphaned descendants (kernel 3.4). Children do not inherit it."""
    _prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, int(subreaper))


def get_child_subreaper() -> bool:
    """Return whether orphaned descendants come to this process."""
    answer = ctypes.c_int()
    _prctl("PR_GET_CHILD_SUBREAPER", _PR_GET_CHILD_SUBREAPER, ctypes.addressof(answer))
    return bool(answer.value)


def personality() -> int:
    """Return the execution domain (personality(2)): 0 is plain Linux."""
    return _checked("personality", int(_libc.personality(_ASK_PERSONALITY)))


def set_name(name: str) -> None:
    """Set the thread's short name (/proc/PID/comm): its first 15 bytes."""
    buffer = ctypes.create_string_buffer(os.fsencode(name)[: _TASK_COMM_BYTES - 1], _TASK_COMM_BYTES)
    _prctl("PR_SET_NAME", _PR_SET_NAME, ctypes.addressof(buffer))


def get_name() -> str:
    """Return the thread's short name."""
    buffer = ctypes.create_string_buffer(_TASK_COMM_BYTES)
    _prctl("PR_GET_NAME", _PR_GET_NAME, ctypes.addressof(buffer))
    return os.fsdecode(buffer.value)


# --- capabilities(7) ---


@frozen
class Capabilities:
    """The sets of capget(2), one bit a capability (bit ``CAP_SETPCAP`` is ``1 << CAP_SETPCAP``)."""

    effective: int = 0
    permitted: int = 0
    inheritable: int = 0


def capget() -> Capabilities:
    """Return this thread's capabilities."""
    header, words = _CapHeader(_CAPABILITY_VERSION_3, 0), _CapWords()
    _checked("capget", int(_libc.capget(ctypes.byref(header), ctypes.byref(words))))
    return Capabilities(
        effective=words[0].effective | words[1].effective << 32,
        permitted=words[0].permitted | words[1].permitted << 32,
        inheritable=words[0].inheritable | words[1].inheritable << 32,
    )


def capset(capabilities: Capabilities) -> None:
    """Set this thread's capabilities; they can only be given up, and nothing is kept that is not named."""
    masks = (capabilities.effective, capabilities.permitted, capabilities.inheritable)
    low = _CapWord(*(mask & 0xFFFFFFFF for mask in masks))
    high = _CapWord(*(mask >> 32 for mask in masks))
    header, words = _CapHeader(_CAPABILITY_VERSION_3, 0), _CapWords(low, high)
    _checked("capset", int(_libc.capset(ctypes.byref(header), ctypes.byref(words))))


def capbset_read(capability: int) -> bool:
    """Return whether the bounding set holds a capability. EINVAL: the kernel knows none of that number."""
    return bool(_prctl("PR_CAPBSET_READ", _PR_CAPBSET_READ, capability))


def capbset_drop(capability: int) -> None:
    """Take a capability out of the bounding set for good (needs CAP_SETPCAP)."""
    _prctl("PR_CAPBSET_DROP", _PR_CAPBSET_DROP, capability)


def ambient_clear() -> None:
    """Empty the ambient set (kernel 4.3)."""
    _prctl("PR_CAP_AMBIENT_CLEAR_ALL", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def ambient_raise(capability: int) -> None:
    """Have every program that is executed get a capability, which must be permitted and inheritable (kernel 4.3)."""
    _prctl("PR_CAP_AMBIENT_RAISE", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def ambient_set() -> int:
    """Return the ambient set as a mask."""

    def holds(capability: int) -> bool:
        return bool(_prctl("PR_CAP_AMBIENT_IS_SET", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_IS_SET, capability))

    return sum(1 << capability for capability in range(LAST_CAP + 1) if holds(capability))


def set_keepcaps(keep: bool) -> None:
    """Say whether the next change from uid 0 keeps the permitted set; execve resets it."""
    _prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, int(keep))


def get_keepcaps() -> bool:
    """Return whether a change from uid 0 would keep the permitted set."""
    return bool(_prctl("PR_GET_KEEPCAPS", _PR_GET_KEEPCAPS))


def _last_cap() -> int:
    """Return the highest capability this kernel knows.

    The kernel itself is asked, not /proc/sys/kernel/cap_last_cap: where /proc is not mounted, a default that
    is too low would leave capabilities in a bounding set which then counts as empty.
    """
    for capability in range(64):
        try:
            capbset_read(capability)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return capability - 1
            raise
    return 63


LAST_CAP = _last_cap()


def bounding_set() -> int:
    """Return the bounding set as a mask."""
    return sum(1 << capability for capability in range(LAST_CAP + 1) if capbset_read(capability))


# --- descriptors ---


def close_range(first: int, last: int = _MAX_FD) -> None:
    """Close the descriptors ``first`` to ``last``, both included; those that are not open are no error.

    close_range(2) of kernel 5.9; os.closerange calls close once a number where it was built without it. Older
    kernels say ENOSYS, the system call filters of older containers EPERM.
    """
    try:
        _checked("close_range", int(_libc.syscall(_SYS_CLOSE_RANGE, first, last, 0)))
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        for fd in map(int, os.listdir("/proc/self/fd")):
            if first <= fd <= last:
                os.closerange(fd, fd + 1)  # the listing's own descriptor is gone already: not an error here


def leave_session_keyring() -> None:
    """Join a session keyring that is new and empty, and nobody else's (keyctl(2), keyrings(7)).

    Keys of the keyring that a process inherits can be read by it, whoever's they are. Without key management in the
    kernel (ENOSYS), and where a container's filter denies it (EPERM), there are no keys to be had by the children
    either. On a machine whose number of the call is not known here nothing is done.
    """
    number = _SYS_KEYCTL.get((os.uname().machine, ctypes.sizeof(ctypes.c_void_p)))
    if number is None:
        return
    try:
        _checked("keyctl", int(_libc.syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, 0, 0)))
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise


def fchownat(fd: int, path: str, uid: int, gid: int, flags: int) -> None:
    """Set an owner; -1 leaves the uid or gid. ``os.chown`` cannot pass ``AT_EMPTY_PATH`` (kernel 2.6.39)."""
    owner = (uid & 0xFFFFFFFF, gid & 0xFFFFFFFF)
    _checked("fchownat", int(_libc.fchownat(fd, os.fsencode(path), *owner, flags)))


# --- signals as data: signalfd(2) ---

_SIGSET_BYTES = 128  # sizeof(sigset_t) of glibc and musl
_SFD_FLAGS = (
    os.O_CLOEXEC | os.O_NONBLOCK
)  # SFD_CLOEXEC, SFD_NONBLOCK are these (include/uapi/linux/signalfd.h)
_SIGINFO = struct.Struct("<I124x")  # struct signalfd_siginfo: ssi_signo, and what we do not need


def signalfd(signals: Iterable[int]) -> int:
    """Block signals and return a descriptor that is readable while one is pending (signalfd(2), kernel 2.6.27).

    Unlike a handler it interrupts no system call and runs no code. Children start with these signals blocked
    unless their mask is set.
    """
    wanted = tuple(signals)
    mask = ctypes.create_string_buffer(_SIGSET_BYTES)
    _libc.sigemptyset(mask)
    for number in wanted:
        _libc.sigaddset(mask, number)
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    return _checked("signalfd", int(_libc.signalfd(-1, mask, _SFD_FLAGS)))


def read_signals(descriptor: int) -> set[int]:
    """Return the numbers of the signals that were pending; empty when there was none."""
    try:
        data = os.read(descriptor, 16 * _SIGINFO.size)
    except BlockingIOError:
        return set()
    return {number for (number,) in _SIGINFO.iter_unpack(data)}


# --- the process title ---


def set_process_title(title: str) -> None:
    """Show ``title`` in ps, as far as the area of the original arguments has room; never fails.

    Also sets the short name to the title's first 15 bytes. Where /proc is missing only that is done.
    """
    set_name(title)
    with contextlib.suppress(OSError, ValueError, IndexError):  # a title is not worth a failure
        write_title(argument_area(), title)


def write_title(area: tuple[int, int], title: str) -> None:
    """Show ``title`` in ps; ``area`` as ``argument_area`` gave it, here or before a fork."""
    _overwrite(*area, os.fsencode(title))


def argument_area() -> tuple[int, int]:
    """Return arg_start and arg_end, fields 48 and 49 of proc_pid_stat(5); 0 where the kernel hides them.

    The second field is the short name in parentheses, which may itself hold spaces and parentheses: counting
    starts after the last one.
    """
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()  # fields[0] is field 3
    return int(fields[48 - 3]), int(fields[49 - 3])


def _overwrite(start: int, end: int, title: bytes) -> None:
    """Write ``title`` into [start, end), NUL-padded.

    The last byte stays NUL: any other has the kernel take the environment after it for a part of the title
    (fs/proc/base.c get_mm_cmdline).
    """
    room = end - start - 1
    if start <= 0 or room <= 0:
        return
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, title, min(len(title), room))
