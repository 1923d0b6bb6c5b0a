"""Connections over time: counted in slots of equal length, and the busiest stretches of any length. Pure."""

from __future__ import annotations

from collections import deque

from attrs import define, field

from superd.policy.rules import NS_PER_S

_LENGTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def slot_length_ns(period_ns: int, most_slots: int = 360) -> int:
    """The shortest length that people count in of which a period has no more than so many."""
    for seconds in _LENGTHS_S:
        if period_ns <= seconds * NS_PER_S * most_slots:
            return seconds * NS_PER_S
    days = -(-period_ns // (86_400 * NS_PER_S * most_slots))
    return days * 86_400 * NS_PER_S


@define
class Slot:
    """What happened in one stretch of time.

    Args:
        came: connections that were offered.
        admitted: those of them that the replay admitted.
        open_then: the most that were open at once in the log.
        open: the most that were open at once in the replay.
    """

    came: int = 0
    admitted: int = 0
    open_then: int = 0
    open: int = 0

    @property
    def refused(self) -> int:
        return self.came - self.admitted


@define
class Timeline:
    """Slots without a gap.

    Args:
        slot_ns: how long each is.
        first: the number of the first one since the epoch; None before anything happened.
    """

    slot_ns: int
    first: int | None = None
    slots: list[Slot] = field(factory=list)

    def at(self, now: int, open_then: int, open_: int) -> Slot:
        """The slot of a time, which never goes back.

        Args:
            now: in nanoseconds since the epoch.
            open_then, open_: what is open before anything happens in it.
        """
        number = now // self.slot_ns
        if self.first is None:
            self.first = number
        missing = number - self.first + 1 - len(self.slots)
        self.slots += [Slot(open_then=open_then, open=open_) for _ in range(missing)]
        return self.slots[-1]

    def end(self, now: int) -> int:
        """When the slot of a time ends."""
        return (now // self.slot_ns + 1) * self.slot_ns

    def begin(self, index: int) -> int:
        """When a slot begins, in nanoseconds since the epoch."""
        return ((self.first or 0) + index) * self.slot_ns


class Stretch:
    """The most that happened in any stretch of a length.

    Args:
        span_ns: the length; its end does not belong to it.
    """

    def __init__(self, span_ns: int) -> None:
        self.most = 0
        self._span_ns = span_ns
        self._times: deque[int] = deque()

    def add(self, now: int) -> None:
        """One more at a time (ns), which never goes back."""
        times = self._times
        times.append(now)
        gone = now - self._span_ns
        while times[0] <= gone:
            times.popleft()
        if len(times) > self.most:
            self.most = len(times)
