"""Resource limits (``limit_*``): which process sets them, and setting them."""

from __future__ import annotations

import errno
import resource
from collections.abc import Mapping

from superd.config.model import INFINITY, ResourceLimit
from superd.kernel import linux

Limits = Mapping[str, ResourceLimit]

# The names of systemd.exec(5)'s Limit*=, lower case. Python's resource module lacks RLIMIT_LOCKS, which is 10 on
# every architecture (asm-generic/resource.h); the kernel ignores it since 2.4.25.
RESOURCES: Mapping[str, int] = {
    "cpu": resource.RLIMIT_CPU,
    "fsize": resource.RLIMIT_FSIZE,
    "data": resource.RLIMIT_DATA,
    "stack": resource.RLIMIT_STACK,
    "core": resource.RLIMIT_CORE,
    "rss": resource.RLIMIT_RSS,
    "nofile": resource.RLIMIT_NOFILE,
    "as": resource.RLIMIT_AS,
    "nproc": resource.RLIMIT_NPROC,
    "memlock": resource.RLIMIT_MEMLOCK,
    "locks": 10,
    "sigpending": resource.RLIMIT_SIGPENDING,
    "msgqueue": resource.RLIMIT_MSGQUEUE,
    "nice": resource.RLIMIT_NICE,
    "rtprio": resource.RLIMIT_RTPRIO,
    "rttime": resource.RLIMIT_RTTIME,
}

# What a child may be denied but the spawner needs to start the next one: time, memory and processes …
_BIND_THE_SPAWNER = frozenset({"nproc", "cpu", "as", "data"})
# … and descriptors: a full batch of connections (32), their pipes and pidfds, and its own.
_SPAWNER_NOFILE = 128

_DEFAULT_NR_OPEN = 1024 * 1024  # fs/file.c sysctl_nr_open


def split(limits: Limits) -> tuple[dict[str, ResourceLimit], dict[str, ResourceLimit]]:
    """Divide limits into those the spawner sets once on itself, for all children, and those each child sets."""
    on_child = {name: limit for name, limit in limits.items() if _binds_the_spawner(name, limit)}
    on_spawner = {name: limit for name, limit in limits.items() if name not in on_child}
    return on_spawner, on_child


def apply(limits: Limits) -> None:
    """Set soft and hard limits of this process.

    Raises:
        OSError: one cannot be set (EPERM: it is above the hard limit and CAP_SYS_RESOURCE is missing); its
            ``strerror`` names it.
    """
    for name, limit in limits.items():
        _set(name, _number(name, limit.soft), _number(name, limit.hard))


def numbers(limits: Limits) -> list[tuple[int, int, int]]:
    """Resource, soft and hard limit as setrlimit(2) takes them."""
    return [
        (RESOURCES[name], _number(name, limit.soft), _number(name, limit.hard))
        for name, limit in limits.items()
    ]


def raise_hard(limits: Limits) -> None:
    """Raise hard limits, while still privileged, to where an unprivileged child may set these; lowers none.

    Raises:
        OSError: as ``apply``.
    """
    for name, limit in limits.items():
        soft, hard = resource.getrlimit(RESOURCES[name])
        wanted = _number(name, limit.hard)
        if _is_above(wanted, hard):
            _set(name, soft, wanted)


def out_of_reach(limits: Limits) -> dict[str, str]:
    """Find the limits that this process may not set; returns by name the highest value that it may.

    CAP_SYS_RESOURCE lifts every bound but fs.nr_open (setrlimit(2)); root in a container is often without it.
    """
    privileged = linux.capget().effective & 1 << linux.CAP_SYS_RESOURCE
    found = {}
    for name, limit in limits.items():
        most = _number(name, INFINITY) if privileged else resource.getrlimit(RESOURCES[name])[1]
        if _is_above(_number(name, limit.hard), most):
            found[name] = _spelt(most)
    return found


def spelt(limit: ResourceLimit) -> str:
    """A limit as the configuration would write it, less its unit."""
    soft, hard = _spelt(limit.soft), _spelt(limit.hard)
    return soft if soft == hard else f"{soft}:{hard}"


def _binds_the_spawner(name: str, limit: ResourceLimit) -> bool:
    if name == "nofile":
        return limit.soft != INFINITY and limit.soft < _SPAWNER_NOFILE
    return name in _BIND_THE_SPAWNER


def _set(name: str, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(RESOURCES[name], (soft, hard))
    except (ValueError, OSError) as error:  # ValueError is how resource spells EINVAL and EPERM
        wanted = _spelt(soft) if soft == hard else f"{_spelt(soft)}:{_spelt(hard)}"
        now = _spelt(resource.getrlimit(RESOURCES[name])[1])
        text = f"limit_{name} = {wanted}: {error} (the hard limit is {now})"
        raise OSError(getattr(error, "errno", None) or errno.EPERM, text) from error


def _number(name: str, value: int) -> int:
    if value != INFINITY:
        return value
    return _nr_open() if name == "nofile" else resource.RLIM_INFINITY


def _nr_open() -> int:
    """Return the most descriptors the kernel lets anybody have: RLIMIT_NOFILE alone knows no infinity."""
    try:
        with open("/proc/sys/fs/nr_open", encoding="ascii") as nr_open:
            return int(nr_open.read())
    except FileNotFoundError:  # no /proc here
        return _DEFAULT_NR_OPEN


def _is_above(value: int, limit: int) -> bool:
    if limit == resource.RLIM_INFINITY:
        return False
    return value == resource.RLIM_INFINITY or value > limit


def _spelt(value: int) -> str:
    return "infinity" if value == resource.RLIM_INFINITY else str(value)
