"""What the acceptor may ask of the master: the table of answers. What is not here does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from superd.master import answers
from superd.wire.datagrams import Deliver, PeerSocketWanted
from superd.wire.messages import (
    Pong,
    Ready,
    ReloadWanted,
    SpawnerIdle,
    SpawnerStuck,
    SpawnerWanted,
    Stopped,
    StopWanted,
)
from superd.wire.policies import Keep

if TYPE_CHECKING:
    from superd.master.main import Master

ANSWERS: Mapping[type, Callable[[Master, Any, list[int]], None]] = {
    Ready: answers.answer_ready,
    SpawnerWanted: answers.answer_spawner_wanted,
    SpawnerIdle: answers.answer_spawner_idle,
    SpawnerStuck: answers.answer_spawner_stuck,
    ReloadWanted: answers.answer_reload_wanted,
    StopWanted: answers.answer_stop_wanted,
    Keep: answers.answer_keep,
    Stopped: answers.answer_stopped,
    Pong: answers.answer_pong,
    PeerSocketWanted: answers.answer_peer_socket_wanted,
    Deliver: answers.answer_deliver,
}
