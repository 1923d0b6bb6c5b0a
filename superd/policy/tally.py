"""How many were refused in the last minute and hour, by Reason, and which sources come most; in bounded memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S

MINUTE_NS = 60 * NS_PER_S
_SLOT_NS = 5 * NS_PER_S
_SLOTS = 720  # an hour of them


class Tally:
    """Refusals of the last hour, counted in slots of five seconds."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: (
            deque[tuple[int, Counter[Reason]]] | tuple[()]
        ) = ()  # a deque is large, and most refuse nobody

    def add(self, reason: Reason, now: int) -> None:
        """One was refused at ``now`` (ns)."""
        slot = now // _SLOT_NS
        slots = self._slots = self._slots or deque(maxlen=_SLOTS)
        if not slots or slots[-1][0] != slot:
            slots.append((slot, Counter()))
        slots[-1][1][reason] += 1

    def within(self, span_ns: int, now: int) -> Counter[Reason]:
        """How many were refused in the last ``span_ns``, up to an hour; counted from whole slots."""
        first = (now - span_ns) // _SLOT_NS
        found: Counter[Reason] = Counter()
        for slot, counted in self._slots:
            if slot > first:
                found += counted
        return found


class Busiest:
    """The sources that come most, by an estimate that never counts too little.

    Up to twice as many sources as there are places are counted one by one. When a further one comes, all counts are
    lowered by that of the source in the middle, and who is left with nothing gives up its place; by as much every
    estimate is higher than the count. Each lowering takes away more than ``places`` times as much as it adds to the
    estimates, so whoever made more than 1/``places`` of all offers is surely among the first ``places``. Source: Misra
    and Gries, 1982, in batches as Anderson and others do it (IMC 2017): the work per offer is constant. Counts are
    halved every ``half_life_ns``, so that yesterday's guests do not stand there for ever.
    """

    __slots__ = ("_counts", "_half_life_ns", "_halve_at", "_lowered", "_places")

    def __init__(self, places: int = 64, half_life_ns: int = 10 * MINUTE_NS) -> None:
        self._places = places
        self._half_life_ns = half_life_ns
        self._counts: dict[int, int] = {}
        self._lowered = 0
        self._halve_at = 0

    def add(self, key: int, now: int) -> None:
        """A source came at ``now`` (ns)."""
        if now >= self._halve_at:
            self._halve(now)
        counts = self._counts
        if key not in counts and len(counts) >= 2 * self._places:
            counts = self._lower()
        counts[key] = counts.get(key, 0) + 1

    def _lower(self) -> dict[int, int]:
        by = sorted(self._counts.values())[self._places - 1]
        self._lowered += by
        self._counts = {key: count - by for key, count in self._counts.items() if count > by}
        return self._counts

    def _halve(self, now: int) -> None:
        self._halve_at = now + self._half_life_ns
        self._lowered //= 2
        self._counts = {key: count // 2 for key, count in self._counts.items() if count > 1}

    def top(self, most: int) -> Iterator[tuple[int, int]]:
        """The keys of the busiest sources and their counts, busiest first."""
        busiest = sorted(self._counts.items(), key=lambda pair: -pair[1])[:most]
        yield from ((key, count + self._lowered) for key, count in busiest)
