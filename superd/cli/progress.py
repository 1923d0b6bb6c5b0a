"""How far a long piece of work is, on standard error where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Done = Callable[[int], None]
"""Told how much is done by now."""

T = TypeVar("T")
_EVERY = 4096  # items, between two reports


def _nobody(_done: int) -> None:
    """Where nobody watches."""


@contextmanager
def progress(stage: str, total: int | None) -> Iterator[Done]:
    """Show a bar, a percentage and the time that is left, and take them away at the end.

    Args:
        stage: what is being done, in a word.
        total: how much there is to do; None when nobody knows.
    """
    if not sys.stderr.isatty():
        yield _nobody
        return
    from rich.console import Console  # only here: it takes longer to load than most commands run
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(stage, total=total)
        yield lambda done: bars.update(bar, completed=done)


def counted(items: Iterable[T], done: Done) -> Iterable[T]:
    """The same items; how many went by is told now and then."""
    return items if done is _nobody else _counted(items, done)


def _counted(items: Iterable[T], done: Done) -> Iterator[T]:
    for number, item in enumerate(items):
        if not number % _EVERY:
            done(number)
        yield item
