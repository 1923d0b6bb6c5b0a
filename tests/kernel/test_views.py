"""Which steps a sandbox takes in the file system, and in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from superd.config.sandbox import Profile, ProtectHome, ProtectProc, ProtectSystem, Sandbox, effective
from superd.kernel.views import Do, Step, steps


def planned(sandbox: Sandbox) -> list[Step]:
    return steps(effective(sandbox, root=False))


def done(sandbox: Sandbox) -> dict[str, Do]:
    """What is said of each path last."""
    return {step.path: step.do for step in planned(sandbox)}


def test_nothing_is_mounted_for_a_daemon_of_today() -> None:
    assert planned(Sandbox()) == []
    assert planned(Sandbox(profile=Profile.NONE)) == []


def test_what_is_said_of_a_folder_is_done_before_what_is_said_of_something_inside() -> None:
    order = [step.path for step in planned(Sandbox(profile=Profile.STRICT))]
    assert order[0] == "/"
    assert order.index("/proc") < order.index("/proc/sys")
    assert order.index("/sys") < order.index("/sys/fs/cgroup")


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), max_size=8))
def test_longer_paths_come_later_whatever_the_key(parts: list[list[str]]) -> None:
    paths = tuple("/" + "/".join(part) for part in parts)
    half = len(paths) // 2
    order = planned(Sandbox(read_only_paths=paths[:half], read_write_paths=paths[half:]))
    depths = [step.path.count("/") for step in order]
    assert depths == sorted(depths)
    assert sorted(step.path for step in order) == sorted(paths)


def test_of_two_words_about_one_path_the_written_one_counts() -> None:
    assert (
        done(Sandbox(protect_system=ProtectSystem.FULL, read_write_paths=("/etc",)))["/etc"] is Do.READ_WRITE
    )
    assert done(Sandbox(protect_home=ProtectHome.YES, read_only_paths=("/root",)))["/root"] is Do.READ_ONLY
    assert done(Sandbox(private_tmp=True, inaccessible_paths=("/tmp",)))["/tmp"] is Do.INACCESSIBLE


def test_strict_leaves_what_has_rules_of_its_own() -> None:
    strict = done(Sandbox(protect_system=ProtectSystem.STRICT))
    assert strict["/"] is Do.READ_ONLY
    for path in ("/dev", "/proc", "/sys", "/root"):
        assert strict[path] is Do.READ_WRITE


def test_a_pid_namespace_has_its_own_proc() -> None:
    (step,) = planned(Sandbox(private_pids=True))
    assert (step.do, step.path, step.detail) == (Do.PROC, "/proc", "")
    (step,) = planned(Sandbox(protect_proc=ProtectProc.INVISIBLE))
    assert (step.do, step.detail) == (Do.PROC, "2")


def test_prefixes() -> None:
    first, second, third = planned(Sandbox(read_only_paths=("-/a", "+/b", "-+/c/")))
    assert (first.path, first.optional, first.inside) == ("/a", True, False)
    assert (second.path, second.optional, second.inside) == ("/b", False, True)
    assert (third.path, third.optional, third.inside) == ("/c", True, True)
