"""The rules of the system call filters, one function for each key of ``[sandbox]`` that has any; pure.

Each answers with rules that deny; everything else stays allowed. Where a key is one of systemd.exec(5), the rules
are those of systemd, and what goes beyond them is said here.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterable

from superd.config.sandbox_values import NAMESPACES, Families
from superd.config.syscall_groups import members
from superd.kernel.seccomp import Comparison, Condition, Rule, differs, equals, fail_with, has_bits

Rules = tuple[Rule, ...]

_DENIED = fail_with(errno.EPERM)
_MISSING = fail_with(errno.ENOSYS)

IO_URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")
"""Requests of io_uring are made by the kernel, past every filter; without the ring there are none. EPERM is also
what the kernel itself says where io_uring is switched off (kernel.io_uring_disabled), so programs do without."""


def deny(names: Iterable[str], *conditions: Condition, optional: bool = False) -> Rules:
    """EPERM for each of these system calls, where all conditions hold."""
    return tuple(Rule(name, _DENIED, conditions, optional) for name in names)


# include/uapi/linux/ioprio.h, include/uapi/linux/resource.h
_IOPRIO_WHO_USER = 3
_PRIO_USER = 2


def spawner_guards() -> Rules:
    """What holds in every service: a child may not starve its spawner, which has the same user.

    Limits, priority and processors of another process can be set by anyone of its user; a spawner with a limit of
    no descriptors, or on the idle class, serves nobody. So these calls are for the caller itself (pid 0) alone.
    Of another's limits ``prlimit64`` may still read. A thread that names itself by number, as
    pthread_setaffinity_np(3) does, is refused too: a filter cannot know whose number it is.

    ``kill`` with -1 means every process of the user, the spawner and the children of all other connections
    among them, and is more often a fork that failed than meant.

    What cannot be denied: kill, tgkill, rt_sigqueueinfo, pidfd_send_signal and F_SETOWN to a single process. A
    shell ends its jobs by them, and a filter sees a number, not whose it is. Against these stand a pid namespace,
    where the spawner is init and no signal of a child reaches it, and the replacement of a spawner that is gone
    or stopped.

    What need not be: ptrace, process_vm_readv, process_vm_writev, pidfd_getfd, kcmp, process_madvise, move_pages,
    migrate_pages, perf_event_open of another, get_robust_list, PR_SCHED_CORE, and the files of /proc/PID. The
    kernel asks all of these whether the target may be traced (ptrace_may_access), and the spawner is not dumpable
    (PR_SET_DUMPABLE), so only CAP_SYS_PTRACE gets there. Denied here they would be missing to programs that look
    into children of their own. personality(2) is about the caller alone.
    """
    other = differs(0, 0)
    return (
        *deny(["prlimit64"], other, differs(2, 0)),  # argument 2: the new limit
        *deny(["sched_setscheduler", "sched_setparam", "sched_setaffinity", "sched_setattr"], other),
        *deny(["setpriority", "ioprio_set"], differs(1, 0)),
        *deny(["setpriority"], equals(0, _PRIO_USER)),  # 0 is then the caller's own user
        *deny(["ioprio_set"], equals(0, _IOPRIO_WHO_USER)),
        *deny(["kill"], equals(0, -1)),
    )


def inherited_sockets_only(*, owns_listeners: bool, datagrams: bool, may_connect: bool) -> Rules:
    """No peer but those of the sockets that the service was given.

    An inherited socket stays in the network namespace it was made in: disconnected (connect with AF_UNSPEC) and
    connected anew, or bound and listening, it would be a way out of ``private_network``. A service that owns its
    listeners accepts on them, and may set their backlog by ``listen``; one that owns a datagram socket answers by
    ``sendto`` with an address.

    sendmsg and sendmmsg have the address in memory, where no filter can look. On a connected stream socket it is
    ignored or refused (EISCONN), with MSG_FASTOPEN too (tcp(7)); only a datagram socket that is inherited can
    send elsewhere by it, so a service with such a socket is not kept from any address.

    Args:
        owns_listeners: whether it is given listening sockets.
        datagrams: whether it is given a datagram socket that is not connected.
        may_connect: whether Landlock says where it may connect to; then it still may not listen or bind.
    """
    connecting = [] if may_connect else ["connect"]
    listening = [] if owns_listeners else ["listen", "accept", "accept4"]
    sending = () if datagrams or may_connect else deny(["sendto"], differs(4, 0))
    return (*deny(["bind", *connecting, *listening]), *sending, *deny(IO_URING, optional=True))


def address_families(allowed: Families) -> Rules:
    """``restrict_address_families``: socket(2) of a family that is not allowed is EAFNOSUPPORT.

    As in systemd, sockets that are inherited or come from socketpair(2) are not concerned. Beyond systemd: a
    family with something in the upper half of its register, which the kernel ignores, is denied like the plain
    one; and io_uring, which makes sockets too (IORING_OP_SOCKET, kernel 5.19), is denied.
    """
    action = fail_with(errno.EAFNOSUPPORT)

    def socket(*conditions: Condition) -> Rule:
        return Rule("socket", action, conditions)

    if not allowed.allow_list:
        found = tuple(socket(equals(0, number)) for number in sorted(allowed.numbers))
    elif not allowed.numbers:
        found = (socket(),)
    else:
        highest = max(allowed.numbers)
        between = sorted(set(range(highest)) - allowed.numbers)
        found = (
            socket(Condition(0, Comparison.MORE, highest)),
            *(socket(equals(0, number)) for number in between),
        )
    return (*found, *deny(IO_URING, optional=True))


def namespaces(allowed: frozenset[str], *, architecture: str = "") -> Rules:
    """``restrict_namespaces``: none of these kinds is made or entered.

    clone3 has its flags in memory: it is missing (ENOSYS), and the C library falls back to clone. setns without a
    kind takes any, so it is denied once one kind is.
    """
    flags = [flag for name, flag in NAMESPACES.items() if name not in allowed]
    if not flags:
        return ()
    flags_of_clone = 1 if architecture in ("s390", "s390x") else 0
    made = [flag for flag in flags if flag != NAMESPACES["time"]]  # a signal to clone; unshare alone knows it
    entered = [has_bits(1, flag) for flag in flags] + [equals(1, 0)]
    entering = [deny(["setns"], condition) for condition in entered] if allowed else [deny(["setns"])]
    return (
        Rule("clone3", _MISSING),
        *(rule for flag in flags for rule in deny(["unshare"], has_bits(0, flag))),
        *(rule for flag in made for rule in deny(["clone"], has_bits(flags_of_clone, flag))),
        *(rule for rules in entering for rule in rules),
    )


_O_TMPFILE = os.O_TMPFILE & ~os.O_DIRECTORY


def suid_sgid() -> Rules:
    """``restrict_suid_sgid``: no file gets the set-user-ID or set-group-ID bit.

    openat2 has its mode in memory and is missing (ENOSYS), as in systemd. Beyond it: files that are opened without a
    name (O_TMPFILE) and get one later, and io_uring.
    """
    found: list[Rule] = []
    for bit in (stat.S_ISUID, stat.S_ISGID):
        found += deny(["chmod", "fchmod", "mkdir", "mknod", "creat"], has_bits(1, bit))
        found += deny(["fchmodat", "fchmodat2", "mkdirat", "mknodat"], has_bits(2, bit))
        for creating in (os.O_CREAT, _O_TMPFILE):
            found += deny(["open"], has_bits(1, creating), has_bits(2, bit))
            found += deny(["openat"], has_bits(2, creating), has_bits(3, bit))
    return (*found, Rule("openat2", _MISSING, optional=True), *deny(IO_URING, optional=True))


# include/uapi/linux/sched.h: the highest that is not real-time, and those below it that are or that nobody has
_SCHED_IDLE = 5
_REALTIME = (1, 2, 4)


def realtime() -> Rules:
    """``restrict_realtime``: no real-time scheduling, by which a process can have a processor for itself.

    sched_setattr has its policy in memory and is denied as a whole.
    """
    policies = [equals(1, policy) for policy in _REALTIME]
    denied = [deny(["sched_setscheduler"], policy) for policy in policies]
    above = deny(["sched_setscheduler"], Condition(1, Comparison.MORE, _SCHED_IDLE))
    return (*(rule for rules in denied for rule in rules), *above, *deny(["sched_setattr"]))


def personality(current: int) -> Rules:
    """``lock_personality``: the execution domain stays as it is. To ask for it is denied too, as in systemd.

    Args:
        current: that of this process (personality(2)).
    """
    return deny(["personality"], differs(0, current))


_SHM_EXEC = 0o100000  # include/uapi/linux/shm.h
_READ_IMPLIES_EXEC = 0x0400000  # include/uapi/linux/personality.h


def write_or_execute(*, architecture: str = "") -> Rules:
    """``memory_deny_write_execute``: no memory is executable that is, or was, writable.

    Beyond systemd: the personality under which all that is readable is executable is denied. What remains, there
    as here: a file that the service wrote may be mapped executable (``no_exec_paths`` is against that).
    i386 had an mmap with its arguments in memory, which no library has used for long; it is denied.
    """
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    return (
        *deny(["mmap"], *(() if architecture == "x86" else (has_bits(2, both),))),
        *deny(["mmap2"], has_bits(2, both)),
        *deny(["mprotect", "pkey_mprotect"], has_bits(2, mmap.PROT_EXEC)),
        *deny(["shmat"], has_bits(2, _SHM_EXEC)),
        *deny(["personality"], has_bits(0, _READ_IMPLIES_EXEC)),
    )


def group(*names: str) -> Rules:
    """The system calls of groups, or single ones, that a ``protect_*`` key takes away as a whole."""
    found = sorted({call for name in names for call in (members(name) if name[0] == "@" else {name})})
    return deny(found, optional=True)
