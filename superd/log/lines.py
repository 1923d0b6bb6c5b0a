"""Events as lines of text (logfmt) or JSON.

``connection`` and ``end`` are said once per connection: they are one f-string each, without an ``Event`` or a
mapping in between, which is several times as fast.
"""

from __future__ import annotations

from typing import Protocol

from superd.log.escape import json_string, json_text, json_value, quote, text_value
from superd.log.events import Connection, End, Event, Forwarded, ForwardEnd, Level
from superd.log.heads import Head, UtcStamp


class Lines(Protocol):
    """A layout: makes the records that a sink writes. ``now`` is in seconds since the epoch."""

    def event(self, now: float, event: Event) -> bytes:
        """Any event."""

    def connection(self, now: float, began: Connection) -> bytes:
        """The same as ``event`` for ``began.event()``, fast."""

    def end(self, now: float, ended: End) -> bytes:
        """The same as ``event`` for ``ended.event()``, fast; the times with all their digits."""

    def forwarded(self, now: float, began: Forwarded) -> bytes:
        """As ``connection``."""

    def forward_end(self, now: float, ended: ForwardEnd) -> bytes:
        """As ``end``."""


class TextLines:
    """``connection service=ssh source=192.0.2.1 port=5022 pid=4711 id=1-8``, after the head.

    The level is shown where it is not the usual one (notice, info).
    """

    def __init__(self, head: Head, tail: str) -> None:
        self._head = head
        self._tail = tail

    def event(self, now: float, event: Event) -> bytes:
        words: list[str] = [event.event]
        if event.level not in (Level.NOTICE, Level.INFO):
            words.append(f"level={event.level.word}")
        words += [f"{key}={text_value(value)}" for key, value in event.fields.items()]
        if event.message:
            words.append(f"message={quote(event.message)}")
        return f"{self._head(event.level, now)}{' '.join(words)}{self._tail}".encode()

    def connection(self, now: float, began: Connection) -> bytes:
        service, source, port, pid, id_ = began
        return (
            f"{self._head(Level.INFO, now)}connection service={quote(service)} source={quote(source)}"
            f" port={port} pid={pid} id={quote(id_)}{self._tail}"
        ).encode()

    def end(self, now: float, ended: End) -> bytes:
        service, source, pid, id_, outcome, status, duration_s, cpu_s, memory_bytes = ended
        how = f"signal={quote(status)}" if isinstance(status, str) else f"status={status}"
        memory = "" if memory_bytes is None else f" memory={memory_bytes}"
        return (
            f"{self._head(Level.INFO, now)}end service={quote(service)} source={quote(source)} pid={pid}"
            f" id={quote(id_)} outcome={quote(outcome)} {how}"
            f" duration={duration_s:.3f} cpu={cpu_s:.6f}{memory}{self._tail}"
        ).encode()

    def forwarded(self, now: float, began: Forwarded) -> bytes:
        service, source, port, backend, id_ = began
        return (
            f"{self._head(Level.INFO, now)}connection service={quote(service)} source={quote(source)}"
            f" port={port} backend={quote(backend)} id={quote(id_)}{self._tail}"
        ).encode()

    def forward_end(self, now: float, ended: ForwardEnd) -> bytes:
        service, source, id_, outcome, by, error, received, sent, duration_s = ended
        broken = f" by={quote(by)} error={quote(error)}" if by else ""
        return (
            f"{self._head(Level.INFO, now)}end service={quote(service)} source={quote(source)} id={quote(id_)}"
            f" outcome={quote(outcome)}{broken} received={received} sent={sent}"
            f" duration={duration_s:.3f}{self._tail}"
        ).encode()


class JsonLines:
    """One object a line: time, level, event, the fields, message. The time is always in it."""

    def __init__(self, head: Head, tail: str) -> None:
        self._head = head
        self._tail = tail
        self._stamp = UtcStamp()

    def event(self, now: float, event: Event) -> bytes:
        content = {"time": self._stamp(now), "level": event.level.word, "event": event.event.value}
        fields = {key: json_value(value) for key, value in event.fields.items()}
        message = {"message": json_value(event.message)} if event.message else {}
        return f"{self._head(event.level, now)}{json_text(content | fields | message)}{self._tail}".encode()

    def connection(self, now: float, began: Connection) -> bytes:
        service, source, port, pid, id_ = began
        return (
            f'{self._head(Level.INFO, now)}{{"time":"{self._stamp(now)}","level":"info","event":"connection",'
            f'"service":{json_string(service)},"source":{json_string(source)},'
            f'"port":{port},"pid":{pid},"id":{json_string(id_)}}}{self._tail}'
        ).encode()

    def end(self, now: float, ended: End) -> bytes:
        service, source, pid, id_, outcome, status, duration_s, cpu_s, memory_bytes = ended
        how = f'"signal":{json_string(status)}' if isinstance(status, str) else f'"status":{status}'
        memory = "" if memory_bytes is None else f',"memory":{memory_bytes}'
        return (
            f'{self._head(Level.INFO, now)}{{"time":"{self._stamp(now)}","level":"info","event":"end",'
            f'"service":{json_string(service)},"source":{json_string(source)},"pid":{pid},'
            f'"id":{json_string(id_)},"outcome":{json_string(outcome)},{how},'
            f'"duration":{duration_s:.3f},"cpu":{cpu_s:.6f}{memory}}}{self._tail}'
        ).encode()

    def forwarded(self, now: float, began: Forwarded) -> bytes:
        service, source, port, backend, id_ = began
        return (
            f'{self._head(Level.INFO, now)}{{"time":"{self._stamp(now)}","level":"info","event":"connection",'
            f'"service":{json_string(service)},"source":{json_string(source)},'
            f'"port":{port},"backend":{json_string(backend)},"id":{json_string(id_)}}}{self._tail}'
        ).encode()

    def forward_end(self, now: float, ended: ForwardEnd) -> bytes:
        service, source, id_, outcome, by, error, received, sent, duration_s = ended
        broken = f'"by":{json_string(by)},"error":{json_string(error)},' if by else ""
        return (
            f'{self._head(Level.INFO, now)}{{"time":"{self._stamp(now)}","level":"info","event":"end",'
            f'"service":{json_string(service)},"source":{json_string(source)},"id":{json_string(id_)},'
            f'"outcome":{json_string(outcome)},{broken}"received":{received},"sent":{sent},'
            f'"duration":{duration_s:.3f}}}{self._tail}'
        ).encode()
