"""Starting one child: by ``posix_spawn`` where the kernel allows it, by fork and exec where a child needs more.

``posix_spawn`` (vfork inside: no page table is copied) is for connections. Instances need their own pid in
LISTEN_PID, and limits that would bind the spawner itself can only be set between fork and exec.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from superd.config.model import ResourceLimit
from superd.kernel import linux, rlimits

# CPython ignores SIGPIPE and SIGXFSZ at start; left so, every child would inherit it (signal(7): ignored
# survives exec). All others are named too: glibc's posix_spawn would ask the kernel about each that is not.
DEFAULT_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})

Environment = Mapping[bytes, bytes]


def spawn(path: bytes, argv: tuple[bytes, ...], environment: Environment, standard: Sequence[int]) -> int:
    """Start a child in a session of its own with ``standard`` as its descriptors 0, 1, 2; returns its pid.

    Every other descriptor of the spawner is closed by exec. Raises OSError (posix_spawn(3)): ENOENT, EACCES,
    ENOEXEC, … of exec, EAGAIN or ENOMEM of clone.
    """
    return os.posix_spawn(
        path,
        argv,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(standard)],
        setsid=True,
        setsigmask=(),
        setsigdef=DEFAULT_SIGNALS,
    )


def fork_exec(
    path: bytes,
    argv: tuple[bytes, ...],
    environment: Callable[[int], Environment],
    descriptors: Sequence[int],
    limits: Mapping[str, ResourceLimit],
    death_signal: int | None = None,
) -> int:
    """As ``spawn``, through fork.

    Args:
        environment: made in the child, out of its own pid.
        descriptors: become the child's 0, 1, 2, 3, …
        limits: set in the child, before exec.
        death_signal: sent to the child when the spawner dies: an instance whose spawner is gone would hold
            its port for nobody.

    Raises:
        OSError: of fork, of a limit, or of exec.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(path, argv, environment, descriptors, limits, death_signal, parent, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read(4)
    if failure:
        os.waitpid(pid, 0)
        number = int.from_bytes(failure, "little")
        raise OSError(number, os.strerror(number))
    return pid


def _become(
    path: bytes,
    argv: tuple[bytes, ...],
    environment: Callable[[int], Environment],
    descriptors: Sequence[int],
    limits: Mapping[str, ResourceLimit],
    death_signal: int | None,
    parent: int,
    report: int,
) -> NoReturn:
    """The child's side of ``fork_exec``: everything here runs between fork and exec."""
    try:
        report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, len(descriptors))
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _place(descriptors)
        if death_signal is not None:
            linux.set_parent_death_signal(death_signal)
            if os.getppid() != parent:  # it died before it was asked to tell
                os._exit(127)
        made = environment(os.getpid())
        rlimits.apply(limits)
        os.execve(path, argv, made)  # noqa: S606  no shell is what we want
    except OSError as error:
        os.write(report, (error.errno or errno.EIO).to_bytes(4, "little"))
    except ValueError:
        os.write(report, errno.EPERM.to_bytes(4, "little"))  # setrlimit: above the hard limit
    os._exit(127)


def _place(descriptors: Sequence[int]) -> None:
    """Put each descriptor at its index, inheritable; first out of the way, so that none overwrites another."""
    above = len(descriptors)
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in descriptors]
    for target, source in enumerate(moved):
        os.dup2(source, target, inheritable=True)
