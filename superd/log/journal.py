"""Events as datagrams of the journal's native protocol.

Source: systemd, "Native Journal Protocol" (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/), and
systemd.journal-fields(7). A field is ``NAME=value\\n``; a value that holds a newline is instead
``NAME\\n``, its length as 64 bits little-endian, the value, ``\\n``, so no value can pose as another field.
Texts are cut at ``MAX_VALUE_CHARS``, so a record fits a datagram and needs no memfd.
"""

from __future__ import annotations

import struct

from superd.log.escape import clip, valid
from superd.log.events import Connection, End, Event, Forwarded, ForwardEnd
from superd.log.lines import Lines


def journal_field(name: str, value: str) -> bytes:
    """One field.

    Args:
        name: upper-case letters, digits and underscores, at most 64.
        value: any valid text.
    """
    raw = value.encode()
    if b"\n" in raw:
        return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(raw)), raw)
    return b"%s=%s\n" % (name.encode(), raw)


class JournalLines:
    """MESSAGE is the line as ``inner`` writes it; every field stands beside it as SUPERD_NAME.

    Args:
        inner: the layout of MESSAGE, without head and tail.
        facility: 0..23.
        pid: the process that logs.
    """

    def __init__(self, inner: Lines, facility: int, pid: int) -> None:
        self._inner = inner
        self._same = f"SYSLOG_IDENTIFIER=superd\nSYSLOG_FACILITY={facility}\nSYSLOG_PID={pid}\n".encode()

    def event(self, now: float, event: Event) -> bytes:
        message = self._inner.event(now, event).decode()
        parts = [journal_field("MESSAGE", message), b"PRIORITY=%d\n" % event.level, self._same]
        parts.append(journal_field("SUPERD_EVENT", event.event))
        for key, value in event.fields.items():
            parts.append(journal_field(f"SUPERD_{key.upper()}", valid(clip(str(value)))))
        return b"".join(parts)

    def connection(self, now: float, began: Connection) -> bytes:
        return self.event(now, began.event())

    def end(self, now: float, ended: End) -> bytes:
        return self.event(now, ended.event())

    def forwarded(self, now: float, began: Forwarded) -> bytes:
        return self.event(now, began.event())

    def forward_end(self, now: float, ended: ForwardEnd) -> bytes:
        return self.event(now, ended.event())
