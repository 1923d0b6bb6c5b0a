"""Saying the same thing a thousand times in a few lines. Pure: the caller brings the time.

The first messages of a topic within a window pass, the rest are counted. When the window ends the count is
given out once, and the next message opens a new window. All windows last equally long and are kept in the
order of their start, so those that have ended are always at the front: the work per message is constant.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from attrs import define, frozen

T = TypeVar("T", bound=Hashable)


@frozen
class Repeated(Generic[T]):
    """A topic's messages that were held back in a window that has ended."""

    topic: T
    times: int


@define
class _Window:
    start: float
    seen: int = 1


class Damper(Generic[T]):
    """Decides which of many equal messages are said.

    Args:
        burst: messages of one topic that pass in one window.
        window_s: how long a window lasts, in seconds.
        max_topics: windows kept at once; past that the oldest ends early, its count still given out.
    """

    def __init__(self, burst: int = 5, window_s: float = 10.0, max_topics: int = 1024) -> None:
        self._burst = burst
        self._window_s = window_s
        self._max_topics = max_topics
        self._windows: dict[T, _Window] = {}
        self._ended: list[Repeated[T]] = []

    @property
    def holding(self) -> bool:
        """Some window is open or a count is due: ``expire`` will have something to do."""
        return bool(self._windows or self._ended)

    def admit(self, topic: T, now: float) -> bool:
        """True when a message of this topic is to be said now. Counts it otherwise.

        Args:
            topic: what makes messages equal.
            now: seconds on any clock; one that is set back ends the windows it makes senseless.
        """
        self._end_windows(now)
        window = self._windows.get(topic)
        if window is None:
            self._open_window(topic, now)
            return True
        window.seen += 1
        return window.seen <= self._burst

    def expire(self, now: float) -> list[Repeated[T]]:
        """The counts of all windows that have ended since the last call, oldest first."""
        self._end_windows(now)
        ended, self._ended = self._ended, []
        return ended

    def _open_window(self, topic: T, now: float) -> None:
        if len(self._windows) >= self._max_topics:
            self._end_oldest()
        self._windows[topic] = _Window(now)

    def _end_windows(self, now: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows.values()))
            if oldest.start <= now < oldest.start + self._window_s:
                return
            self._end_oldest()

    def _end_oldest(self) -> None:
        topic = next(iter(self._windows))
        held = self._windows.pop(topic).seen - self._burst
        if held > 0:
            self._ended.append(Repeated(topic, held))
