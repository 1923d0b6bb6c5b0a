"""A spawner that has settled down is whom it shall be, under its filters, and lives."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from filtered import failure
from helpers.forked import NOBODY, in_child, needs_root
from helpers.services import service

from superd.config.sandbox import Profile, Sandbox, effective
from superd.kernel import linux
from superd.kernel.identity import Identity
from superd.kernel.sandbox import Place, settle

IDENTITY = Identity(NOBODY, NOBODY, (), "nobody", "/nonexistent", "/usr/sbin/nologin")


def place(identity: Identity = IDENTITY, **keys: Any) -> Place:
    written = Sandbox(**{"profile": Profile.DEFAULT, **keys})
    sandbox = effective(written, identity.uid == 0)
    return Place(service("x", "tcp://127.0.0.1:7", sandbox=written), identity, sandbox)


def settled(wanted: Place) -> tuple[int, int, int]:
    """The uid and the permitted capabilities of a process that settled, and how a program it starts ends."""

    def child() -> tuple[int, int, int]:
        settle(wanted, wanted.facts, os.getppid())
        pid = os.posix_spawn("/bin/true", ["true"], {})
        _, status = os.waitpid(pid, 0)
        return os.geteuid(), linux.capget().permitted, os.waitstatus_to_exitcode(status)

    return in_child(child)


@needs_root
@pytest.mark.parametrize(
    "keys",
    [
        {"profile": Profile.NONE},
        {},
        {"system_call_filter": ("@system-service", "~@privileged @resources")},
        {"system_call_filter": ("~@setuid @privileged",)},
        {"system_call_filter": ("~@setuid @privileged",), "system_call_error_number": "0"},
        {"system_call_filter": ("~@setuid @privileged",), "no_new_privileges": False},
    ],
    ids=str,
)
def test_a_filter_does_not_stop_the_one_who_sets_it(keys: dict[str, Any]) -> None:
    """Whatever it does to who asks for more: ending the process, or telling it that it got that."""
    assert settled(place(**keys)) == (NOBODY, 0, 0)


@needs_root
def test_the_filters_are_in_force_afterwards() -> None:
    wanted = place(system_call_filter=("~@setuid:EACCES",))

    def child() -> list[int]:
        settle(wanted, wanted.facts, os.getppid())
        attempts = (lambda: os.setuid(NOBODY), lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19))
        return [failure(attempt) for attempt in attempts]

    assert in_child(child) == [errno.EACCES, errno.EPERM]


@needs_root
def test_landlocks_paths_of_which_none_is_there_leave_nothing() -> None:
    """Rather than everything."""
    wanted = place(landlock_read_paths=("-/nonexistent/superd",))

    def child() -> int:
        settle(wanted, wanted.facts, os.getppid())
        return failure(lambda: os.listdir("/etc"))

    assert in_child(child) == errno.EACCES
