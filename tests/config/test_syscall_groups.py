"""The groups of system calls: whole, without circles, and those of systemd."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from superd.config.syscall_groups import GROUPS, members
from superd.config.syscall_names import KNOWN, NEWER_NUMBERS


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_has_members_and_all_exist(group: str) -> None:
    """A group that held itself would never come back from this."""
    assert members(group)
    assert members(group) <= KNOWN


def test_groups_hold_what_their_groups_hold() -> None:
    assert members("@default") < members("@system-service")
    assert {"mount", "chown", "settimeofday"} & members("@system-service") == {"chown"}
    assert {"chown", "settimeofday", "init_module", "reboot", "capset"} <= members("@privileged")
    assert members("@known") == KNOWN


def test_the_numbers_of_newer_system_calls_are_distinct_and_named() -> None:
    assert set(NEWER_NUMBERS) <= KNOWN
    assert sorted(NEWER_NUMBERS.values()) == list(range(451, 451 + len(NEWER_NUMBERS)))


NEWER_THAN_DEBIAN_12 = {
    *("futex_requeue", "futex_wait", "futex_wake", "map_shadow_stack", "mseal", "uprobe"),
    *("file_getattr", "file_setattr", "getxattrat", "listxattrat", "removexattrat", "setxattrat"),
    *("listmount", "statmount", "open_tree_attr", "process_mrelease"),
}
"""What systemd put into a group after version 252."""


def groups_of_systemd() -> dict[str, set[str]]:
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True, check=True
    )
    found: dict[str, set[str]] = {}
    group = set[str]()
    for line in done.stdout.splitlines():
        if line.startswith("@"):
            group = found.setdefault(line.strip(), set())
        elif line.startswith("#"):
            group = set()  # the kernel's own, in no group
        elif line.strip() and not line.strip().startswith("#"):
            group.add(line.strip())
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, to compare with")
def test_the_groups_are_those_of_systemd() -> None:
    theirs = groups_of_systemd()
    theirs.pop("@known")
    assert set(theirs) <= set(GROUPS)

    def resolved(name: str) -> set[str]:
        parts = [resolved(member) if member.startswith("@") else {member} for member in theirs[name]]
        return set[str]().union(*parts)

    for name in theirs:
        assert resolved(name) <= members(name), name
        assert members(name) - resolved(name) <= NEWER_THAN_DEBIAN_12, name
