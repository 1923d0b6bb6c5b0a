"""The table of messages: which there are, who may send them to whom, when, and how much at the most.

What is not here does not exist; the receiver ends a sender who tries. Each request of an acceptor that was
taken over by an attacker is safe by itself, since it names a service that the administrator configured:

* it can have a spawner started for a service, which the first connection does anyway, or have one ended or
  replaced, which delays that service;
* it can have the configuration read again, from the file the administrator wrote, or superd stopped: what the
  administrator's ``superctl`` does through it; an outage, not a privilege;
* it can have a few words kept for the next acceptor, so many for each service, which nobody else reads;
* it can have a socket opened that is bound where a UDP listener of a nowait service is, which it holds anyway;
* it can have the master, which owns raw sockets, send any datagram that is addressed to such a listener and comes
  from the address that a socket bound there is connected to. Both addresses are the kernel's word, none is the
  message's, and the packet never leaves the machine: its destination is an address of the machine, and it has no
  hops left. Whatever that listener hears the acceptor reads, and passes on as it likes; so it could have made up
  the same datagram without asking.

A spawner may tell the master that it is ready, once, and why it ends, which ends it. That its handler cannot be
imported switches off its own service, of which it is the only user.

A broker may ask what a process executes whose pidfd it holds. The answer is what it writes into the log, and what
grants compare. A stolen broker could bind any port without asking, and learns here nothing but which programs run.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from superd.wire.datagrams import Deliver, PeerSocket, PeerSocketWanted
from superd.wire.grants import GrantsUp, Program, ProgramWanted
from superd.wire.handlers import HandlerFailed
from superd.wire.messages import (
    MAX_BATCH,
    Connections,
    DumpState,
    Hello,
    Kill,
    Known,
    ListenerDown,
    ListenerUp,
    Output,
    Ping,
    Pong,
    Ready,
    ReloadResult,
    ReloadWanted,
    Report,
    Retire,
    Serve,
    ServiceDown,
    ServiceFaulty,
    ServiceUp,
    Settings,
    SpawnerDown,
    SpawnerFailed,
    SpawnerIdle,
    SpawnerReady,
    SpawnerStuck,
    SpawnerUp,
    SpawnerWanted,
    StartInstance,
    Stop,
    Stopped,
    StopWanted,
    Told,
    Welcome,
)
from superd.wire.policies import HostsFiles, Keep, ServicePolicy


class Role(StrEnum):
    """The four kinds of processes of superd."""

    MASTER = "master"
    ACCEPTOR = "acceptor"
    SPAWNER = "spawner"
    BROKER = "broker"


class Phase(StrEnum):
    """Where a link stands; the table says which message belongs to which."""

    STARTING = "starting"
    SERVING = "serving"


KIB = 1024


@frozen
class Row:
    """One kind of message: its number on the wire, who sends it to whom, when, and how much at the most."""

    kind: int
    message: type
    sender: Role
    receiver: Role
    phases: frozenset[Phase] = frozenset(Phase)
    max_bytes: int = KIB
    max_descriptors: int = 0


_M, _A, _S, _B = Role.MASTER, Role.ACCEPTOR, Role.SPAWNER, Role.BROKER
_STARTING = frozenset({Phase.STARTING})
_SERVING = frozenset({Phase.SERVING})

TABLE: tuple[Row, ...] = (
    Row(1, Settings, _M, _A, max_bytes=64 * KIB, max_descriptors=2),
    Row(2, ServiceUp, _M, _A, max_bytes=1024 * KIB, max_descriptors=1),
    Row(3, ListenerUp, _M, _A, max_descriptors=1),
    Row(4, ListenerDown, _M, _A, max_bytes=4 * KIB),
    Row(5, ServiceDown, _M, _A),
    Row(6, ServiceFaulty, _M, _A, max_bytes=1024 * KIB),
    Row(7, SpawnerUp, _M, _A, max_descriptors=1),
    Row(8, SpawnerDown, _M, _A, max_bytes=4 * KIB),
    Row(9, Serve, _M, _A),
    Row(10, ReloadResult, _M, _A, max_bytes=4096 * KIB),
    Row(11, Stop, _M, _A),
    Row(12, DumpState, _M, _A),
    Row(13, Ping, _M, _A),
    Row(14, PeerSocket, _M, _A, max_descriptors=1),
    Row(15, ServicePolicy, _M, _A, max_bytes=6144 * KIB),
    Row(16, HostsFiles, _M, _A, max_bytes=8192 * KIB),
    Row(20, Ready, _A, _M, _STARTING),
    Row(21, SpawnerWanted, _A, _M, _SERVING),
    Row(22, SpawnerIdle, _A, _M, _SERVING),
    Row(23, SpawnerStuck, _A, _M, _SERVING),
    Row(24, ReloadWanted, _A, _M, _SERVING),
    Row(25, StopWanted, _A, _M, _SERVING),
    Row(26, Stopped, _A, _M, _SERVING),
    Row(27, Pong, _A, _M),
    Row(19, Keep, _A, _M, _SERVING, max_bytes=64 * KIB),
    Row(28, PeerSocketWanted, _A, _M, _SERVING),
    Row(29, Deliver, _A, _M, _SERVING, max_bytes=64 * KIB + 16, max_descriptors=1),
    Row(30, SpawnerReady, _S, _M, _STARTING),
    Row(31, SpawnerFailed, _S, _M, max_bytes=4 * KIB),
    Row(33, HandlerFailed, _S, _M, _STARTING, max_bytes=16 * KIB),
    Row(32, Retire, _M, _S),
    Row(40, Hello, _A, _S),
    Row(41, Connections, _A, _S, max_bytes=4 * KIB, max_descriptors=MAX_BATCH),
    Row(42, StartInstance, _A, _S),
    Row(43, Kill, _A, _S),
    Row(44, Ping, _A, _S),
    Row(50, Welcome, _S, _A),
    Row(55, Told, _S, _A),
    Row(54, Known, _S, _A, max_bytes=4 * KIB),
    Row(51, Report, _S, _A, max_bytes=16 * KIB),
    Row(52, Output, _S, _A, max_bytes=60 * KIB),
    Row(53, Pong, _S, _A),
    Row(60, GrantsUp, _M, _B, max_bytes=16384 * KIB, max_descriptors=2),
    Row(61, Program, _M, _B, max_bytes=8 * KIB),
    Row(62, ProgramWanted, _B, _M, max_descriptors=1),
)


def rows(sender: Role, receiver: Role) -> tuple[Row, ...]:
    """The part of the table that holds for one direction."""
    return tuple(row for row in TABLE if row.sender is sender and row.receiver is receiver)
