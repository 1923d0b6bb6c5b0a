"""Giving birth: forking spawners, executing the acceptor."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from superd.errors import Exit, SuperdError
from superd.kernel import linux
from superd.kernel.identity import Identity
from superd.kernel.privileges import drop_for_good

PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder that holds the package ``superd``; an isolated interpreter must be told."""

_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from superd.{role}.main import main; main()"


class BirthError(SuperdError):
    """A process could not be brought into the world; the text ends with the remedy."""


def fork(life: Callable[[], NoReturn]) -> int:
    """Run ``life`` in a child with default signals; returns its pid.

    Raises:
        OSError: of fork(2): EAGAIN, ENOMEM.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        default_signals()
        life()
    except BaseException as error:  # noqa: BLE001  the master's stack must never unwind in the child
        _last_words(error)
    os._exit(Exit.SOFTWARE)


def _last_words(error: BaseException) -> None:
    """A defect of ours in a forked child: stderr is all it has."""
    import traceback

    try:
        traceback.print_exception(error)
        sys.stderr.flush()
    except OSError:
        pass


def default_signals() -> None:
    """No handlers, nothing blocked; SIGPIPE and SIGXFSZ ignored, as Python wants them."""
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGCHLD,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def execute_role(
    role: str,
    link: socket.socket,
    identity: Identity,
    environ: Mapping[str, str],
    drop: Callable[[Identity], None] = drop_for_good,
) -> int:
    """Start the acceptor or the broker: privileges dropped, then a fresh interpreter; returns its pid.

    Args:
        role: the package whose ``main`` is executed.
        drop: becomes ``identity``, and gives up all that the role does not need.

    Raises:
        BirthError: it could not be executed; says why and what to do.
    """
    parent = os.getpid()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    from_root = os.geteuid() == 0
    argv = [
        sys.executable,
        "-I",
        "-c",
        _BOOT.format(role=role),
        PACKAGE_PARENT,
        "3",
        str(parent),
        str(identity.uid),
        str(identity.gid),
        ",".join(map(str, identity.groups)),
        "1" if from_root else "0",
    ]

    def life() -> NoReturn:
        try:
            _become_stranger(link, writer)
            drop(identity)
            _require_readable(role, identity)
            _die_with(parent)
            os.execve(sys.executable, argv, {"PATH": "/usr/bin:/bin", **environ})  # noqa: S606  no shell
        except (OSError, SuperdError) as error:
            os.write(4, str(error).encode()[:4000])
            os._exit(1)

    pid = fork(life)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        problem = pipe.read(4096).decode(errors="replace")
    if problem:
        os.waitpid(pid, 0)
        raise BirthError(problem)
    return pid


def _become_stranger(link: socket.socket, report: int) -> None:
    """Descriptors 0 and 1 on /dev/null, 2 as it is, 3 the link, 4 where a failure is told; nothing else."""
    os.setsid()
    linux.leave_session_keyring()
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 16) for descriptor in (link.fileno(), report)]
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(high[0], 3, inheritable=True)
    os.dup2(high[1], 4, inheritable=False)
    linux.close_range(5, 2**31 - 1)
    os.chdir("/")


def _die_with(parent: int) -> None:
    """To be called once nobody's id changes any more, which clears it."""
    linux.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _require_readable(role: str, identity: Identity) -> None:
    """superd's code, and what it imports, must be readable by the role's user."""
    unreadable = next((path for path in _needed(role) if not os.access(path, os.R_OK)), None)
    if unreadable is not None:
        raise BirthError(
            f"{unreadable}: not readable by the {role}'s user ({identity.user}); install superd and Python "
            "where every user can read them (make run VENV=/opt/superd-venv), not below a private folder"
        )


def _needed(role: str) -> Sequence[str]:
    return (sys.executable, os.__file__, os.path.join(PACKAGE_PARENT, "superd", role, "main.py"))
