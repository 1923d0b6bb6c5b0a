"""The master's answers to the acceptor's requests, one function each.

A request names a service by its number. A number that is no service's (any more) is answered by nothing: the
acceptor may have asked while the service was going. Descriptors that came with a request are closed once it is
answered. ``wire/table.py`` argues why each request is safe.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from superd.errors import WireError
from superd.kernel.peersockets import deliver, is_member
from superd.log import EventName, Level
from superd.master.listeners import open_peer, sockets_with_peers
from superd.wire.datagrams import Deliver, PeerSocket, PeerSocketWanted
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
from superd.wire.policies import Keep
from superd.wire.table import Phase

if TYPE_CHECKING:
    from superd.master.main import Master


def answer_ready(master: Master, _: Ready, __: list[int]) -> None:
    """The acceptor serves: the first time, superd is up."""
    master.acceptor.set_phase(Phase.SERVING)
    master.now_ready()


def answer_spawner_wanted(master: Master, request: SpawnerWanted, _: list[int]) -> None:
    managed = master.services.get(request.service)
    if managed is not None and not master.stopping:
        master.spawners.start(managed)


def answer_spawner_idle(master: Master, request: SpawnerIdle, _: list[int]) -> None:
    managed = master.services.get(request.service)
    spawner = managed.spawners.get(request.spawner) if managed else None
    if managed is not None and spawner is not None:
        master.spawners.retire_one(managed, spawner)


def answer_spawner_stuck(master: Master, request: SpawnerStuck, _: list[int]) -> None:
    managed = master.find(request.service)
    if managed is not None:
        master.spawners.replace(managed, request.spawner, "did not answer")


def answer_reload_wanted(master: Master, request: ReloadWanted, _: list[int]) -> None:
    ok, lines = master.reload()
    master.tell(ReloadResult(request.request, ok, tuple(lines)))


def answer_stop_wanted(master: Master, request: StopWanted, _: list[int]) -> None:
    master.stop(children=request.children)


def answer_keep(master: Master, request: Keep, _: list[int]) -> None:
    managed = master.services.get(request.service)
    if managed is not None:
        managed.note = request.note


def answer_stopped(master: Master, _: Stopped, __: list[int]) -> None:
    if master.stopping:
        master.finish()


def answer_pong(master: Master, pong: Pong, _: list[int]) -> None:
    master.acceptor.answered(pong.number)


def answer_peer_socket_wanted(master: Master, request: PeerSocketWanted, _: list[int]) -> None:
    """One more socket where a UDP listener is. Who it is for only the acceptor knows."""
    managed = master.services.get(request.service)
    if managed is None or master.stopping:
        return
    reason, place = "", request.listener
    try:
        if not 0 <= place < len(managed.listeners):
            raise OSError(0, "there is no such listener")
        sock = open_peer(managed.listeners[place], managed.service)
    except OSError as error:
        reason = error.strerror or str(error)
        master.tell(PeerSocket(request.service, place, reason))
        return
    with sock:
        master.tell(PeerSocket(request.service, place, reason), [sock.fileno()])


def answer_deliver(master: Master, request: Deliver, descriptors: list[int]) -> None:
    """A datagram for a peer's own socket: sent only where that socket stands beside a listener of its service.

    Raises:
        WireError: no socket came with it.
    """
    if len(descriptors) != 1:
        raise WireError("Deliver without its socket")
    managed = master.services.get(request.service)
    if managed is None:
        return
    try:
        with socket.socket(fileno=os.dup(descriptors[0])) as sock:
            if is_member(sock, sockets_with_peers(managed.listeners, managed.service)):
                deliver(sock, request.payload)
    except (OSError, ValueError) as error:
        master.log.log(
            EventName.WARNING,
            Level.WARNING,
            f"a peer's first datagram could not be delivered: {error}",
            service=managed.service.name,
        )
