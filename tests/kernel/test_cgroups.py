"""Control groups: what is written where, in a folder that stands for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from superd.config.sandbox import Sandbox, effective
from superd.kernel import cgroups

LIMITS = effective(Sandbox(memory_max=64 << 20, tasks_max=12, cpu_quota=150), root=False)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A group below the topmost, with all controllers and two processes in it."""
    (tmp_path / "cgroup.controllers").write_text("cpu io memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("\n")
    (tmp_path / "cgroup.type").write_text("domain\n")
    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    return tmp_path


def test_superd_makes_way_and_hands_the_controllers_down(base: Path) -> None:
    cgroups.prepare(LIMITS, str(base))
    # each is written by itself; the kernel adds
    assert (base / "superd-itself/cgroup.procs").read_text() == "8"
    assert (base / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_only_what_is_asked_for_is_handed_down(base: Path) -> None:
    (base / "cgroup.subtree_control").write_text("cpu\n")
    cgroups.prepare(effective(Sandbox(tasks_max=9, cpu_quota=10), root=False), str(base))
    assert (base / "cgroup.subtree_control").read_text() == "+pids"


def test_what_is_handed_down_already_moves_nobody(base: Path) -> None:
    (base / "cgroup.subtree_control").write_text("cpu memory pids\n")
    cgroups.prepare(LIMITS, str(base))
    assert not (base / "superd-itself").exists()


def test_the_topmost_group_keeps_its_processes(base: Path) -> None:
    (base / "cgroup.type").unlink()
    cgroups.prepare(LIMITS, str(base))
    assert not (base / "superd-itself").exists()


def test_a_spawner_moves_nobody(base: Path) -> None:
    """In a pid namespace of its own it would see no number but its own, and move nobody else."""
    cgroups.enter("ftp", LIMITS, str(base))
    assert not (base / "superd-itself").exists()
    assert (base / "cgroup.subtree_control").read_text() == "\n"


def test_to_look_changes_nothing(base: Path) -> None:
    before = sorted(base.iterdir())
    assert cgroups.problem(LIMITS, str(base)) == ""
    assert sorted(base.iterdir()) == before


def test_a_spawner_enters_under_its_limits(base: Path) -> None:
    cgroups.enter("ftp", LIMITS, str(base))
    group = base / "service-ftp"
    assert (group / "memory.max").read_text() == str(64 << 20)
    assert (group / "pids.max").read_text() == "12"
    assert (group / "cpu.max").read_text() == "150000 100000"
    assert (group / "cgroup.procs").read_text() == "0"


def test_what_is_lacking_is_named(base: Path) -> None:
    (base / "cgroup.controllers").write_text("cpu io\n")
    assert cgroups.problem(LIMITS, str(base)) == f"the control group {base} has no controller memory pids"
    (base / "cgroup.controllers").unlink()
    assert (
        cgroups.problem(LIMITS, str(base))
        == f"the control group {base} cannot be read (No such file or directory)"
    )


def test_a_limit_is_lifted(base: Path) -> None:
    cgroups.enter("ftp", LIMITS, str(base))
    cgroups.enter("ftp", effective(Sandbox(tasks_max=12), root=False), str(base))
    assert (base / "service-ftp/memory.max").read_text() == "max"
    assert (base / "service-ftp/pids.max").read_text() == "12"


def test_a_machine_without_control_groups_of_version_2() -> None:
    assert cgroups.problem(LIMITS, "") == "no control group of version 2 is mounted"
