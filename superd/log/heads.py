"""What stands before a line: the time, where nobody else adds one, and the priority, where somebody reads it."""

from __future__ import annotations

import time
from collections.abc import Callable

from superd.log.events import Level

Head = Callable[[Level, float], str]
"""Makes the beginning of a line from its level and the time (seconds since the epoch)."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class UtcStamp:
    """``2026-11-23T22:25:01.123Z``; the part up to the second is made once a second. Source: RFC 3339."""

    def __init__(self) -> None:
        self._second: int | None = None
        self._prefix = ""

    def __call__(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._prefix}.{int((now - second) * 1000):03}Z"


class SyslogStamp:
    """``Nov  3 22:25:01`` in local time, in English whatever the locale. Source: RFC 3164, 4.1.2."""

    def __init__(self) -> None:
        self._second: int | None = None
        self._stamp = ""

    def __call__(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            when = time.localtime(second)
            clock = f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02}"
            self._stamp = f"{_MONTHS[when.tm_mon - 1]} {when.tm_mday:2} {clock}"
        return self._stamp


def no_head(_level: Level, _now: float) -> str:
    """For JSON in a file, which holds its own time, and for the journal's MESSAGE."""
    return ""


def priority_head(level: Level, _now: float) -> str:
    """``<6>``: standard error read by the journal, which adds the time itself. Source: sd-daemon(3)."""
    return f"<{level}>"


def utc_head() -> Head:
    """The time, for text on standard error and in files."""
    stamp = UtcStamp()
    return lambda _level, now: f"{stamp(now)} "


def syslog_head(facility: int, pid: int) -> Head:
    """``<30>Nov 23 22:25:01 superd[4711]: ``.

    Args:
        facility: 0..23, one of ``FACILITIES``.
        pid: the process that logs.

    Source: RFC 3164, 4.1; the host name is left out, as syslog(3) does on a local socket.
    """
    stamp = SyslogStamp()
    return lambda level, now: f"<{facility * 8 + level}>{stamp(now)} superd[{pid}]: "
