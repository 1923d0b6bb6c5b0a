"""``system_call_filter`` and ``system_call_error_number``: what is written there, and what it comes to; pure.

Every string of the list is what one ``SystemCallFilter=`` of systemd is: names and @groups with blanks between, all
of them allowed, or, with ``~`` at the beginning, all denied. The first string decides what becomes of the system
calls that no string names; the others then add and take away, in their order.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence

from attrs import field, frozen

from superd.config.findings import Finding, RejectedError, reject
from superd.config.syscall_groups import GROUPS, members
from superd.config.syscall_names import KNOWN

KILL = -1
"""In the place of an errno: the process is ended by SIGSYS."""

_MAX_ERRNO = 4095
_NUMBERS = {name: number for number, name in errno.errorcode.items()}

_SPAWNER_CALLS = """
    clone clone3 execve wait4 getrusage kill setsid prctl
    rt_sigaction rt_sigprocmask rt_sigtimedwait rt_sigtimedwait_time64 signalfd4
    epoll_create1 epoll_ctl epoll_pwait epoll_wait poll ppoll ppoll_time64
    close close_range dup dup2 dup3 fcntl fcntl64 ioctl pipe2 pread64 read recvmsg sendmsg
    write fstat fstat64 fstatat64 lseek _llseek newfstatat statx madvise mremap
    getpeername getsockname
"""

DROPPING_CALLS = frozenset({"capget", "capset"})
"""What a spawner needs besides where no_new_privileges is false: CAP_SYS_ADMIN is given up after the filters are in.
A group that is denied leaves these out: nobody who denies "@privileged" means them, which give up and grant nothing."""

_ASKING_OF_PIDS = frozenset({"openat", "pidfd_open"})


def spawner_calls(*, no_new_privileges: bool, private_pids: bool) -> frozenset[str]:
    """What every filter of system calls lets through: the spawner is under it too, and starts programs by these.

    Seen with strace(1), but for the last two of its own: Python looks up the names of a socket that it clears away. So
    no filter can forbid a service to fork and execute. ``execve`` and what a program cannot do without ("@default")
    are among them in systemd as well.

    Args:
        no_new_privileges: the key of that name; where it is false, CAP_SYS_ADMIN is given up after the filters are in.
        private_pids: the key of that name; before kernel 6.11 only /proc tells what pid a child has outside.
    """
    calls = members("@default") | frozenset(_SPAWNER_CALLS.split())
    return (
        calls
        | (_ASKING_OF_PIDS if private_pids else set())
        | (set() if no_new_privileges else DROPPING_CALLS)
    )


_REPLACEABLE = {"clone3": errno.ENOSYS}
"""Calls that the C library replaces by an older one when they fail so."""


@frozen
class Item:
    """One name of the list, groups resolved.

    Args:
        text: as it is written, without the errno.
        denied: whether a ``~`` is before it.
        answer: the errno behind a colon, ``KILL``, or None for that of ``system_call_error_number``.
    """

    text: str
    denied: bool
    answer: int | None = None

    @property
    def names(self) -> frozenset[str]:
        return members(self.text) if self.text.startswith("@") else frozenset({self.text})


@frozen
class SystemCalls:
    """What a whole list comes to.

    Args:
        allow_list: whether what it does not name is forbidden.
        allowed: of an allow list, the system calls that it lets through.
        denied: the forbidden ones that are named, each with its answer; None is the general one.
        written: those which stand there by name, not only in a group.
    """

    allow_list: bool
    allowed: frozenset[str] = frozenset()
    denied: dict[str, int | None] = field(factory=dict)
    written: frozenset[str] = frozenset()


def parse_error_number(text: str) -> int:
    """The value of ``system_call_error_number``, and what may stand behind a name and a colon.

    Args:
        text: the name of an errno ("EPERM"), its number (0 to 4095), or "kill".

    Returns:
        The number, or ``KILL``.

    Raises:
        RejectedError: it is none of them.
    """
    if text == "kill":
        return KILL
    if text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= _MAX_ERRNO:
        return int(text)
    if text not in _NUMBERS:
        raise reject("not an errno", 'write its name, as "EPERM", or "kill"')
    return _NUMBERS[text]


def parse_filter_string(text: str) -> tuple[Item, ...]:
    """One string of ``system_call_filter``.

    Args:
        text: names and groups with blanks between, after a ``~`` where they are denied; denied ones may have an
            errno, as in "~@mount:EACCES mincore".

    Raises:
        RejectedError: with everything that is wrong with it.
    """
    denied = text.startswith("~")
    items, findings = [], []
    for word in text.removeprefix("~").split():
        try:
            items.append(_parse_word(word, denied))
        except RejectedError as error:
            findings += [Finding(found.problem, found.remedy, word) for found in error.findings]
    if findings:
        raise RejectedError(*findings)
    if not items:
        raise reject("no system call", 'write one, or a group, as "@system-service"')
    return tuple(items)


def _parse_word(word: str, denied: bool) -> Item:
    name, colon, answer = word.partition(":")
    if name.startswith("~"):
        raise reject(
            "~ inside of a string", "write it once, before the first name, and the others in one of their own"
        )
    if name not in KNOWN and name not in GROUPS:
        raise _unknown(name)
    if colon and not denied:
        raise reject("an errno for an allowed system call", f'write "{name}", or "~{word}" to deny it')
    return Item(name, denied, parse_error_number(answer) if colon else None)


def _unknown(name: str) -> RejectedError:
    is_group = name.startswith("@")
    near = difflib.get_close_matches(name, GROUPS if is_group else KNOWN, n=1)
    kind = "group" if is_group else "system call"
    return reject(
        f"no {kind} of that name", f'write "{near[0]}"' if near else "see syscalls(2), systemd.exec(5)"
    )


def merge(strings: Iterable[str]) -> SystemCalls | None:
    """What all strings of ``system_call_filter`` come to together; None where there are none.

    As in systemd, a name that is denied after an allow list took it in is taken out again, and the other way
    round; what "@default" holds is in every allow list from the start.

    Args:
        strings: those of the list; ``parse_filter_string`` takes each.
    """
    items = [item for text in strings for item in parse_filter_string(text)]
    if not items:
        return None
    allow_list = not items[0].denied
    allowed = set(members("@default")) if allow_list else set()
    denied: dict[str, int | None] = {}
    for item in items:
        for name in item.names:
            denied.pop(name, None)
            if not item.denied:
                allowed |= {name} if allow_list else set()
                continue
            allowed.discard(name)
            if not allow_list or item.answer is not None:
                denied[name] = item.answer
    written = frozenset(item.text for item in items if not item.text.startswith("@"))
    return SystemCalls(allow_list, frozenset(allowed), denied, written)


def conflicts(strings: Sequence[str], error_number: int, needed: frozenset[str]) -> list[str]:
    """The system calls that a list denies by name or group, and without which no spawner could start a program.

    Args:
        strings: those of ``system_call_filter``.
        error_number: ``system_call_error_number``, as ``parse_error_number`` has it.
        needed: as ``spawner_calls`` has them.

    Returns:
        Their names in order; to be refused with the advice to leave them out.
    """
    last: dict[str, Item] = {}
    for text in strings:
        for item in parse_filter_string(text):
            last.update(dict.fromkeys(item.names, item))
    found = []
    for name in sorted(needed & last.keys()):
        item = last[name]
        answer = error_number if item.answer is None else item.answer
        left_out = name in DROPPING_CALLS and item.text.startswith("@")
        if item.denied and not left_out and _REPLACEABLE.get(name) != answer:
            found.append(name)
    return found
