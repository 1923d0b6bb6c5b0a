"""What children leave behind: processes whose parents have ended, and when their time is over.

A child that forks twice and leaves its session is out of reach of a signal to that session. So the spawner of a
service with ``runtime_max`` adopts what is orphaned below it (PR_SET_CHILD_SUBREAPER), and looks now and then at what
it has adopted.

The kernel does not say whose a stray was. It came from a child that lived since the last look, or from another
stray; so it is given the earliest end that any of those had. That is never later than the one of the child it came
from, whatever a program does to hide. It can be earlier: the background process of one connection may have to go when
the time of an older one is over.
"""

from __future__ import annotations

import math
import signal

from attrs import define, field

SHARE = 10
"""Looks in the time that a child has …"""

SHORTEST_S, LONGEST_S = 0.1, 10.0
"""… and the least and most between two."""


@define
class _Stray:
    ends: float
    told: bool = False


@define
class Strays:
    """The strays of one service; pure.

    Args:
        runtime_max_s: how long a child may live.
        timeout_stop_s: from the kill signal to SIGKILL; negative: for ever.
        kill_signal: tells one that its time is over.
    """

    runtime_max_s: float
    timeout_stop_s: float
    kill_signal: int
    _known: dict[int, _Stray] = field(factory=dict)
    _oldest: float = math.inf  # start of the oldest child that ended since the last look
    _looked: float = -math.inf

    def __len__(self) -> int:
        return len(self._known)

    def ended(self, started: float) -> None:
        """A child ended, which began at ``started``; it may have left something."""
        self._oldest = min(self._oldest, started)

    def due(self, living: bool) -> float | None:
        """When to look next; None while nothing lives, or can have been left, that would be found."""
        if not (living or self._known or self._oldest < math.inf):
            return None
        return self._looked + min(LONGEST_S, max(SHORTEST_S, self.runtime_max_s / SHARE))

    def look(self, now: float, strays: list[int], oldest_living: float = math.inf) -> list[tuple[int, int]]:
        """Take notice of what there is.

        Args:
            strays: the pids of all that is adopted now.
            oldest_living: when the oldest child that lives began; infinity for none.

        Returns:
            Which signal to send to whom.
        """
        began = min(self._oldest, oldest_living, now)
        ends = min([began + self.runtime_max_s, *(stray.ends for stray in self._known.values())])
        self._known = {pid: self._known.get(pid) or _Stray(ends) for pid in strays}
        self._oldest, self._looked = math.inf, now
        return [(pid, number) for pid, stray in self._known.items() if (number := self._due(stray, now))]

    def _due(self, stray: _Stray, now: float) -> int:
        if self.timeout_stop_s >= 0 and stray.ends + self.timeout_stop_s <= now:
            return signal.SIGKILL
        if stray.ends <= now and not stray.told:
            stray.told = True
            return self.kill_signal
        return 0
