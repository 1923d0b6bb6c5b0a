"""The engine against a slow and obvious one: the same verdict for any sequence of comings, goings and changes."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from superd.policy.decision import Client, Total
from superd.policy.engine import Engine
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S, UNLIMITED, Access, Limits, ProxyProtocol, Rate

sources = st.integers(0, 3)
caps = st.one_of(st.just(UNLIMITED), st.integers(0, 4))
rates = st.one_of(
    st.just(Rate()), st.builds(Rate, st.integers(1, 4), st.sampled_from([NS_PER_S, 60 * NS_PER_S]))
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["offer", "offer", "offer", "end"]),
        sources,
        st.sampled_from([0, 1, NS_PER_S // 4, NS_PER_S]),
    ),
    max_size=80,
)


class Obvious:
    """Keeps everything that ever happened, and counts it again for each decision."""

    def __init__(self, limits: Limits, total: int) -> None:
        self.limits = limits
        self.total = total
        self.open: dict[int, int] = {}
        self.admitted: list[tuple[int, int]] = []
        self.banned: dict[int, int] = {}
        self.strikes: dict[int, tuple[int, int]] = {}

    def tokens(self, rate: Rate, burst: int, times: list[int], now: int) -> Fraction:
        tokens, last = Fraction(burst or rate.count), 0
        for time in [*times, now]:
            tokens = min(
                Fraction(burst or rate.count), tokens + Fraction((time - last) * rate.count, rate.period_ns)
            )
            tokens -= 1
            last = time
        return tokens + 1

    def offer(self, id_: int, source: int, now: int) -> Reason | None:
        reason = self.why_not(source, now)
        if reason is Reason.SOURCE_RATE and self.limits.penalty_s:
            self.penalise(source, now)
        if reason is None:
            self.open[id_] = source
            self.admitted.append((source, now))
        return reason

    def penalise(self, source: int, now: int) -> None:
        strikes, forgotten = self.strikes.get(source, (0, 0))
        strikes = strikes + 1 if now < forgotten else 1
        most = int(self.limits.penalty_max_s) * NS_PER_S
        self.banned[source] = now + min(most, int(self.limits.penalty_s) * NS_PER_S * 2 ** (strikes - 1))
        self.strikes[source] = strikes, self.banned[source] + most

    def why_not(self, source: int, now: int) -> Reason | None:
        limits = self.limits
        own = [time for one, time in self.admitted if one == source]
        checks = (
            (Reason.PENALTY, now < self.banned.get(source, 0)),
            (
                Reason.SOURCE_CONNECTIONS,
                0 <= limits.max_connections_per_source <= list(self.open.values()).count(source),
            ),
            (
                Reason.SOURCE_RATE,
                limits.rate_per_source.count
                and self.tokens(limits.rate_per_source, limits.burst_per_source, own, now) < 1,
            ),
            (Reason.CONNECTIONS, 0 <= limits.max_connections <= len(self.open)),
            (
                Reason.RATE,
                limits.rate.count
                and self.tokens(limits.rate, limits.burst, [time for _, time in self.admitted], now) < 1,
            ),
            (Reason.TOTAL_CONNECTIONS, 0 <= self.total <= len(self.open)),
        )
        return next((reason for reason, is_so in checks if is_so), None)


@settings(max_examples=300)
@given(
    st.builds(
        Limits,
        max_connections=caps,
        max_connections_per_source=caps,
        rate=rates,
        burst=st.integers(0, 4),
        rate_per_source=rates,
        burst_per_source=st.integers(0, 4),
        penalty_s=st.sampled_from([0.0, 0.0, 1.0, 2.0]),
        penalty_max_s=st.sampled_from([2.0, 8.0]),
    ),
    caps,
    steps,
)
def test_it_decides_as_the_obvious_one(
    limits: Limits, total: int, events: list[tuple[str, int, int]]
) -> None:
    engine = Engine(limits, Access(), ProxyProtocol(), Total(total))
    obvious, now = Obvious(limits, total), 0
    for id_, (what, source, wait) in enumerate(events):
        now += wait
        if what == "offer":
            assert engine.offer(Client(id_, 4, source), now).reason is obvious.offer(id_, source, now)
        elif obvious.open:
            ended = next(iter(obvious.open))
            del obvious.open[ended]
            engine.ended(ended, Outcome.CLEAN, now)
        assert engine.open == len(obvious.open)
