"""What the services of old say; pure."""

from __future__ import annotations

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SINCE_1900_S = 2_208_988_800
"""From 1900 to 1970. Source: RFC 868."""

LINE_CHARS = 72
"""Source: RFC 864, whose pattern has 72 characters a line, each line beginning one character later."""

_PRINTABLE = bytes(range(0x20, 0x7F))


def daytime(when: time.struct_time) -> bytes:
    """``Wed Nov 25 03:14:16 2026``, as inetd says it, in English whatever the locale. Source: RFC 867, asctime(3)."""
    day, month = _DAYS[when.tm_wday], _MONTHS[when.tm_mon - 1]
    clock = f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02}"
    return f"{day} {month} {when.tm_mday:2} {clock} {when.tm_year}\r\n".encode()


def seconds_since_1900(now: float) -> bytes:
    """The time as 32 bits, the first the highest. On 7 February 2036 they are all used, and it begins anew at 0.

    Args:
        now: seconds since 1970.

    Source: RFC 868.
    """
    return ((int(now) + _SINCE_1900_S) % (1 << 32)).to_bytes(4, "big")


def _pattern() -> bytes:
    ring = _PRINTABLE * 2
    return b"".join(ring[start : start + LINE_CHARS] + b"\r\n" for start in range(len(_PRINTABLE)))


PATTERN = _pattern()
"""All of chargen: 95 lines, after which it begins again."""
