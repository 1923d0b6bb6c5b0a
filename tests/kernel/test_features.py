"""What this machine lacks is found out by trying, in a process that is gone afterwards."""

from __future__ import annotations

import errno
import os
import resource

import pytest
from helpers.forked import NOBODY, in_child, needs_root

from superd.config.sandbox import Feature
from superd.kernel import features, linux, seccomp
from superd.kernel.seccomp import Filter, Rule


def test_filters_are_there_and_none_is_left() -> None:
    def child() -> tuple[str, bool]:
        features._tried.cache_clear()
        return features.lacks(Feature.SECCOMP), linux.get_no_new_privs()

    assert in_child(child) == ("", False)


def test_a_kernel_that_refuses_filters_is_told() -> None:
    """As that of a container may, whose own filter denies to make others."""

    def child() -> str:
        features._tried.cache_clear()
        linux.set_no_new_privs()
        refused = ("seccomp", seccomp.fail_with(errno.EPERM)), ("prctl", seccomp.fail_with(errno.EPERM))
        seccomp.load(Filter(seccomp.ALLOW, tuple(Rule(name, action) for name, action in refused)))
        return features.lacks(Feature.SECCOMP)

    assert "Operation not permitted" in in_child(child)


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_SONAME", "libseccomp.so.missing")

    def child() -> str:
        features._tried.cache_clear()
        seccomp._library.cache_clear()
        return features.lacks(Feature.SECCOMP)

    assert "install the package libseccomp2" in in_child(child)


@needs_root
def test_what_could_not_be_tried_is_not_taken_for_lacking() -> None:
    """A user that may start no more processes, for a moment."""

    def child() -> tuple[int, str]:
        features._tried.cache_clear()
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(OSError) as found:
            features.lacks(Feature.SECCOMP)
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
        return found.value.errno or 0, features.lacks(Feature.SECCOMP)

    assert in_child(child) == (errno.EAGAIN, "")


@pytest.mark.parametrize("number", sorted(features.PASSING))
def test_an_attempt_that_fails_for_the_moment_says_nothing(number: int) -> None:
    def attempt() -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError) as found:
        features._in_a_child(attempt)
    assert found.value.errno == number


def test_a_kernel_that_makes_no_more_of_them_lacks_them() -> None:
    def attempt() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert features._in_a_child(attempt) == "No space left on device"
