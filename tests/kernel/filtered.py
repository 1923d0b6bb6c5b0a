"""Attempts under system call filters, each in a process of its own."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

from helpers.forked import NOBODY, in_child

from superd.config.sandbox import Profile, Sandbox, effective
from superd.kernel import filters, linux, seccomp
from superd.kernel.filters import Facts
from superd.kernel.seccomp import Filter

Attempt = Callable[[], object]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = (ctypes.c_long, *[ctypes.c_ulong] * 6)
_libc.syscall.restype = ctypes.c_long


def failure(attempt: Attempt) -> int:
    """The errno that an attempt ends in, 0 when it succeeds."""
    try:
        attempt()
    except OSError as error:
        assert error.errno is not None
        return error.errno
    return 0


def call(name: str, *arguments: int) -> Attempt:
    """A system call by name, past the C library and what it checks."""

    def attempt() -> int:
        number = seccomp.resolve(name)
        assert number is not None
        return raw(number, *arguments)

    return attempt


def raw(number: int, *arguments: int) -> int:
    """A system call by number; negative arguments are those of 64 bits."""
    words = [argument & (2**64 - 1) for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    result = int(_libc.syscall(number, *words))
    if result == -1:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def sandbox(*, root: bool = False, **keys: object) -> Sandbox:
    """An effective sandbox: profile "none" but for these keys."""
    written = Sandbox(**{"profile": Profile.NONE, "no_new_privileges": True, **keys})  # type: ignore[arg-type]
    return effective(written, root)


def under(wanted: Sandbox, *attempts: Attempt, facts: Facts | None = None) -> list[int]:
    """How each attempt ends under the filters of a sandbox."""

    def child() -> list[int]:
        filters.apply_filters(wanted, facts or Facts(root=False))
        return [failure(attempt) for attempt in attempts]

    return in_child(child)


def under_filter(wanted: Filter, *attempts: Attempt) -> list[int]:
    """How each attempt ends under one filter."""

    def child() -> list[int]:
        linux.set_no_new_privs()
        seccomp.load(wanted)
        return [failure(attempt) for attempt in attempts]

    return in_child(child)


def killed_by(prepare: Attempt, attempt: Attempt) -> int:
    """The signal that ends a process which prepares itself and then tries something; 0 if it lives."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGSYS, signal.SIG_DFL)
        try:
            linux.set_dumpable(False)  # no core file of a death that is wanted
            prepare()
            failure(attempt)
        except BaseException:  # noqa: BLE001 - told apart from a signal and from success
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def become_nobody() -> None:
    """Give up root, if the test has it."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


IO_URING = (call("io_uring_setup", 1, 0), call("io_uring_enter", -1, 0), call("io_uring_register", -1))
