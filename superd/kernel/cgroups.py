"""Control groups, version 2: one for each service with a limit, below the one that superd was started in.

A group that has groups with limits below it may hold no process itself (cgroups(7), "no internal processes"), so
superd moves into one of its own first. systemd leaves all this to a unit with ``Delegate=yes``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from superd.config.sandbox import UNLIMITED, Sandbox

_CONTROLLERS = {"memory_max": "memory", "tasks_max": "pids", "cpu_quota": "cpu"}
_OWN = "superd-itself"  # "superd" is what an administrator calls the one that he starts it in
_ROUNDS = 20
_NO_LIMIT = "max"
_PERIOD_US = 100_000  # of cpu.max, as systemd has it


def problem(sandbox: Sandbox, base: str) -> str:
    """Why a sandbox's limits cannot be had here; empty when they can. Changes nothing.

    Args:
        sandbox: the effective one.
        base: superd's group (``own_group``).
    """
    if not base:
        return "no control group of version 2 is mounted"
    try:
        missing = _wanted(sandbox) - set(_read(base, "cgroup.controllers").split())
    except OSError as error:
        return f"the control group {base} cannot be read ({error.strerror})"
    if missing:
        return f"the control group {base} has no controller {' '.join(sorted(missing))}"
    return "" if os.access(base, os.W_OK) else f"the control group {base} cannot be written"


def prepare(sandbox: Sandbox, base: str) -> None:
    """Have the controllers that a sandbox's limits take handed down, and superd out of the way for that.

    By the master: in a pid namespace of its own a spawner sees no number of the others that are to be moved.

    Raises OSError: a group cannot be made or written; EBUSY where somebody is still in the way.
    """
    try:
        lacking = _wanted(sandbox) - set(_read(base, "cgroup.subtree_control").split())
        if lacking:
            _move_out(base)
            _write(base, "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(lacking)))
    except OSError as error:
        raise OSError(error.errno, f"the control group {base} cannot be divided: {error.strerror}") from error


def enter(service: str, sandbox: Sandbox, base: str) -> None:
    """Have this process, and all that it starts, counted in a service's group, under its limits.

    Raises OSError: the group cannot be made or written.
    """
    folder = os.path.join(base, f"service-{service}")
    os.makedirs(folder, exist_ok=True)
    for name, value in limits(sandbox):
        if value != _NO_LIMIT or os.path.exists(os.path.join(folder, name)):  # an earlier one may be there
            _write(folder, name, value)
    _write(folder, "cgroup.procs", "0")


def _wanted(sandbox: Sandbox) -> set[str]:
    """The controllers that its limits take."""
    return {name for key, name in _CONTROLLERS.items() if getattr(sandbox, key) != UNLIMITED}


def limits(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """The files of a group, and what is written to them."""
    for key, name in (("memory_max", "memory.max"), ("tasks_max", "pids.max")):
        value = getattr(sandbox, key)
        yield name, _NO_LIMIT if value == UNLIMITED else str(value)
    quota = sandbox.cpu_quota or UNLIMITED
    share = _NO_LIMIT if quota == UNLIMITED else f"{quota * _PERIOD_US // 100} {_PERIOD_US}"
    yield "cpu.max", share


def own_group() -> str:
    """The group that superd was started in, as a folder; empty where there is none."""
    with open("/proc/self/mountinfo", "rb") as lines:
        rows = [line.split() for line in lines]
    mounted = [os.fsdecode(row[4]) for row in rows if row[row.index(b"-") + 1] == b"cgroup2"]
    with open("/proc/self/cgroup", encoding="utf-8") as groups:
        own = [line.rstrip("\n")[3:] for line in groups if line.startswith("0::")]
    if not mounted or not own:
        return ""
    path = own[0].removesuffix(f"/{_OWN}").lstrip("/")
    return os.path.join(mounted[0], path).rstrip("/")


def _move_out(base: str) -> None:
    """Move all that is in superd's group into one below it; the topmost group of all may keep its own."""
    if not os.path.exists(os.path.join(base, "cgroup.type")):  # only the topmost has no such file
        return
    own = os.path.join(base, _OWN)
    os.makedirs(own, exist_ok=True)
    for _ in range(_ROUNDS):  # who forks meanwhile leaves a child behind
        pids = _read(base, "cgroup.procs").split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                _write(own, "cgroup.procs", pid)


def _read(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="ascii") as file:
        return file.read()


def _write(folder: str, name: str, text: str) -> None:
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(text)
