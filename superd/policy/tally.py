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

    def __init__(self) -> None:
        self._slots: deque[tuple[int, Counter[Reason]]] = deque(maxlen=_SLOTS)

    def add(self, reason: Reason, now: int) -> None:
        """One was refused at ``now`` (ns)."""
        slot = now // _SLOT_NS
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, Counter()))
        self._slots[-1][1][reason] += 1

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

    A source that finds no place takes over the count of the least busy one (the Space-Saving algorithm of Metwally,
    Agrawal and El Abbadi, 2005), so whoever made more than 1/``places`` of all offers is surely among them. Counts
    are halved every ``half_life_ns``, so that yesterday's guests do not stand there for ever.
    """

    def __init__(self, places: int = 64, half_life_ns: int = 10 * MINUTE_NS) -> None:
        self._places = places
        self._half_life_ns = half_life_ns
        self._counts: dict[int, int] = {}
        self._halve_at = 0

    def add(self, key: int, now: int) -> None:
        """A source came at ``now`` (ns)."""
        if now >= self._halve_at:
            self._halve(now)
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < self._places:
            counts[key] = 1
        else:
            least = min(counts, key=counts.__getitem__)
            counts[key] = counts.pop(least) + 1

    def _halve(self, now: int) -> None:
        self._halve_at = now + self._half_life_ns
        self._counts = {key: count // 2 for key, count in self._counts.items() if count > 1}

    def top(self, most: int) -> Iterator[tuple[int, int]]:
        """The keys of the busiest sources and their counts, busiest first."""
        yield from sorted(self._counts.items(), key=lambda pair: -pair[1])[:most]
