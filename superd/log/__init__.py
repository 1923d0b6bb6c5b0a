"""The log: one event a line, to the journal, syslog, standard error or a file.

A sink is opened by the master, as root (``open_sink``), and used by whoever holds its descriptor (``Sink``).
A ``Logger`` turns events into lines, damps what repeats, and hands the lines of one wake-up to the sink
together. Nothing here blocks and nothing here raises because a log is full, slow or gone: lines wait in a
bounded buffer, and those that did not fit are counted and reported once the sink takes lines again.

The process must ignore SIGPIPE (Python does from its start): a pipe whose reader has gone would end it.
"""

from superd.log.damper import Damper
from superd.log.events import (
    FACILITIES,
    Connection,
    End,
    Event,
    EventName,
    Forwarded,
    ForwardEnd,
    Level,
    Value,
)
from superd.log.logger import Logger
from superd.log.opening import JOURNAL_SOCKET, SYSLOG_SOCKET, SinkKind, obstacle, open_sink
from superd.log.sink import Sink

__all__ = [
    "Logger",
    "Connection",
    "End",
    "Event",
    "EventName",
    "Forwarded",
    "ForwardEnd",
    "Level",
    "Value",
    "open_sink",
    "obstacle",
    "Sink",
    "SinkKind",
    "Damper",
    "FACILITIES",
    "JOURNAL_SOCKET",
    "SYSLOG_SOCKET",
]
