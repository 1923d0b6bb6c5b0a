"""Limits bind the child and never the spawner that has to start the next one."""

from __future__ import annotations

import pathlib
import resource

import pytest
from helpers.forked import NOBODY, in_child, needs_root

from superd.config.model import INFINITY, ResourceLimit
from superd.kernel import linux
from superd.kernel.identity import Identity
from superd.kernel.privileges import drop_for_good
from superd.kernel.rlimits import RESOURCES, apply, raise_hard, split

SYSTEMD_NAMES = (
    "cpu fsize data stack core rss nofile as nproc memlock locks sigpending msgqueue nice rtprio rttime"
)


def _one(name: str, value: int) -> dict[str, ResourceLimit]:
    return {name: ResourceLimit(value, value)}


def test_all_of_systemds_limits_are_known_and_distinct() -> None:
    assert set(RESOURCES) == set(SYSTEMD_NAMES.split())
    assert sorted(RESOURCES.values()) == list(range(16))


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_every_limit_can_be_set(name: str) -> None:
    def child() -> tuple[int, int]:
        hard = resource.getrlimit(RESOURCES[name])[1]
        ceiling = hard if hard != resource.RLIM_INFINITY else 1 << 40
        apply({name: ResourceLimit(min(ceiling, 100), ceiling)})
        return resource.getrlimit(RESOURCES[name])[0], min(ceiling, 100)

    found, wanted = in_child(child)
    assert found == wanted


def test_what_would_bind_the_spawner_is_left_to_the_child() -> None:
    limits = {name: ResourceLimit(1000, 1000) for name in RESOURCES}
    on_spawner, on_child = split(limits)
    assert set(on_child) == {"nproc", "cpu", "as", "data"}
    assert {**on_spawner, **on_child} == limits


@pytest.mark.parametrize(("soft", "on_child"), [(64, True), (127, True), (128, False), (INFINITY, False)])
def test_few_descriptors_are_the_childs_alone(soft: int, on_child: bool) -> None:
    assert ("nofile" in split({"nofile": ResourceLimit(soft, INFINITY)})[1]) == on_child


def test_infinity_lifts_a_limit() -> None:
    def child() -> tuple[int, int]:
        apply({"core": ResourceLimit(0, INFINITY)})
        apply(_one("core", INFINITY))
        return resource.getrlimit(resource.RLIMIT_CORE)

    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("the hard limit on core files is lowered here")
    assert in_child(child) == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@needs_root
def test_infinite_descriptors_are_as_many_as_the_kernel_has() -> None:
    """RLIM_INFINITY itself is refused for RLIMIT_NOFILE, even to root."""
    most = int(pathlib.Path("/proc/sys/fs/nr_open").read_text())

    def child() -> tuple[int, int] | str:
        try:
            apply(_one("nofile", INFINITY))
        except PermissionError as error:
            return str(error.strerror)
        return resource.getrlimit(resource.RLIMIT_NOFILE)

    answer = in_child(child)
    if isinstance(answer, str):  # CAP_SYS_RESOURCE is missing here
        assert answer.startswith(f"limit_nofile = {most}: ")
    else:
        assert answer == (most, most)


@needs_root
def test_a_limit_out_of_reach_is_named() -> None:
    def child() -> str:
        apply(_one("fsize", 1000))
        drop_for_good(Identity(NOBODY, NOBODY, (), "nobody", "/", "/bin/sh"))
        try:
            apply({"fsize": ResourceLimit(1000, INFINITY)})
        except PermissionError as error:
            return str(error.strerror)
        return ""

    text = in_child(child)
    assert text.startswith("limit_fsize = 1000:infinity: ")
    assert text.endswith("(the hard limit is 1000)")


@needs_root
def test_what_was_raised_before_the_drop_can_be_set_after_it() -> None:
    if not linux.capget().effective >> 24 & 1:
        pytest.skip("CAP_SYS_RESOURCE is missing here")
    limits = {"nproc": ResourceLimit(500, 600)}

    def child() -> tuple[tuple[int, int], tuple[int, int]]:
        resource.setrlimit(resource.RLIMIT_NPROC, (50, 50))
        raise_hard(limits)
        raised = resource.getrlimit(resource.RLIMIT_NPROC)
        drop_for_good(Identity(NOBODY, NOBODY, (), "nobody", "/", "/bin/sh"))
        apply(limits)
        return raised, resource.getrlimit(resource.RLIMIT_NPROC)

    assert in_child(child) == ((50, 600), (500, 600))


def test_raising_lowers_nothing() -> None:
    def child() -> tuple[tuple[int, int], tuple[int, int]]:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise_hard(_one("nofile", 16))
        return before, resource.getrlimit(resource.RLIMIT_NOFILE)

    before, after = in_child(child)
    assert before == after
