"""The log as the rest of superd sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from superd.log.damper import Damper
from superd.log.events import Connection, End, Event, EventName, Forwarded, ForwardEnd, Level, Value
from superd.log.sink import Sink

_DAMPED = frozenset(
    {
        EventName.REFUSED,
        EventName.OUTPUT,
        EventName.SPAWNER,
        EventName.ACCEPTOR,
        EventName.WARNING,
        EventName.ERROR,
    }
)
"""What strangers, children and faults can cause without end. The rest follows an administrator's deeds."""

_MAX_TOPIC_CHARS = 256
"""Of a message, what is kept to recognise it."""


class Topic(NamedTuple):
    """What makes two damped events the same: a reason is a closed set, so it counts more than the message."""

    event: EventName
    level: Level
    service: str
    reason: str
    message: str

    @classmethod
    def of(cls, event: EventName, level: Level, message: str, fields: Mapping[str, Value]) -> Topic:
        reason = str(fields.get("reason", ""))
        return cls(
            event, level, str(fields.get("service", "")), reason, "" if reason else message[:_MAX_TOPIC_CHARS]
        )

    def repeated(self, times: int, identity: Mapping[str, Value]) -> Event:
        """The line that stands for all those which were held back."""
        named: dict[str, Value] = {"service": self.service, "reason": self.reason}
        fields = {**identity, **{key: value for key, value in named.items() if value}, "repeated": times}
        noun = "once more" if times == 1 else f"repeated {times} times"
        return Event(self.level, self.event, fields, f"{noun}: {self.message}" if self.message else noun)


class Logger:
    """Says what happens. Lines wait in the sink until ``flush``, to be called at the end of each wake-up.

    Args:
        sink: where the lines go; the logger closes it when it is replaced.
        clock: the time, in seconds since the epoch (``time.time``).
        identity: fields before those of every event but connection and end, such as ``process``.
        immediate: flush after every event, for processes that log rarely (the master, spawners).
    """

    def __init__(
        self,
        sink: Sink,
        clock: Callable[[], float],
        identity: Mapping[str, Value] | None = None,
        immediate: bool = False,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._identity = dict(identity or {})
        self._immediate = immediate
        self._damper: Damper[Topic] = Damper()

    @property
    def pending(self) -> bool:
        """Lines or counts wait: call ``flush`` within a second or so even if nothing else happens."""
        return self._sink.pending or self._damper.holding

    def log(self, event: EventName, level: Level, message: str = "", /, **fields: Value) -> None:
        """Says an event, unless it only repeats what was just said five times.

        Args:
            event: what happened.
            level: how much it matters.
            message: the same in words; a stranger's text is welcome, it is escaped.
            fields: the facts: service, source, reason, … in the order in which they are shown.

        Raises:
            ValueError: a field is called time, level, event or message.
        """
        now = self._clock()
        if event not in _DAMPED or self._admit(Topic.of(event, level, message, fields), now):
            self._write(Event(level, event, self._identity | fields, message), now)
        if self._immediate:
            self.flush()

    def connection(self, began: Connection) -> None:
        """A connection was given to a child. Never damped, and never flushed at once."""
        self._sink.write(self._sink.lines.connection(self._clock(), began))

    def end(self, ended: End) -> None:
        """A child ended. Never damped, and never flushed at once."""
        self._sink.write(self._sink.lines.end(self._clock(), ended))

    def forwarded(self, began: Forwarded) -> None:
        """A connection was joined to a backend. As ``connection``."""
        self._sink.write(self._sink.lines.forwarded(self._clock(), began))

    def forward_end(self, ended: ForwardEnd) -> None:
        """A connection to a backend ended. As ``end``."""
        self._sink.write(self._sink.lines.forward_end(self._clock(), ended))

    def flush(self) -> None:
        """Writes all that waits, counts of held back and of lost lines included."""
        now = self._clock()
        self._report_repeated(now)
        self._sink.flush()
        lost = self._sink.take_lost()
        if lost:
            fields = self._identity | {"lines": lost, "error": self._sink.error}
            self._write(
                Event(Level.WARNING, EventName.LOST, fields, f"{lost} lines of the log were lost"), now
            )
            self._sink.flush()

    def replace_sink(self, sink: Sink) -> None:
        """Goes on with another sink (SIGHUP). The old one is closed; lines it never wrote count as lost."""
        self._sink, old = sink, self._sink
        sink.add_lost(old.close(), old.error)
        self.flush()

    def close(self) -> None:
        """Writes what it can and closes the sink."""
        self.flush()
        self._sink.close()

    def _admit(self, topic: Topic, now: float) -> bool:
        """Whether it is to be said; asked before there is an ``Event``, since a flood's are mostly not."""
        admitted = self._damper.admit(topic, now)
        self._report_repeated(now)
        return admitted

    def _report_repeated(self, now: float) -> None:
        for repeated in self._damper.expire(now):
            self._write(repeated.topic.repeated(repeated.times, self._identity), now)

    def _write(self, event: Event, now: float) -> None:
        self._sink.write(self._sink.lines.event(now, event))
