"""A piece of a test in a process of its own, where it may change limits, signals, users and descriptors."""

from __future__ import annotations

import gc
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: changes users")


def in_child(function: Callable[[], T]) -> T:
    """Return what ``function`` returns in a forked child; an exception there fails the test here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _answer(function, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with wait status {status}"
    succeeded, result = pickle.loads(raw)
    assert succeeded, result
    return result  # type: ignore[no-any-return]  # whatever the function returned


def _answer(function: Callable[[], object], writer: int) -> None:
    answer: tuple[bool, object]
    try:
        answer = (True, function())
    except BaseException:  # noqa: BLE001 - whatever it is, the test itself reports it
        answer = (False, traceback.format_exc())
    with os.fdopen(writer, "wb") as pipe:
        pickle.dump(answer, pipe)
    os._exit(0)


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are their owner's alone, and stay so."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def ended(pid: int) -> None:
    """Wait until a child has ended, and leave it to be reaped."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def descriptors() -> set[int]:
    """The descriptors that this process has open, but for those of objects that nobody has any more."""
    gc.collect()  # else that of an earlier test may close them between two looks
    found = {int(name) for name in os.listdir("/proc/self/fd")}
    return {descriptor for descriptor in found if _is_open(descriptor)}  # the listing's own is closed by now


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
