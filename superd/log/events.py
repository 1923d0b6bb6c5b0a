"""What can be said in the log: the closed set of events, their levels and their fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any, NamedTuple

from attrs import Factory, field, frozen

Value = str | int | float
"""A field's value. Bytes from outside come as ``raw.decode("utf-8", "surrogateescape")``."""

FACILITIES: Mapping[str, int] = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""``syslog_facility`` by name. Source: RFC 3164, 4.1.1; the names of syslog(3)."""


class Level(IntEnum):
    """Severities of syslog that superd uses. Source: RFC 3164, 4.1.1."""

    ERR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7

    @property
    def word(self) -> str:
        """The level as the log spells it."""
        return self.name.lower()


class EventName(StrEnum):
    """The first word of every line."""

    START = "start"  # a process of superd began its work
    STOP = "stop"  # … or ended it
    RELOAD = "reload"  # a new configuration is in force, or was turned down
    LISTEN = "listen"  # a listener was opened or closed
    CONNECTION = "connection"  # a connection was given to a child
    END = "end"  # that child ended
    REFUSED = "refused"  # a connection was turned away
    OUTPUT = "output"  # a line that a child wrote to its standard error
    SPAWNER = "spawner"  # a spawner started, retired or died
    ACCEPTOR = "acceptor"  # the acceptor died, or broke the rules of the wire
    STATE = "state"  # a line of the state that SIGUSR1 asks for
    CONTROL = "control"  # a change asked for through the control socket
    GRANT = "grant"  # a port that somebody asked the broker for, and what became of it
    LOST = "lost"  # lines that the sink could not take
    WARNING = "warning"
    ERROR = "error"

    __hash__ = str.__hash__  # Enum's is a Python function, and what is damped is looked up by its event


_RESERVED = frozenset({"time", "level", "event", "message"})


@cache  # there are as many keys as the code knows
def _is_key(key: str) -> bool:
    return key not in _RESERVED and re.fullmatch(r"[a-z][a-z0-9_]{0,47}", key) is not None


def _check_keys(_event: object, _attribute: Any, fields: Mapping[str, Value]) -> None:
    """Keys are written as they are, so they must be harmless in every format (the journal allows 64 bytes)."""
    for key in fields:
        if not _is_key(key):
            raise ValueError(f"log field {key!r}: not a lower-case word, or one that the log itself uses")


@frozen
class Event:
    """One line to be.

    Args:
        level: how much it matters.
        event: what happened.
        fields: the facts, in the order in which they are shown; keys are short lower-case words.
        message: the same in words for a person; may be empty when the fields say it all.

    Raises:
        ValueError: a key could be mistaken for something else.
    """

    level: Level
    event: EventName
    fields: Mapping[str, Value] = field(default=Factory(dict), validator=_check_keys)
    message: str = ""


class Connection(NamedTuple):
    """A connection was given to a child."""

    service: str
    source: str  # the client's address
    port: int  # the client's port
    pid: int  # the child
    id: str  # the connection's id, which its end repeats

    def event(self) -> Event:
        """The same as any other event."""
        return Event(Level.INFO, EventName.CONNECTION, self._asdict())


class End(NamedTuple):
    """A child ended."""

    service: str
    source: str  # the client's address
    pid: int
    id: str  # as its connection had it
    outcome: str  # how it ended, in a word
    status: int | str  # the exit code, or the name of the signal that ended it (SIGTERM), shown as signal
    duration_s: float  # since it was started; shown to the millisecond
    cpu_s: float  # user and system time; shown to the microsecond
    memory_bytes: int | None = None  # the most it had resident; None, and not shown, when unknown

    def event(self) -> Event:
        """The same as any other event."""
        fields: dict[str, Value] = {
            "service": self.service,
            "source": self.source,
            "pid": self.pid,
            "id": self.id,
            "outcome": self.outcome,
            "signal" if isinstance(self.status, str) else "status": self.status,
            "duration": round(self.duration_s, 3),
            "cpu": round(self.cpu_s, 6),
        }
        if self.memory_bytes is not None:
            fields["memory"] = self.memory_bytes
        return Event(Level.INFO, EventName.END, fields)


class Forwarded(NamedTuple):
    """A connection was joined to a backend."""

    service: str
    source: str  # the client's address
    port: int  # the client's port
    backend: str  # the address that was reached
    id: str  # the connection's id, which its end repeats

    def event(self) -> Event:
        """The same as any other event."""
        return Event(Level.INFO, EventName.CONNECTION, self._asdict())


class ForwardEnd(NamedTuple):
    """A connection to a backend ended."""

    service: str
    source: str  # the client's address
    id: str  # as its connection had it
    outcome: str  # how it ended, in a word
    by: str  # which side broke it off; empty, and not shown, when neither did
    error: str  # what that side's kernel said, in words; shown with ``by``
    received: int  # bytes of the client's
    sent: int  # bytes that the client was sent
    duration_s: float  # since it was admitted; shown to the millisecond

    def event(self) -> Event:
        """The same as any other event."""
        broken: dict[str, Value] = {"by": self.by, "error": self.error} if self.by else {}
        fields: dict[str, Value] = {
            "service": self.service,
            "source": self.source,
            "id": self.id,
            "outcome": self.outcome,
            **broken,
            "received": self.received,
            "sent": self.sent,
            "duration": round(self.duration_s, 3),
        }
        return Event(Level.INFO, EventName.END, fields)
