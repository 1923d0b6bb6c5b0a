"""Messages to bytes and back; pure. Whatever does not fit the table exactly is a ``WireError``.

The messages of the hot path (``Connections``, ``Report``) and the one that carries bytes (``Deliver``) are fixed
structs; all others are a JSON list of their fields, whose types are checked against the class when they arrive.
"""

from __future__ import annotations

import json
import struct
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from socket import AF_INET, AF_INET6, AF_UNIX
from typing import Any

import attrs
from attrs import frozen

from superd.errors import WireError
from superd.wire.datagrams import MAX_DATAGRAM_BYTES, Deliver
from superd.wire.messages import (
    MAX_BATCH,
    MAX_EVENTS,
    Connections,
    Ended,
    Event,
    Failed,
    Known,
    Peer,
    Report,
    Started,
)
from superd.wire.table import Phase, Role, Row, rows

# --- checked JSON for everything that is not hot -----------------------------------------------------------

_SCALARS: Mapping[type, tuple[type, ...]] = {
    int: (int,),
    float: (float, int),
    str: (str,),
    bool: (bool,),
}


def _check(kind: Any, value: object, where: str) -> Any:
    """Return ``value`` as ``kind`` (a scalar, a word of an enumeration, ``tuple[X, ...]`` or one of our classes).

    Raises:
        WireError: it is none.
    """
    accepted = _SCALARS.get(kind)
    if accepted is not None:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise WireError(f"{where}: {type(value).__name__} where {kind.__name__} belongs")
        try:
            if isinstance(value, str):
                value.encode("utf-8", "surrogateescape")  # or whoever passes it on could not say it
            return kind(value)
        except (OverflowError, UnicodeEncodeError) as error:  # a float, of an int with hundreds of digits
            raise WireError(f"{where}: {error}") from error
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _member(kind, value, where)
    if not isinstance(value, list):
        raise WireError(f"{where}: {type(value).__name__} where a list belongs")
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(_check(item, element, where) for element in value)
    return _build(kind, value)


def _member(kind: type[StrEnum], value: object, where: str) -> StrEnum:
    members = {str(word): word for word in kind}
    found = members.get(value) if isinstance(value, str) else None
    if found is None:
        raise WireError(f"{where}: no word of {kind.__name__}")
    return found


def _build(cls: type, values: list[object]) -> Any:
    fields = _field_types(cls)
    if len(values) != len(fields):
        raise WireError(f"{cls.__name__}: {len(values)} fields where {len(fields)} belong")
    return cls(
        *(
            _check(kind, value, f"{cls.__name__}.{name}")
            for (name, kind), value in zip(fields, values, strict=True)
        )
    )


_FIELD_TYPES: dict[type, tuple[tuple[str, Any], ...]] = {}


def _field_types(cls: type) -> tuple[tuple[str, Any], ...]:
    known = _FIELD_TYPES.get(cls)
    if known is None:
        hints = typing.get_type_hints(cls)
        known = tuple((item.name, hints[item.name]) for item in attrs.fields(cls))
        _FIELD_TYPES[cls] = known
    return known


def _encode_json(message: Any) -> bytes:
    return json.dumps(attrs.astuple(message), separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _decode_json(cls: type, body: bytes) -> Any:
    try:
        values = json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"{cls.__name__}: {error}") from error
    if not isinstance(values, list) or body[-1:] != b"]":  # JSON itself allows blanks after the list
        raise WireError(f"{cls.__name__}: not a list")
    return _build(cls, values)


# --- fixed structs for the hot path, and for bytes ----------------------------------------------------------

_COUNT = struct.Struct("<H")
_CONNECTION = struct.Struct("<QBBHHI16s16s")  # id family datagram remote_port local_port scope remote local
_CREDENTIALS = struct.Struct("<III4x")  # pid uid gid, where an address would be
_ADDRESS_BYTES: Mapping[int, int] = {AF_INET: 4, AF_INET6: 16}
_UNIX = int(AF_UNIX)


def encode_connection(id_: int, peer: Peer) -> bytes:
    """One entry of ``Connections``; the acceptor joins them itself, so that a batch is encoded once."""
    remote = _CREDENTIALS.pack(peer.pid, peer.uid, peer.gid) if peer.family == _UNIX else peer.remote
    return _CONNECTION.pack(
        id_, peer.family, peer.datagram, peer.remote_port, peer.local_port, peer.scope, remote, peer.local
    )


def join_connections(entries: list[bytes]) -> bytes:
    """The body of ``Connections`` out of what ``encode_connection`` gave."""
    return _COUNT.pack(len(entries)) + b"".join(entries)


def _encode_connections(message: Connections | Known) -> bytes:
    return join_connections([encode_connection(id_, peer) for id_, peer in message.batch])


def _decode_connections(cls: type, body: bytes) -> Any:
    if len(body) < _COUNT.size:
        raise WireError("Connections: too short")
    count = _COUNT.unpack_from(body)[0]
    return cls(tuple(map(_decode_connection, _exact(body, _COUNT.size, _CONNECTION, count, MAX_BATCH))))


def _decode_connection(entry: tuple[Any, ...]) -> tuple[int, Peer]:
    id_, family, datagram, remote_port, local_port, scope, remote, local = entry
    size = _ADDRESS_BYTES.get(family)
    if size is not None:
        peer = Peer(
            family, remote[:size], remote_port, local[:size], local_port, scope, datagram=bool(datagram)
        )
        return id_, peer
    if family != _UNIX:
        raise WireError(f"Connections: address family {family}")
    pid, uid, gid = _CREDENTIALS.unpack(remote)
    return id_, Peer(family, pid=pid, uid=uid, gid=gid, datagram=bool(datagram))


