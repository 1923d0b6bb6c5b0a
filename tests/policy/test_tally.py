"""What was refused lately, and who comes most."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S
from superd.policy.tally import MINUTE_NS, Busiest, Tally


def test_a_minute_and_an_hour() -> None:
    tally = Tally()
    for second in range(0, 7_200, 10):
        tally.add(Reason.RATE, second * NS_PER_S)
    now = 7_199 * NS_PER_S
    assert tally.within(MINUTE_NS, now) == {Reason.RATE: 6}
    assert tally.within(60 * MINUTE_NS, now) == {Reason.RATE: 360}


def test_what_is_older_than_an_hour_is_gone() -> None:
    tally = Tally()
    tally.add(Reason.ADDRESS, 0)
    assert tally.within(60 * MINUTE_NS, 61 * MINUTE_NS) == Counter()


@given(st.lists(st.integers(0, 200), max_size=500))
def test_who_came_most_is_among_the_busiest_and_never_counted_too_low(keys: list[int]) -> None:
    busiest = Busiest(places=8)
    for key in keys:
        busiest.add(key, 0)
    counts = dict(busiest.top(8))
    for key, count in Counter(keys).items():
        if count > len(keys) / 8:
            assert counts[key] >= count


def test_yesterdays_guests_fade() -> None:
    busiest = Busiest(places=2, half_life_ns=100)
    for _ in range(8):
        busiest.add(1, 0)
    for now in range(100, 600, 100):
        busiest.add(2, now)
    assert next(busiest.top(1))[0] == 2
