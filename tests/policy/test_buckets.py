"""Token buckets: exact, against the obvious model, and in bounded memory."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from superd.policy.buckets import Bucket, SourceBuckets
from superd.policy.rules import NS_PER_S, Rate

rates = st.builds(
    Rate, st.integers(1, 5_000), st.sampled_from([1, 60, 3_600, 86_400]).map(lambda s: s * NS_PER_S)
)
gaps = st.lists(st.one_of(st.just(0), st.integers(0, 10), st.integers(0, 100 * NS_PER_S)), max_size=60)


class Obvious:
    """Tokens that drip into a bucket, as fractions."""

    def __init__(self, rate: Rate, burst: int) -> None:
        self.burst = burst
        self.per_ns = Fraction(rate.count, rate.period_ns)
        self.tokens = Fraction(burst)
        self.time = 0

    def take(self, now: int) -> bool:
        self.tokens = min(Fraction(self.burst), self.tokens + (now - self.time) * self.per_ns)
        self.time = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@given(rates, st.integers(1, 100), gaps)
def test_it_admits_what_the_obvious_bucket_admits(rate: Rate, burst: int, waits: list[int]) -> None:
    bucket, obvious, tat, now = Bucket(rate, burst), Obvious(rate, burst), 0, 0
    for wait in waits:
        now += wait
        admitted = bucket.admits(tat, now)
        assert admitted == obvious.take(now)
        assert bucket.available(tat, now) - admitted == int(obvious.tokens)
        if admitted:
            tat = bucket.taken(tat, now)
        else:
            free = bucket.free_at(tat)
            assert bucket.admits(tat, free) and not bucket.admits(tat, free - 1)


@given(rates, st.integers(1, 50), gaps)
def test_no_window_ever_holds_more_than_burst_and_rate(rate: Rate, burst: int, waits: list[int]) -> None:
    bucket, tat, now = Bucket(rate, burst), 0, 0
    admitted: list[int] = []
    for wait in waits:
        now += wait
        if bucket.admits(tat, now):
            tat = bucket.taken(tat, now)
            admitted.append(now)
    for first, begin in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            assert last - first + 1 <= burst + Fraction((end - begin) * rate.count, rate.period_ns)


@given(rates, st.integers(1, 50), rates, st.integers(1, 50), st.integers(0, 50), st.integers(0, NS_PER_S))
def test_another_rate_owes_as_many_tokens_but_never_more_than_all(
    old: Rate, old_burst: int, new: Rate, new_burst: int, taken: int, now: int
) -> None:
    one, other, tat = Bucket(old, old_burst), Bucket(new, new_burst), 0
    for _ in range(min(taken, old_burst)):
        tat = one.taken(tat, now)
    owed = min(Fraction(max(0, tat - now * one.count), one.cost), Fraction(new_burst))
    converted = one.converted(tat, now, other)
    assert 0 <= Fraction(converted - now * other.count, other.cost) - owed < Fraction(1, other.cost)


def test_the_burst_is_the_number_in_the_rate_unless_given() -> None:
    assert Bucket(Rate(7), 0).available(0, 0) == 7
    assert Bucket(Rate(7), 2).available(0, 0) == 2


def test_a_source_that_went_far_over_waits_no_longer_for_it() -> None:
    """What is refused is not taken: a flood does not dig its bucket deeper."""
    buckets = SourceBuckets(Bucket(Rate(1), 1), 100)
    buckets.take(5, 0)
    assert not any(buckets.admits(5, now) for now in range(0, NS_PER_S, NS_PER_S // 100))
    assert buckets.admits(5, NS_PER_S)


@given(st.lists(st.integers(0, 300), max_size=400), st.integers(2, 64))
def test_memory_is_bounded_and_the_last_half_is_remembered(keys: list[int], most: int) -> None:
    buckets = SourceBuckets(Bucket(Rate(1, 10**15), 1), most)
    for position, key in enumerate(keys):
        buckets.take(key, position)
        assert len(buckets) <= most
    last = list(dict.fromkeys(reversed(keys)))[: max(1, most // 2)]
    assert all(not buckets.admits(key, len(keys)) for key in last)


def test_sources_keep_what_they_owe_under_another_rate_and_bound() -> None:
    old = SourceBuckets(Bucket(Rate(10), 10), 100)
    for _ in range(10):
        old.take(1, 0)
    old.take(2, 0)
    new = old.converted(0, Bucket(Rate(20), 20), 50)
    assert new.bucket.available(new.tat(1), 0) == 10
    assert new.bucket.available(new.tat(2), 0) == 19
    assert new.bucket.available(new.tat(3), 0) == 20


def test_a_forgiven_source_has_a_full_bucket() -> None:
    buckets = SourceBuckets(Bucket(Rate(1), 1), 100)
    buckets.take(1, 0)
    buckets.forget(1)
    assert buckets.admits(1, 0)
