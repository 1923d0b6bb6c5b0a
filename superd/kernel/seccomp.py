"""System call filters: the little of libseccomp that superd needs, by ctypes.

The library is loaded by the first filter, so only in a process that wants one. A filter is a plain value
(``Filter``); ``load`` turns it into BPF, hands that to the kernel and frees what was allocated for it. Filters are
final: they hold for this process and all that it starts, and a later one can only take away more.

Source: seccomp(2), seccomp_init(3), seccomp_rule_add(3), seccomp_attr_set(3) of libseccomp 2.5.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
from collections.abc import Iterator
from enum import Enum, IntEnum

from attrs import field, frozen, validators

from superd.config.syscall_names import NEWER_NUMBERS
from superd.errors import SuperdError
from superd.kernel import linux

_MAX_ERRNO = 4095  # include/linux/err.h MAX_ERRNO: what a system call can return as an error


class SeccompError(SuperdError):
    """A filter could not be made or installed; the process must not go on as if it were there."""


@frozen
class Action:
    """What becomes of a system call: one of ``ALLOW``, ``LOG``, ``KILL`` and what ``fail_with`` makes."""

    code: int


# include/uapi/linux/seccomp.h SECCOMP_RET_*; the most severe of all filters of a process counts
ALLOW = Action(0x7FFF0000)
LOG = Action(0x7FFC0000)
"""Allowed, and told to the kernel's audit log."""
KILL = Action(0x80000000)
"""The whole process ends as by SIGSYS (kernel 4.14)."""
_ERRNO = 0x00050000


def fail_with(number: int) -> Action:
    """The system call is not made, and returns an error.

    Args:
        number: the errno, 0 (it seems to succeed) to 4095.
    """
    if not 0 <= number <= _MAX_ERRNO:
        raise ValueError(f"{number} is no errno")
    return Action(_ERRNO | number)


class Comparison(IntEnum):
    """How an argument is compared (``enum scmp_compare``); unsigned, and in all its 64 bits.

    The kernel takes most arguments as 32 bits and drops the rest, which the caller chooses. So a rule that denies
    one value compares with ``MASKED_EQUAL`` and ``LOW_WORD``; a rule that denies all others may use the whole.
    """

    NOT_EQUAL = 1
    LESS = 2
    AT_MOST = 3
    EQUAL = 4
    AT_LEAST = 5
    MORE = 6
    MASKED_EQUAL = 7


LOW_WORD = 0xFFFFFFFF


@frozen
class Condition:
    """A comparison of one argument of a system call.

    Args:
        argument: which one, 0 to 5.
        comparison: how.
        value: with what, 0 to 2**64 - 1.
        mask: the bits of the argument that count; for ``MASKED_EQUAL`` only.
    """

    argument: int = field(validator=[validators.ge(0), validators.le(5)])
    comparison: Comparison
    value: int
    mask: int = 0


def equals(argument: int, value: int) -> Condition:
    """The argument, as the 32 bits that the kernel makes of it, is ``value``."""
    return Condition(argument, Comparison.MASKED_EQUAL, value & LOW_WORD, LOW_WORD)


def differs(argument: int, value: int) -> Condition:
    """The argument is not exactly ``value``; a value with anything in its upper half differs too."""
    return Condition(argument, Comparison.NOT_EQUAL, value)


def has_bits(argument: int, bits: int) -> Condition:
    """All of ``bits`` are set in the argument."""
    return Condition(argument, Comparison.MASKED_EQUAL, bits, bits)


@frozen
class Rule:
    """One system call and what becomes of it.

    Args:
        syscall: its name.
        action: what happens; never the filter's default, which libseccomp refuses.
        conditions: all must hold, each of another argument (libseccomp takes no two of one). Several rules for a
            system call are alternatives.
        optional: nothing is lost where this version of libseccomp has never heard of it, as with members of groups.
    """

    syscall: str
    action: Action
    conditions: tuple[Condition, ...] = ()
    optional: bool = False


class Foreign(Enum):
    """What becomes of the other ABIs of this machine: int 0x80 and 32-bit programs on x86-64, and the like.

    They number the system calls differently, so a filter that did not ask for the ABI would be no filter at all.
    systemd makes one for each, and says itself where it leaks: socketcall(2), ipc(2) and the old mmap(2) of i386
    keep in memory, where no filter looks, what ours would compare; and libseccomp knows foreign system calls only
    as new as itself. Hence: what an administrator restricts is refused to foreign ABIs as a whole (the process
    dies of SIGSYS, so that it is noticed); only the rules that hold for every service, whose few system calls are
    old and bear their arguments in registers everywhere, cover them, so that 32-bit programs go on working.
    """

    REFUSED = "refused"
    COVERED = "covered"


@frozen
class Filter:
    """A whole filter.

    Args:
        default: what becomes of system calls without a rule.
        rules: the exceptions.
        foreign: what becomes of foreign ABIs.
    """

    default: Action
    rules: tuple[Rule, ...]
    foreign: Foreign = Foreign.REFUSED


# --- the library ---

_SONAME = "libseccomp.so.2"
_UNKNOWN_NAME = -1  # seccomp.h __NR_SCMP_ERROR

# seccomp.h enum scmp_filter_attr
_ACT_BADARCH = 2
_CTL_NNP = 3
_CTL_TSYNC = 4
_CTL_OPTIMIZE = 8
_API_SYSRAWRC = 9
_BINARY_TREE = 2

# include/uapi/linux/audit.h AUDIT_ARCH_*; libseccomp's token of x32 is that of x86-64 without the 64-bit flag
_X86, _X86_64, _X32 = 0x40000003, 0xC000003E, 0x4000003E
_ARM, _AARCH64 = 0x40000028, 0xC00000B7
_PPC, _PPC64 = 0x14, 0x80000015
_S390, _S390X = 0x16, 0x80000016
_MACHINE = 0xFFFF
_MIPS = 8

