"""A sink: lines in the right form, waiting in a bounded buffer for a descriptor that may be slow."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable

from superd.log.events import FACILITIES
from superd.log.heads import Head, no_head, priority_head, syslog_head, utc_head
from superd.log.journal import JournalLines
from superd.log.lines import JsonLines, Lines, TextLines
from superd.log.opening import SinkKind
from superd.log.transport import transport_for

MAX_BUFFER_BYTES = 1024 * 1024

_FORMATS: dict[str, type[TextLines] | type[JsonLines]] = {"text": TextLines, "json": JsonLines}

# glibc's syslog(3) ends a record on a stream with NUL; a datagram ends by itself.
_TAILS = {SinkKind.JOURNAL: "", SinkKind.SYSLOG: "", SinkKind.SYSLOG_STREAM: "\0"}


def lines_for(kind: SinkKind, log_format: str, facility: int, pid: int) -> Lines:
    """The layout that a kind of sink wants.

    Args:
        kind: what reads the lines.
        log_format: ``text`` or ``json``.
        facility: 0..23.
        pid: the process that logs.
    """
    heads: dict[SinkKind, Callable[[], Head]] = {
        SinkKind.JOURNAL: lambda: no_head,
        SinkKind.JOURNAL_STREAM: lambda: priority_head,
        SinkKind.SYSLOG: lambda: syslog_head(facility, pid),
        SinkKind.SYSLOG_STREAM: lambda: syslog_head(facility, pid),
        SinkKind.STDERR: utc_head if log_format == "text" else lambda: no_head,
        SinkKind.FILE: utc_head if log_format == "text" else lambda: no_head,
    }
    lines = _FORMATS[log_format](heads[kind](), _TAILS.get(kind, "\n"))
    return JournalLines(lines, facility, pid) if kind is SinkKind.JOURNAL else lines


class Sink:
    """Where the lines of this process go.

    Once a line finds no room, all lines are dropped until the buffer is empty: the gap is then one, and the
    count of what it swallowed stands in its place.

    Args:
        kind: as ``open_sink`` gave it.
        fd: as ``open_sink`` gave it; the sink owns it from now on.
        log_format: ``[superd] log_format``: ``text`` or ``json``.
        facility: ``[superd] syslog_facility``, one of ``FACILITIES``.

    Attributes:
        lines: the layout of this sink's records.
        error: name of the errno (``ENOSPC``) that stopped the last write which failed; empty at first.

    Raises:
        KeyError: no such format or facility.
        OSError: fd is not open.
    """

    def __init__(self, kind: SinkKind, fd: int, log_format: str = "text", facility: str = "daemon") -> None:
        self.lines = lines_for(kind, log_format, FACILITIES[facility], os.getpid())
        self.error = ""
        self._transport = transport_for(kind, fd)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._lost = 0

    @property
    def pending(self) -> bool:
        """Lines wait, or a loss is still to be reported."""
        return bool(self._queue or self._lost)

    def write(self, record: bytes) -> None:
        """Takes a record that ``lines`` made, for the next ``flush``."""
        if not self._lost and self._queued_bytes + len(record) > MAX_BUFFER_BYTES:
            self.flush()
        if self._lost or self._queued_bytes + len(record) > MAX_BUFFER_BYTES:
            self._lost += 1
            return
        self._queue.append(record)
        self._queued_bytes += len(record)

    def flush(self) -> None:
        """Writes what the descriptor takes at once; the rest waits for the next call."""
        try:
            while self._queue:
                self._send()
        except (
            OSError
        ) as error:  # whatever it is, the log is no reason to end: kept, or counted, and reported
            self.error = errno.errorcode.get(error.errno or 0, str(error))
        self._queued_bytes = sum(map(len, self._queue))

    def _send(self) -> None:
        try:
            self._transport.send(self._queue)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self.error = "EMSGSIZE"
            self._queue.popleft()
            self._lost += 1

    def take_lost(self) -> int:
        """How many lines were lost, once: 0 while lines from before the loss are still waiting."""
        if self._queue:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def add_lost(self, lines: int, error: str) -> None:
        """Counts lines that another sink, now closed, could not write, and takes over its error."""
        self._lost += lines
        self.error = self.error or error

    def close(self) -> int:
        """Writes what it can, closes the descriptor and returns how many lines were never written."""
        self.flush()
        self._transport.close()
        unsaid = len(self._queue) + self._lost
        self._queue.clear()
        self._lost = 0
        return unsaid
