"""What a replay found: what became of the connections, of all and of each source. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from attrs import Factory, define, frozen

from superd.policy.reason import OF_ACCESS, Reason
from superd.policy.rules import NS_PER_S
from superd.policy.tally import MINUTE_NS
from superd.policy.timeline import Stretch, Timeline


@define
class Source:
    """One source.

    Args:
        came: connections it made.
        served: those that were given to a child in the log; of these ended ``ended``, and ``bad`` badly.
        refused: by Reason, in the replay.
        open, most_open: in the replay, now and at the most.
        open_then, most_open_then: in the log.
    """

    came: int = 0
    served: int = 0
    ended: int = 0
    bad: int = 0
    refused: dict[Reason, int] = Factory(dict)
    open: int = 0
    most_open: int = 0
    open_then: int = 0
    most_open_then: int = 0

    @property
    def behaved(self) -> bool:
        """Served at least once, never refused by access, and fewer than half of its children ended badly."""
        return 2 * self.bad < self.served and not OF_ACCESS & self.refused.keys()

    def open_in_log(self) -> int:
        """One more was opened in the log; how many are open now."""
        self.open_then += 1
        if self.open_then > self.most_open_then:
            self.most_open_then = self.open_then
        return self.open_then


@define
class Side:
    """What became of the connections, in the log or in the replay; the most of them that were open or admitted.

    Args:
        most_open: at once.
        most_open_of: the same of one source, and ``busiest`` is its key.
        second, minute: admitted in any second or minute.
    """

    admitted: int = 0
    refused: Counter[Reason] = Factory(Counter)
    most_open: int = 0
    most_open_of: int = 0
    busiest: int | None = None
    second: Stretch = Factory(lambda: Stretch(NS_PER_S))
    minute: Stretch = Factory(lambda: Stretch(MINUTE_NS))

    def admit(self, now: int, open_: int, key: int, open_of: int) -> None:
        """Count one that was admitted, with what is open now of all and of its source."""
        self.admitted += 1
        self.second.add(now)
        self.minute.add(now)
        self.opened(open_, key, open_of)

    def opened(self, open_: int, key: int, open_of: int) -> None:
        """Take what is open now, of all and of one source."""
        if open_ > self.most_open:
            self.most_open = open_
        if open_of > self.most_open_of:
            self.most_open_of, self.busiest = open_of, key


@frozen
class Result:
    """What a replay found.

    Args:
        then: what the log tells.
        replayed: what the engine decided.
        most_counted: connections that counted and were open at once, exempt ones being left out.
        newly_refused: admitted in the log, and now refused.
        newly_admitted: the other way round.
        open_before: connections that were open when the log began.
        starts, starts_delayed: of instances, and how many of them the rate would have delayed.
        sources: by key; ``name`` spells a key.
        timeline: both sides over time.
    """

    then: Side
    replayed: Side
    most_counted: int
    newly_refused: int
    newly_admitted: int
    open_before: int
    starts: int
    starts_delayed: int
    sources: Mapping[int, Source]
    name: Callable[[int], str]
    timeline: Timeline

    @property
    def came(self) -> int:
        """Connections that were replayed."""
        return self.replayed.admitted + self.replayed.refused.total()

    @property
    def sources_that_came(self) -> int:
        """Sources of the connections that were replayed."""
        return sum(source.came > 0 for source in self.sources.values())

    def concerned(self, reason: Reason | None = None) -> int:
        """How many sources were refused, for one Reason or for any."""
        refused = (source.refused for source in self.sources.values())
        return sum(bool(reasons) if reason is None else reason in reasons for reasons in refused)

    def most_refused(self, most: int = 10) -> list[tuple[int, Source]]:
        """The sources that were refused most, and their keys."""
        refused = [(key, source) for key, source in self.sources.items() if source.refused]
        return sorted(refused, key=lambda pair: (-sum(pair[1].refused.values()), -pair[1].came))[:most]