_FOREIGN = {_X86_64: (_X86, _X32), _AARCH64: (_ARM,), _PPC64: (_PPC,), _S390X: (_S390,)}
"""The other ABIs of a machine. What stands in no row is refused, whatever the filter says of foreign ones."""


_PECULIAR = {_X86: "x86", _S390: "s390", _S390X: "s390x"}


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``: for a masked comparison the mask comes first, then the value."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_SONAME)
    except OSError as error:
        problem = f"{_SONAME} cannot be loaded ({error}); install the package libseccomp2 (2.5 or later)"
        raise SeccompError(problem) from error
    context, word = ctypes.c_void_p, ctypes.c_uint32
    library.seccomp_init.argtypes = (word,)
    library.seccomp_init.restype = context
    library.seccomp_release.argtypes = (context,)
    library.seccomp_release.restype = None
    library.seccomp_attr_set.argtypes = (context, ctypes.c_int, word)
    library.seccomp_arch_native.argtypes = ()
    library.seccomp_arch_native.restype = word
    library.seccomp_arch_add.argtypes = (context, word)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    conditions = ctypes.POINTER(_Comparison)
    library.seccomp_rule_add_array.argtypes = (context, word, ctypes.c_int, ctypes.c_uint, conditions)
    library.seccomp_load.argtypes = (context,)
    return library


def _checked(call: str, result: int) -> None:
    """libseccomp returns a negated errno."""
    if result < 0:
        raise SeccompError(f"{call}: {os.strerror(-result)}")


def architecture() -> str:
    """The ABI of this process where its calling conventions are its own: "x86", "s390" or "s390x"; else empty.

    Raises:
        SeccompError: there is no libseccomp.
    """
    return _PECULIAR.get(_library().seccomp_arch_native(), "")


def resolve(name: str) -> int | None:
    """The number of a system call on this machine; negative where only other architectures have it.

    Args:
        name: as the kernel has it.

    Returns:
        None where neither libseccomp nor the table of newer ones knows it.

    Raises:
        SeccompError: there is no libseccomp.
    """
    library = _library()
    number = int(library.seccomp_syscall_resolve_name(name.encode()))
    if number != _UNKNOWN_NAME:
        return number
    if library.seccomp_arch_native() & _MACHINE == _MIPS:  # counts from 4000, 5000 or 6000
        return None
    return NEWER_NUMBERS.get(name)


def load(wanted: Filter) -> None:
    """Install a filter on every thread of this process, for good.

    The kernel wants no_new_privs (``linux.set_no_new_privs``) or CAP_SYS_ADMIN: otherwise a filter could lie to a
    setuid program. Which of the two it is to be is the caller's to settle before; this sets neither.

    Raises:
        SeccompError: libseccomp is missing, a system call that is not optional is unknown to it, or the kernel
            refuses. Nothing is installed then.
    """
    with _context(wanted.default) as context:
        _set_up(context, wanted.foreign)
        for rule in wanted.rules:
            _add(context, rule)
        _install(context)


@contextlib.contextmanager
def _context(default: Action) -> Iterator[int]:
    """A filter under construction; it lives in memory of the library, which a spawner has no use for later."""
    context = _library().seccomp_init(default.code)
    if not context:
        raise SeccompError("seccomp_init: failed")
    try:
        yield context
    finally:
        _library().seccomp_release(context)


def _set_up(context: int, foreign: Foreign) -> None:
    library = _library()
    attributes = {
        _ACT_BADARCH: KILL.code,
        _CTL_NNP: 0,  # as it is
        _CTL_TSYNC: 1,  # all threads, or a forgotten one would be a way round
        _CTL_OPTIMIZE: _BINARY_TREE,  # or hundreds of rules are compared one by one
        _API_SYSRAWRC: 1,  # the kernel's own errno in place of ECANCELED
    }
    for attribute, value in attributes.items():
        _checked("seccomp_attr_set", library.seccomp_attr_set(context, attribute, value))
    if foreign is Foreign.COVERED:
        for token in _FOREIGN.get(library.seccomp_arch_native(), ()):
            _checked("seccomp_arch_add", library.seccomp_arch_add(context, token))


def _add(context: int, rule: Rule) -> None:
    number = resolve(rule.syscall)
    if number is None:
        if rule.optional:
            return
        raise SeccompError(f"this version of {_SONAME} knows no system call {rule.syscall}")
    if number < 0:
        return  # of another architecture: there is nothing here to allow or to deny
    comparisons = (_Comparison * len(rule.conditions))(*map(_comparison, rule.conditions))
    result = _library().seccomp_rule_add_array(
        context, rule.action.code, number, len(rule.conditions), comparisons
    )
    _checked(f"seccomp_rule_add({rule.syscall})", result)


def _comparison(condition: Condition) -> _Comparison:
    if condition.comparison is Comparison.MASKED_EQUAL:
        data = (condition.mask, condition.value)
    else:
        data = (condition.value, 0)
    return _Comparison(condition.argument, condition.comparison, *data)


def _install(context: int) -> None:
    result = _library().seccomp_load(context)
    if result == -errno.EACCES and not linux.get_no_new_privs():
        raise SeccompError("a filter wants no_new_privileges = true, or CAP_SYS_ADMIN while it is installed")
    if result == -errno.EINVAL:
        raise SeccompError("this kernel has no system call filters (CONFIG_SECCOMP_FILTER, kernel 4.14)")
    _checked("seccomp_load", result)
