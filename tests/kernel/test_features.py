"""What this machine lacks is found out by trying, in a process that is gone afterwards."""

from __future__ import annotations

import errno

import pytest
from kernel_child import in_child

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
