"""What of a sandbox cannot be had here is told with key, reason and remedy."""

from __future__ import annotations

import os
from pathlib import Path

from helpers.forked import NOBODY, in_child, needs_root
from helpers.services import service

from superd.config.sandbox import Feature, Profile, Sandbox, effective
from superd.kernel import cgroups
from superd.master.sandboxes import lacking_features, sandbox_faults


def faults(sandbox: Sandbox, *, root: bool = False) -> list[str]:
    return [str(fault) for fault in sandbox_faults(service(sandbox=sandbox), root)]


def faults_as_nobody(sandbox: Sandbox) -> list[str]:
    def ask() -> list[str]:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return faults(sandbox)

    return in_child(ask)


def test_the_default_asks_nothing_that_is_not_there() -> None:
    assert faults(Sandbox()) == []


@needs_root
def test_an_ordinary_user_has_the_default_and_what_needs_no_root() -> None:
    assert faults_as_nobody(Sandbox()) == []
    assert (
        faults_as_nobody(Sandbox(lock_personality=True, landlock_read_paths=("/usr",), tcp_bind_ports=()))
        == []
    )


@needs_root
def test_what_an_ordinary_user_cannot_have_is_named_with_its_remedy() -> None:
    assert faults_as_nobody(Sandbox(private_tmp=True)) == [
        "superd.toml: services.ftp.sandbox.private_tmp = true: it takes mount_namespace: superd is not root; "
        'start superd as root, or do without: optional = ["mount_namespace"]'
    ]
    told = faults_as_nobody(Sandbox(profile=Profile.STRICT))
    assert len(told) == 4
    assert all('sandbox.profile = "strict": ' in one for one in told)
    assert faults_as_nobody(Sandbox(profile=Profile.STRICT, optional=tuple(Feature))) == []
    assert faults_as_nobody(Sandbox(no_new_privileges=False)) == [
        "superd.toml: services.ftp.sandbox.no_new_privileges = false: without it, only root can install the filters "
        "that protect the spawner; start superd as root, or write true"
    ]
    (ambient,) = faults_as_nobody(Sandbox(ambient_capabilities=("CAP_NET_RAW",)))
    assert "ambient_capabilities" in ambient and "only root can give any" in ambient


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    sandbox = Sandbox(landlock_read_paths=("/usr", "/no/such", "-/nor/this"))
    assert faults(sandbox) == [
        'superd.toml: services.ftp.sandbox.landlock_read_paths = ["/usr", "/no/such", "-/nor/this"]: '
        'no such file or folder /no/such; check it, or write "-/no/such" if it need not be there'
    ]


@needs_root
def test_limits_that_no_control_group_holds_are_a_fault() -> None:
    """Of what cgroups.py finds, whatever that is here."""
    sandbox = Sandbox(tasks_max=10)
    reason = cgroups.problem(effective(sandbox, root=False), cgroups.own_group())
    remedy = 'leave it out, or do without: optional = ["cgroup"]'
    fault = f"superd.toml: services.ftp.sandbox.tasks_max = 10: it takes cgroup: {reason}; {remedy}"
    assert faults(sandbox) == ([fault] if reason else [])


@needs_root
def test_what_is_optional_and_there_is_used() -> None:
    sandbox = Sandbox(profile=Profile.STRICT, optional=tuple(set(Feature) - {Feature.CGROUP}))
    assert lacking_features(service(sandbox=sandbox), effective(sandbox, root=False)) == frozenset()
