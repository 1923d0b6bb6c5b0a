"""Tests on trio's own clock, which jumps ahead whenever everybody waits: no test sleeps."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

import trio
import trio.testing

P = ParamSpec("P")


def clocked(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test by trio, with a clock that jumps."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(functools.partial(test, *args, **kwargs), clock=clock)

    return run
