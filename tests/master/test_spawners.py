"""Spawners that do what they must not: the master notes it, and goes on."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import NoReturn

import pytest
from helpers.forked import descriptors, ended, in_child
from helpers.services import service

from superd.kernel.birth import Birth
from superd.kernel.identity import resolve
from superd.master.loop import Loop
from superd.master.services import Managed
from superd.master.spawners import Spawners
from superd.wire.codec import Direction
from superd.wire.messages import SpawnerDown
from superd.wire.table import Role

from .conftest import Told

TO_ACCEPTOR = Direction.of(Role.MASTER, Role.ACCEPTOR)


def ready_twice(birth: Birth) -> NoReturn:
    for _ in range(2):
        birth.master.send(b"\0\x1e[]")  # SpawnerReady
    os._exit(0)


def shouts(birth: Birth) -> NoReturn:
    birth.master.send(b"\0what is this?")
    os._exit(0)


def complains_at_length(birth: Birth) -> NoReturn:
    birth.master.send(b'\0\x1f["' + b"\\u0001" * 680 + b'"]')  # SpawnerFailed, as long as it may be
    os._exit(1)


def dies_of_a_real_time_signal(_: Birth) -> NoReturn:
    os.kill(os.getpid(), 40)
    os._exit(0)


@pytest.mark.parametrize(
    ("life", "reason"),
    [
        (ready_twice, "broke the rules of the wire: SpawnerReady while serving"),
        (shouts, "broke the rules of the wire: message kind 77"),
        (complains_at_length, "\1" * 600),
        (dies_of_a_real_time_signal, "was killed by SIG40"),
    ],
)
def test_the_end_of_a_spawner_that_broke_the_rules_is_told(
    life: Callable[[Birth], NoReturn], reason: str
) -> None:
    """It is dead and reaped when its last words are read: its pid may be another's, so no signal goes there."""
    told, warned = Told(), list[str]()
    spawners = Spawners(Loop(), life, {}, 1024, told, lambda _, text: warned.append(text))
    managed = Managed(1, service(), identity=resolve(""))
    managed.open_work()
    spawners.start(managed)
    (spawner,) = managed.spawners.values()
    ended(spawner.pid)
    assert spawners.ended(*os.waitpid(spawner.pid, 0))
    assert told.take()[-1] == SpawnerDown(1, 1, reason)
    assert TO_ACCEPTOR.encode(SpawnerDown(1, 1, reason)), "it fits its message"
    assert len(warned) == 1 and reason in warned[0]
    assert not managed.spawners and not len(spawners)
    managed.close_work()


@pytest.mark.parametrize("room", [0, 2, 3])
def test_without_descriptors_for_a_spawner_the_acceptor_is_told_that_there_is_none(room: int) -> None:
    """``room`` for one link, but not for both."""

    def run() -> tuple[list[object], list[str], set[int]]:
        told, warned = Told(), list[str]()
        spawners = Spawners(Loop(), shouts, {}, 1024, told, lambda _, text: warned.append(text))
        managed = Managed(1, service(), identity=resolve(""))
        managed.open_work()
        before = descriptors()
        limit = max(before) + 1 + room
        while os.open("/dev/null", os.O_RDONLY) < max(before):
            pass  # fill the gaps
        filled = descriptors()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        spawners.start(managed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return told.take(), warned, descriptors() - filled

    told, warned, left = in_child(run)
    assert told == [SpawnerDown(1, 1, "cannot be started")]
    assert warned == ["cannot start a spawner: Too many open files"]
    assert not left
