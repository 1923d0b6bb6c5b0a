"""What the acceptor allows itself: the rules as values. What the kernel makes of them is in tests/live/security."""

from __future__ import annotations

import os

import pytest

from superd.acceptor.sandbox import SOCKETS, filters, reading
from superd.config.syscall_groups import members
from superd.kernel.seccomp import ALLOW, Filter

FILTERS = filters(77, binds_resolvers_sockets=False)
BY_ARGUMENT, BY_NAME = FILTERS


def allowed(one: Filter) -> set[str]:
    """What a filter allows whatever its arguments."""
    return {rule.syscall for rule in one.rules if rule.action == ALLOW and not rule.conditions}


@pytest.mark.parametrize(
    "group", ["@process", "@mount", "@debug", "@keyring", "@setuid", "@module", "@clock", "@swap"]
)
def test_nothing_that_starts_changes_or_looks_into_processes_is_allowed(group: str) -> None:
    assert allowed(BY_NAME) & members(group) <= {"capget", "getrusage", "times"}


def test_nothing_is_started_and_nothing_listens() -> None:
    assert not allowed(BY_NAME) & {"execve", "execveat", "fork", "vfork", "clone", "clone3", "listen", "kill"}


def test_the_hot_path_asks_nothing_about_arguments() -> None:
    """So that the kernel remembers the verdict and runs no filter for it."""
    hot = {
        "accept4",
        "sendmsg",
        "recvmsg",
        "epoll_wait",
        "epoll_ctl",
        "read",
        "write",
        "close",
        "splice",
        "recvfrom",
    }
    assert hot <= allowed(BY_NAME)
    assert not hot & {rule.syscall for rule in BY_ARGUMENT.rules}


def test_no_system_call_is_both_allowed_and_denied() -> None:
    for one in FILTERS:
        whole = [rule.syscall for rule in one.rules if not rule.conditions]
        assert len(whole) == len(set(whole))
        assert not set(whole) & {rule.syscall for rule in one.rules if rule.conditions}


def test_a_resolver_that_binds_its_sockets_may_do_so() -> None:
    assert any(rule.syscall == "bind" for rule in BY_ARGUMENT.rules)
    other, _ = filters(77, binds_resolvers_sockets=True)
    assert not any(rule.syscall == "bind" for rule in other.rules)


def test_sockets_are_of_four_families() -> None:
    assert {family for family, _ in SOCKETS} == {1, 2, 10, 16}


def test_what_is_read_is_there_and_holds_nobodys_data() -> None:
    paths = reading()
    assert "/etc" in paths
    assert all(os.path.exists(path) for path in paths)
    assert not {"/", "/root", "/home", "/var", "/proc", "/tmp", "/srv"} & set(paths)
