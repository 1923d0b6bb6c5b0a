"""What a process executes, and whose it is: what the broker may not find out by itself.

A process is named by its pidfd, so that its number cannot become another's while one looks. Root alone may read
/proc/PID/exe of everybody; where it may not (its capabilities are limited), there is no path.
"""

from __future__ import annotations

import os
import pwd
import signal

from attrs import frozen

from superd.wire.grants import Program, ProgramWanted

_MAX_PATH = 4096


@frozen
class _Process:
    name: str
    uids: frozenset[int]


def find_program(request: ProgramWanted, pidfd: int) -> Program:
    """Answer a broker's question.

    The process must have the uid of who asks, and no other. Which of his own it is, a user is believed: any of them he
    could make do the same, if it is not protected from him.
    """
    pid, user = _pid_of(pidfd), _user_name(request.uid)
    gone = Program(request.number, 0, user, "", "", "the process has ended")
    if pid <= 0:
        return gone
    process = _status(pid)
    if process is None:
        return gone
    stranger = "" if process.uids == {request.uid} else "the process is another user's"
    path = "" if stranger else _executable(pid)
    try:
        signal.pidfd_send_signal(pidfd, 0)  # it lives, so all this was its own and not its successor's
    except OSError:
        return gone
    return Program(request.number, pid, user, path, process.name, stranger)


def _pid_of(pidfd: int) -> int:
    """The number behind a pidfd; 0 or less: it has ended, or is none that is seen from here."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii", errors="replace") as info:
        return next((int(line.split()[1]) for line in info if line.startswith("Pid:")), 0)


def _status(pid: int) -> _Process | None:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return None
    uids = frozenset(map(int, fields["Uid"].split()))
    return _Process(fields["Name"], uids)


def _executable(pid: int) -> str:
    try:
        path = os.readlink(f"/proc/{pid}/exe")
    except OSError:  # without CAP_SYS_PTRACE, or it has just ended
        return ""
    return path if len(path) < _MAX_PATH else ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
