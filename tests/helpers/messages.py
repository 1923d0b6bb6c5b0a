"""Hypothesis strategies for every message of the wire, made of the types of their fields."""

from __future__ import annotations

import socket
import typing
from enum import StrEnum
from typing import Any

import attrs
from hypothesis import strategies as st

from superd.wire.datagrams import Deliver
from superd.wire.messages import MAX_BATCH, Connections, Ended, Failed, Known, Peer, Report, Started

SEQUENCE = st.integers(0, 2**64 - 1)
PID = st.integers(1, 2**31 - 1)
ID32 = st.integers(0, 2**32 - 1)
PORT = st.integers(0, 65535)
SECONDS = st.floats(0, 1e12)

TEXT = st.binary(max_size=24).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
"""As the file system gives it: any bytes."""

_SCALARS: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**64),
    float: st.floats(allow_nan=False),
    str: TEXT,
    bool: st.booleans(),
}


def _inet(family: int, size: int) -> st.SearchStrategy[Peer]:
    packed = st.binary(min_size=size, max_size=size)
    return st.builds(
        Peer,
        st.just(family),
        remote=packed,
        remote_port=PORT,
        local=packed,
        local_port=PORT,
        scope=ID32,
        datagram=st.booleans(),
    )


PEERS = st.one_of(
    _inet(socket.AF_INET, 4),
    _inet(socket.AF_INET6, 16),
    st.builds(Peer, st.just(int(socket.AF_UNIX)), pid=ID32, uid=ID32, gid=ID32, datagram=st.booleans()),
)
BATCHES = st.lists(st.tuples(SEQUENCE, PEERS), max_size=MAX_BATCH).map(tuple)
EVENTS = st.one_of(
    st.builds(Started, SEQUENCE, PID, SECONDS),
    st.builds(Failed, SEQUENCE, st.integers(1, 4095), SECONDS),
    st.builds(Ended, SEQUENCE, PID, st.integers(0, 65535), SECONDS, SEQUENCE, SECONDS, SECONDS),
)

_STRUCTS: dict[type, st.SearchStrategy[Any]] = {
    Connections: st.builds(Connections, BATCHES),
    Known: st.builds(Known, BATCHES),
    Report: st.builds(Report, SEQUENCE, st.lists(EVENTS, max_size=40).map(tuple)),
    Deliver: st.builds(Deliver, SEQUENCE, st.binary(max_size=100)),
}


def messages(cls: type) -> st.SearchStrategy[Any]:
    """Any message of a class."""
    return _STRUCTS[cls] if cls in _STRUCTS else _of(cls)


def _of(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _SCALARS:
        return _SCALARS[kind]
    if typing.get_origin(kind) is tuple:
        return st.lists(_of(typing.get_args(kind)[0]), max_size=4).map(tuple)
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    hints = typing.get_type_hints(kind)
    return st.builds(kind, *(_of(hints[item.name]) for item in attrs.fields(kind)))


def descriptors_of(message: object) -> int:
    """How many descriptors travel with a message: one a connection, else none that must."""
    return len(message.batch) if isinstance(message, Connections) else 0
