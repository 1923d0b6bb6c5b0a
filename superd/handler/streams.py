"""Python's standard streams, for a process whose descriptors 0 to 2 are not what they were."""

from __future__ import annotations

import os
import socket
import sys

TYPE_CHECKING = False  # see connection.py
if TYPE_CHECKING:
    from typing import Any


def renew() -> None:
    """Make ``sys.stdin``, ``stdout`` and ``stderr`` anew, as Python makes them where nobody is at a terminal.

    Text is UTF-8, whatever the locale; what is not comes and goes unharmed (surrogateescape).
    """
    sys.stdin = sys.__stdin__ = _opened(0, "r", "surrogateescape")  # type: ignore[misc]  # final to typeshed
    sys.stdout = sys.__stdout__ = _opened(1, "w", "surrogateescape")  # type: ignore[misc]  # as above
    sys.stderr = sys.__stderr__ = _opened(2, "w", "backslashreplace", 1)  # type: ignore[misc]  # as above


def _opened(number: int, mode: str, errors: str, buffering: int = -1) -> Any:
    return open(number, mode, buffering, "utf-8", errors, closefd=False)


def renew_for_sockets() -> None:
    """The same once for all forked processes that will have sockets there.

    A stream notes whether its descriptor can be sought in, so sockets stand there for the moment.
    """
    before = [os.dup(number) for number in (0, 1, 2)]
    ends = socket.socketpair()
    try:
        for number in (0, 1, 2):
            os.dup2(ends[0].fileno(), number)
        renew()
    finally:
        for number, descriptor in enumerate(before):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for end in ends:
            end.close()
