"""Descriptors that are kept back: nobody takes them by accident, and they are there when they are wanted."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

import pytest
from helpers.forked import in_child

from superd.acceptor.reserve import SPARE, Reserve


def take_all() -> list[int]:
    """Take descriptors until there are no more."""
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.dup(0))
    return taken


@pytest.mark.parametrize("free", [100, 500])
def test_what_is_kept_back_is_there_when_it_is_wanted(free: int) -> None:
    def counts() -> tuple[int, int, int]:
        limit = len(os.listdir("/proc/self/fd")) + free
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        reserve = Reserve()
        taken = take_all()
        assert taken
        with reserve:
            wanted = take_all()
        for descriptor in taken[:10]:
            os.close(descriptor)
        return min(SPARE, limit // 4), len(wanted), len(take_all())

    spare, wanted, again = in_child(counts)
    assert (wanted, again) == (spare, 10)
