"""Limits that fit what a service is used to, found from its traffic. Pure.

Of each source it is computed exactly how large a burst it needs at a rate (the highest level its bucket would have
reached) and how many connections it had open at once. Numbers that people remember are then tried against all sources
that behaved. What is found is replayed before it is proposed, so the promise is kept by the engine itself.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from attrs import evolve, frozen

from superd.policy.reason import Reason
from superd.policy.replay import Replay, Rules
from superd.policy.replayed import Result, Source
from superd.policy.rules import NO_RATE, NS_PER_S, UNLIMITED, Limits, Rate
from superd.policy.tally import MINUTE_NS
from superd.policy.traffic import Happening

OF_LIMITS = frozenset({Reason.SOURCE_CONNECTIONS, Reason.SOURCE_RATE, Reason.CONNECTIONS, Reason.RATE})
"""What a proposal may refuse for."""

_MOST = 1_000_000  # of anything; what the configuration takes
_ROUND = [step * 10**power for power in range(7) for step in (1, 2, 5) if step * 10**power <= _MOST]
_RATES = [Rate(count, MINUTE_NS) for count in _ROUND if count < 60] + [
    Rate(count, NS_PER_S) for count in _ROUND
]

Run = Callable[[], Iterable[Happening]]
"""Gives all happenings from the beginning."""


@frozen
class Suggestion:
    """What is proposed.

    Args:
        limits: those of the rules that were given, with the six that are proposed in place of their own.
        behaved: sources that behaved.
        may_refuse: how many of them may be refused.
        does_refuse: how many of them are, as the replay of ``result`` shows.
        result: of the replay with these limits.
    """

    limits: Limits
    behaved: int
    may_refuse: int
    does_refuse: int
    result: Result

    @property
    def in_a_minute(self) -> int:
        """The most connections that one source can make in a minute."""
        return _in_a_minute(self.limits.rate_per_source, self.limits.burst_per_source)


@frozen
class _Fit:
    """One rate, the burst that fits it, and connections at once."""

    rate: Rate
    burst: int
    connections: int

    @property
    def generosity(self) -> tuple[int, int]:
        """What it lets through in a minute, times what may be open; the smaller burst of two equals."""
        return _in_a_minute(self.rate, self.burst) * self.connections, self.burst


def suggest(run: Run, rules: Rules, percent: Fraction, slot_ns: int = MINUTE_NS) -> Suggestion | None:
    """Propose limits; None when no source behaved.

    Args:
        run: the traffic, which is gone through three times.
        rules: what else is in force, and what counts as one source.
        percent: of the sources that behaved, how many may be refused; 0 to 100.
        slot_ns: how long the slots of the result's timeline are.
    """
    unlimited = evolve(
        rules.limits,
        max_connections=UNLIMITED,
        max_connections_per_source=UNLIMITED,
        rate=NO_RATE,
        rate_per_source=NO_RATE,
    )
    came, result = _observe(run, evolve(rules, limits=unlimited), slot_ns)
    behaved = {key: source for key, source in result.sources.items() if source.behaved}
    if not behaved:
        return None
    may_refuse = int(len(behaved) * percent / 100)
    of_source = _fit_sources(came, behaved, may_refuse)
    limits = evolve(
        unlimited,
        max_connections_per_source=of_source.connections,
        rate_per_source=of_source.rate,
        burst_per_source=of_source.burst,
    )
    came, result = _observe(run, evolve(rules, limits=limits), slot_ns)
    of_all = _fit_service(came, result)
    limits = evolve(limits, max_connections=of_all.connections, rate=of_all.rate, burst=of_all.burst)
    result = Replay(evolve(rules, limits=limits), slot_ns).run(run())
    does_refuse = sum(bool(OF_LIMITS & result.sources[key].refused.keys()) for key in behaved)
    return Suggestion(limits, len(behaved), may_refuse, does_refuse, result)


def _observe(run: Run, rules: Rules, slot_ns: int) -> tuple[Mapping[int, Sequence[int]], Result]:
    """When each source was admitted (ns), and all else."""
    came: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    result = Replay(rules, slot_ns, lambda key, now: came[key].append(now)).run(run())
    return came, result


def _fit_sources(came: Mapping[int, Sequence[int]], behaved: Mapping[int, Source], may_refuse: int) -> _Fit:
    """The least generous limits of one source that refuse no more than so many of those that behaved."""
    connections = {key: _round_up(max(1, source.most_open)) for key, source in behaved.items()}
    fits: list[_Fit] = []
    for rate in _RATES:
        needs = Counter(
            (connections[key], _round_up(burst_needed(rate, came.get(key, ())))) for key in behaved
        )
        fits += _fits(rate, needs, len(behaved) - may_refuse)
    return min(fits, key=lambda fit: fit.generosity)


def _fits(rate: Rate, needs: Mapping[tuple[int, int], int], enough: int) -> Iterable[_Fit]:
    """For each number of connections the smallest burst with which enough sources fit.

    Args:
        needs: how many sources need so many connections and such a burst.
    """
    for connections in sorted({most for most, _ in needs}):
        fitting = sorted((burst, count) for (most, burst), count in needs.items() if most <= connections)
        total = 0
        for burst, count in fitting:
            total += count
            if total >= enough and burst <= _MOST:
                yield _Fit(rate, burst, connections)
                break


def _fit_service(came: Mapping[int, Sequence[int]], result: Result) -> _Fit:
    """The least generous limits of the service that refuse nothing of what those of its sources admit."""
    times = sorted(time for of_source in came.values() for time in of_source)
    connections = _round_up(max(1, result.most_counted))
    fits = [_Fit(rate, _round_up(burst_needed(rate, times)), connections) for rate in _RATES]
    return min((fit for fit in fits if fit.burst <= _MOST), key=lambda fit: fit.generosity)


def burst_needed(rate: Rate, times: Iterable[int]) -> int:
    """The smallest burst with which a rate refuses none of them, 1 or more.

    Args:
        times: in nanoseconds, ascending.

    Source: ITU-T I.371, Annex A; ``buckets.Bucket`` admits what this says, to the nanosecond.
    """
    count, cost = rate.count, rate.period_ns
    full = highest = 0
    for time in times:
        now = time * count
        full = (full if full > now else now) + cost
        if full - now > highest:
            highest = full - now
    return max(1, -(-highest // cost))


def _round_up(number: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …; past what the configuration takes, something larger than that."""
    return next((step for step in _ROUND if step >= number), _MOST + 1)


def _in_a_minute(rate: Rate, burst: int) -> int:
    return burst + rate.count * MINUTE_NS // rate.period_ns
