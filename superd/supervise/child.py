"""The program's process, from fork to exec: under a filter whose listener the parent holds."""

from __future__ import annotations

import array
import errno
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from superd.kernel import notification
from superd.kernel.notification import Machine

NOT_FOUND, NOT_EXECUTED = 127, 126
"""Exit codes of a program that does not exist, or cannot be executed; those of env(1) and the shells."""

_HINTS = {
    errno.EBUSY: "something is over it already that answers its system calls: superd-bind does not work below another "
    "superd-bind, nor in a container whose manager does the same",
    errno.ENOSYS: "this kernel has no seccomp: it wants CONFIG_SECCOMP_FILTER, and Linux 5.9 or newer",
    errno.EINVAL: "this kernel has no seccomp user notification: it wants Linux 5.9 or newer",
    errno.EPERM: "this container forbids seccomp(2): allow it in the container's seccomp profile",
    errno.EACCES: "this container forbids seccomp(2): allow it in the container's seccomp profile",
}
"""What it takes, by what the kernel says. There is no other way: none that needs no privilege."""


def execute(
    argv: Sequence[str], machine: Machine, program: bytes, link: socket.socket, mask: set[int]
) -> NoReturn:
    """Install the filter, hand its listener over, and become the program.

    Args:
        argv: the program, looked for in PATH, and its arguments.
        program: the filter.
        link: to the parent.
        mask: the signals that were blocked when superd-bind was started.
    """
    try:
        notification.set_no_new_privs()
        listener, killable = notification.install_listener(machine, program)
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, os.strerror(error.errno or 0))
        print(f"superd-bind: no privileged port for {argv[0]}: {hint}", file=sys.stderr, flush=True)
        os._exit(NOT_EXECUTED)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))]
    link.sendmsg([b"\1" if killable else b"\0"], rights)
    os.close(listener)
    become(argv, mask)


def become(argv: Sequence[str], mask: set[int], environ: dict[str, str] | None = None) -> NoReturn:
    """Execute a program, with signals as superd-bind was given them."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores both
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execvpe(argv[0], list(argv), os.environ if environ is None else environ)  # noqa: S606  no shell
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        print(f"superd-bind: {argv[0]}: {reason}", file=sys.stderr, flush=True)
        os._exit(NOT_FOUND if missing else NOT_EXECUTED)
