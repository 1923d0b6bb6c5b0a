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


@pytest.mark.parametrize(("limit", "spare"), [(500, SPARE), (100, 25)])
def test_what_is_kept_back_is_there_when_it_is_wanted(limit: int, spare: int) -> None:
    def counts() -> tuple[int, int]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        reserve = Reserve()
        taken = take_all()
        assert taken
        with reserve:
            wanted = take_all()
        for descriptor in taken[:10]:
            os.close(descriptor)
        return len(wanted), len(take_all())

    assert in_child(counts) == (spare, 10)
