"""The processes whose parent this one is now, those it has adopted included: /proc tells (proc_pid_task(5))."""

from __future__ import annotations

import os

_CHILDREN = "thread-self/children"  # kernel 4.2, where it was built with CONFIG_PROC_CHILDREN
_MOST_BYTES = 1 << 20


def open_proc() -> int | None:
    """Open /proc, to be kept by who is about to change its root directory; None where there is none."""
    try:
        return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def open_children(proc: int) -> int | None:
    """Open the list of this thread's children.

    Args:
        proc: of ``open_proc``.

    Returns:
        A descriptor for ``read_children``. None: the kernel keeps no such list, or that /proc is of another pid
        namespace, whose numbers mean nothing here.
    """
    try:
        if os.readlink("self", dir_fd=proc) != str(os.getpid()):
            return None
        return os.open(_CHILDREN, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    except FileNotFoundError:
        return None


def read_children(descriptor: int) -> list[int]:
    """The pids of the children, those that ended and were not waited for included."""
    return [int(word) for word in os.pread(descriptor, _MOST_BYTES, 0).split()]
