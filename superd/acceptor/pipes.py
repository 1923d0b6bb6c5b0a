"""Pipes through which the kernel moves bytes from socket to socket: a few, each lent while something is in it.

The kernel grants each user so many pages of pipes (pipe-user-pages-soft, 64 MiB unless changed; pipe(7)). A client
that reads slowly keeps the pipe that its bytes are in, so the number is bounded; who finds none left is served by
copying, which holds nothing.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

SIZE_BYTES = 512 * 1024
"""What a pipe holds when the kernel allows it; what splice(2) moves at most in one call."""

MOST = 112
"""Pipes at once; 112 of 512 KiB stay below what the kernel grants an ordinary user."""

SPARE = 16
"""Empty ones that are kept for who comes next."""

Pipe = tuple[int, int]
"""Its end to read from, its end to write to."""


class Pipes:
    """Lends pipes.

    Args:
        most: how many may be out at once; with 0 everything is copied.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._spare: list[Pipe] = []
        self._out = 0

    def __len__(self) -> int:
        """How many there are, spare ones included."""
        return self._out + len(self._spare)

    def take(self) -> Pipe | None:
        """An empty pipe; None when there are enough, or the system has no more."""
        if self._spare:
            self._out += 1
            return self._spare.pop()
        if self._out >= self._most:
            return None
        try:
            pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:  # out of descriptors, or of the user's pages: copying needs neither
            return None
        with suppress(OSError):  # over the user's pages it stays as it is
            fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, SIZE_BYTES)
        self._out += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Give a pipe back, empty."""
        self._out -= 1
        if len(self._spare) < SPARE:
            self._spare.append(pipe)
        else:
            _close(pipe)

    def drop(self, pipe: Pipe) -> None:
        """Give a pipe back with something in it: that is lost."""
        self._out -= 1
        _close(pipe)

    def close(self) -> None:
        """Close the spare ones."""
        while self._spare:
            _close(self._spare.pop())


def _close(pipe: Pipe) -> None:
    os.close(pipe[0])
    os.close(pipe[1])