_NUMBER = struct.Struct("<QH")
_EVENT = struct.Struct("<BQiidQdd")  # kind id pid status cpu max_rss started ended
_STARTED, _FAILED, _ENDED = 1, 2, 3


def _encode_event(event: Event) -> bytes:
    if isinstance(event, Started):
        return _EVENT.pack(_STARTED, event.id, event.pid, 0, 0.0, 0, event.started, 0.0)
    if isinstance(event, Failed):
        return _EVENT.pack(_FAILED, event.id, 0, event.errno, 0.0, 0, event.started, 0.0)
    return _EVENT.pack(
        _ENDED, event.id, event.pid, event.status, event.cpu, event.max_rss, event.started, event.ended
    )


def _decode_event(entry: tuple[Any, ...]) -> Event:
    kind, id_, pid, status, cpu, max_rss, started, ended = entry
    if kind == _STARTED:
        return Started(id_, pid, started)
    if kind == _ENDED:
        return Ended(id_, pid, status, cpu, max_rss, started, ended)
    if kind == _FAILED:
        return Failed(id_, status, started)
    raise WireError(f"Report: event kind {kind}")


def _encode_report(message: Report) -> bytes:
    return _NUMBER.pack(message.number, len(message.events)) + b"".join(map(_encode_event, message.events))


def _decode_report(_cls: type, body: bytes) -> Report:
    if len(body) < _NUMBER.size:
        raise WireError("Report: too short")
    number, count = _NUMBER.unpack_from(body)
    entries = _exact(body, _NUMBER.size, _EVENT, count, MAX_EVENTS)
    return Report(number, tuple(map(_decode_event, entries)))


_DATAGRAM = struct.Struct("<QI")  # service, length of what follows


def _encode_deliver(message: Deliver) -> bytes:
    return _DATAGRAM.pack(message.service, len(message.payload)) + message.payload


def _decode_deliver(_cls: type, body: bytes) -> Deliver:
    if len(body) < _DATAGRAM.size:
        raise WireError("Deliver: too short")
    service, length = _DATAGRAM.unpack_from(body)
    if length > MAX_DATAGRAM_BYTES or len(body) != _DATAGRAM.size + length:
        raise WireError(f"Deliver: a datagram of {length} bytes in {len(body)}")
    return Deliver(service, body[_DATAGRAM.size :])


def _exact(
    body: bytes, offset: int, entry: struct.Struct, count: int, most: int
) -> typing.Iterator[tuple[Any, ...]]:
    """``count`` entries after ``offset``: not one more than ``most``, not a byte more or less than they need."""
    if count > most or len(body) != offset + count * entry.size:
        raise WireError(f"{count} entries in {len(body)} bytes")
    return entry.iter_unpack(memoryview(body)[offset:])


# --- one direction of a link -------------------------------------------------------------------------------

_HOT: Mapping[type, tuple[Callable[[Any], bytes], Callable[[type, bytes], Any]]] = types.MappingProxyType(
    {
        Connections: (_encode_connections, _decode_connections),
        Known: (_encode_connections, _decode_connections),
        Report: (_encode_report, _decode_report),
        Deliver: (_encode_deliver, _decode_deliver),
    }
)
_COLD = (_encode_json, _decode_json)


@frozen
class Direction:
    """What may be said from one role to another: the codec of one direction of a link."""

    by_kind: Mapping[int, Row]
    by_message: Mapping[type, Row]

    @classmethod
    def of(cls, sender: Role, receiver: Role) -> Direction:
        table = rows(sender, receiver)
        return cls({row.kind: row for row in table}, {row.message: row for row in table})

    def encode(self, message: object) -> bytes:
        """The kind's byte and the body.

        Raises:
            WireError: the table does not let this side say that, or not at this length.
        """
        row = self.by_message.get(type(message))
        if row is None:
            raise WireError(f"{type(message).__name__} is not for this direction")
        encode, _ = _HOT.get(row.message, _COLD)
        body = encode(message)
        if len(body) > row.max_bytes:
            raise WireError(f"{row.message.__name__}: {len(body)} bytes, more than {row.max_bytes}")
        return bytes((row.kind,)) + body

    def decode(self, payload: bytes, descriptors: int, phase: Phase = Phase.SERVING) -> Any:
        """The message in ``payload``, which came with that many descriptors.

        Raises:
            WireError: unknown kind, wrong phase, too long, wrong fields, or too many descriptors.
        """
        row = self.by_kind.get(payload[0]) if payload else None
        if row is None:
            raise WireError(f"message kind {payload[:1].hex() or 'missing'}")
        if phase not in row.phases:
            raise WireError(f"{row.message.__name__} while {phase}")
        if len(payload) - 1 > row.max_bytes:
            raise WireError(f"{row.message.__name__}: {len(payload) - 1} bytes")
        if descriptors > row.max_descriptors:
            raise WireError(f"{row.message.__name__}: {descriptors} descriptors")
        _, decode = _HOT.get(row.message, _COLD)
        message = decode(row.message, payload[1:])
        if row.message is Connections and len(message.batch) != descriptors:
            raise WireError(f"Connections: {descriptors} descriptors for {len(message.batch)}")
        return message
