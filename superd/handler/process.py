"""What the caller asks of the kernel and Python's os lacks: prctl(2), and the words that ps shows."""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE, _PR_SET_NAME = 4, 15  # include/uapi/linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


def hide(name: str) -> None:
    """Let no process of the same user trace this one or read its memory (PR_SET_DUMPABLE); forks inherit it.

    Args:
        name: the short name that ps and top show, of at most 15 bytes.

    Raises:
        OSError: of prctl(2).
    """
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(os.fsencode(name)[:15]), 0, 0, 0)
    if _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"PR_SET_DUMPABLE: {os.strerror(number)}")


class Title:
    """Where the arguments stand that ps shows, fields 48 and 49 of proc_pid_stat(5); a fork has them there too."""

    def __init__(self) -> None:
        try:
            with open("/proc/self/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()  # the first of these is field 3
        except OSError:  # no /proc in here: no title
            fields = [b"0"] * 50
        start, end = int(fields[48 - 3]), int(fields[49 - 3])
        self._room = max(0, end - start) if start else 0
        self._area = memoryview((ctypes.c_char * self._room).from_address(start)).cast("B")

    def show(self, title: str) -> None:
        """Show a title in ps, as far as it fits. The last byte stays NUL, or ps shows the environment too."""
        if self._room:
            self._area[:] = title.encode()[: self._room - 1].ljust(self._room, b"\0")
