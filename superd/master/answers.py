"""The master's answers to the acceptor's requests, one function each.

A request names a service by its number. A number that is no service's (any more) is answered by nothing: the
acceptor may have asked while the service was going. ``wire/messages.py`` argues why each request is safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from superd.wire.messages import (
    Pong,
    Ready,
    ReloadResult,
    ReloadWanted,
    SpawnerIdle,
    SpawnerStuck,
    SpawnerWanted,
    Stopped,
    StopWanted,
)
from superd.wire.table import Phase

if TYPE_CHECKING:
    from superd.master.main import Master


def answer_ready(master: Master, _: Ready) -> None:
    """The acceptor serves: the first time, superd is up."""
    master.acceptor.set_phase(Phase.SERVING)
    master.now_ready()


def answer_spawner_wanted(master: Master, request: SpawnerWanted) -> None:
    managed = master.services.get(request.service)
    if managed is not None and not master.stopping:
        master.spawners.start(managed)


def answer_spawner_idle(master: Master, request: SpawnerIdle) -> None:
    managed = master.services.get(request.service)
    spawner = managed.spawners.get(request.spawner) if managed else None
    if spawner is not None:
        master.spawners.retire_one(spawner)


def answer_spawner_stuck(master: Master, request: SpawnerStuck) -> None:
    managed = master.find(request.service)
    if managed is not None:
        master.spawners.replace(managed, request.spawner, "did not answer")


def answer_reload_wanted(master: Master, request: ReloadWanted) -> None:
    ok, lines = master.reload()
    master.tell(ReloadResult(request.request, ok, tuple(lines)))


def answer_stop_wanted(master: Master, request: StopWanted) -> None:
    master.stop(children=request.children)


def answer_stopped(master: Master, _: Stopped) -> None:
    if master.stopping:
        master.finish()


def answer_pong(master: Master, pong: Pong) -> None:
    master.acceptor.answered(pong.number)
