"""What master and broker say to each other."""

from __future__ import annotations

from attrs import frozen

from superd.policy.grants import Grant

# --- master -> broker --------------------------------------------------------------------------------------


@frozen
class GrantsUp:
    """All grants, and where to listen and to log: first, and again whenever one of them changes.

    Descriptors: the listening socket, then the log.
    """

    log_kind: str
    log_format: str
    syslog_facility: str
    grants: tuple[Grant, ...]


@frozen
class Program:
    """The answer to ``ProgramWanted`` with the same number.

    Args:
        pid: the process; 0 when it is gone.
        user: the name of ``uid``, or its digits.
        path: what it executes; empty when that cannot be found out.
        name: what it calls itself.
        stranger: why its word does not count: it is another user's, or has ended. Empty when it does.
    """

    number: int
    pid: int
    user: str
    path: str
    name: str
    stranger: str


# --- broker -> master --------------------------------------------------------------------------------------


@frozen
class ProgramWanted:
    """Which program does a process execute, and is it that user's? Descriptors: its pidfd.

    Args:
        uid: whose it must be: the kernel's word about who asks.
    """

    number: int
    uid: int
