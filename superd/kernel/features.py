"""What this machine offers for sandboxes, found out by trying it in a process that ends at once."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from typing import NoReturn

from superd.config.sandbox import Feature
from superd.kernel import landlock, linux, mounts, namespaces, seccomp

PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What says nothing of a feature. ENOSPC is not among them: it is how the kernel says that no namespace may be made at
all (user_namespaces(7), max_user_namespaces = 0)."""

_ROOT_ONLY = frozenset(
    {
        Feature.CGROUP,
        Feature.MOUNT_NAMESPACE,
        Feature.NETWORK_NAMESPACE,
        Feature.PID_NAMESPACE,
        Feature.USER_NAMESPACE,
    }
)


def lacks(feature: Feature) -> str:
    """Why this machine, or this user, lacks a feature; empty when it is there.

    Control groups are looked at where their limits are known (cgroups.problem).

    Raises:
        OSError: it could not be tried now, for want of memory, processes or descriptors. Nothing is known then, and
            nothing remembered.
    """
    if feature in _ROOT_ONLY and os.geteuid() != 0:
        return "superd is not root"
    return _tried(feature)


@functools.cache
def _tried(feature: Feature) -> str:
    if feature is Feature.LANDLOCK:
        return "" if landlock.abi() else "this kernel has no Landlock (landlock in lsm= switches it on)"
    attempt = _ATTEMPTS.get(feature)
    return _in_a_child(attempt) if attempt else ""


def _new_filter() -> None:
    """One that allows everything; that loads libseccomp too, which the master has no other use for."""
    linux.set_no_new_privs()
    seccomp.load(seccomp.Filter(seccomp.ALLOW, ()))


def _new_mounts() -> None:
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_SLAVE)
    mounts.mount_setattr("/", add=mounts.ATTR_RDONLY)


def _new_network() -> None:
    namespaces.unshare(namespaces.CLONE_NEWNET)
    namespaces.raise_loopback()


_ATTEMPTS: dict[Feature, Callable[[], None]] = {
    Feature.SECCOMP: _new_filter,
    Feature.MOUNT_NAMESPACE: _new_mounts,
    Feature.NETWORK_NAMESPACE: _new_network,
    Feature.PID_NAMESPACE: lambda: namespaces.unshare(namespaces.CLONE_NEWPID),
    Feature.USER_NAMESPACE: lambda: namespaces.enter_user_namespace((0, 1), (0, 1)),
}


def _in_a_child(attempt: Callable[[], None]) -> str:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        _report(attempt, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reason = pipe.read().decode()
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if number in PASSING:
        raise OSError(number, os.strerror(number))
    return reason


def _report(attempt: Callable[[], None], writer: int) -> NoReturn:
    number = 0
    try:
        attempt()
    except OSError as error:
        os.write(writer, (error.strerror or "refused").encode())
        number = error.errno or 0
    except seccomp.SeccompError as error:
        os.write(writer, str(error).encode())
    os._exit(number)
