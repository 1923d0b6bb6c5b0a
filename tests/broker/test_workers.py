"""Workers: what one user makes last holds up nobody else."""

from __future__ import annotations

import threading

import pytest

from superd.broker import workers
from superd.broker.workers import CLOSER, Workers

PATIENCE_S = 30.0


def test_a_user_who_is_stuck_delays_himself_alone() -> None:
    crew, gate, done, own = Workers(), threading.Event(), threading.Event(), threading.Event()
    assert crew.submit(1, lambda: gate.wait(PATIENCE_S))
    assert crew.submit(1, own.set)
    assert crew.submit(2, done.set)
    assert done.wait(PATIENCE_S)
    assert not own.is_set()
    gate.set()
    assert own.wait(PATIENCE_S)


def test_there_are_so_many_and_the_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_WORKERS", 2)
    crew, gate, closed = Workers(), threading.Event(), threading.Event()
    for uid in (1, 2):
        assert crew.submit(uid, lambda: gate.wait(PATIENCE_S))
    assert not crew.submit(3, closed.set)
    assert crew.submit(CLOSER, closed.set)
    assert closed.wait(PATIENCE_S)
    assert crew.busy
    gate.set()
