"""What the commands do to the process they run in stays with one test; and a log for those that read one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .logs import busy_log


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """superd blocks signals until it has handlers for them; a test that ends it before that has them blocked."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The wall shows UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """``busy_log``, as a file."""
    path = tmp_path / "superd.log"
    path.write_bytes(busy_log())
    return path
