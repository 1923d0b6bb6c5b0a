"""The damper, with a clock made of numbers."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from superd.log.damper import Damper, Repeated


def test_first_five_pass_and_the_rest_are_counted() -> None:
    damper: Damper[str] = Damper()
    assert [damper.admit("a", t) for t in range(8)] == [True] * 5 + [False] * 3
    assert damper.expire(9.9) == []
    assert damper.expire(10.0) == [Repeated("a", 3)]
    assert damper.expire(10.0) == []


def test_topics_do_not_disturb_one_another() -> None:
    damper: Damper[str] = Damper(burst=1)
    assert [damper.admit(topic, 0) for topic in "abab"] == [True, True, False, False]
    assert damper.expire(10) == [Repeated("a", 1), Repeated("b", 1)]


def test_next_message_after_the_window_passes_and_frees_the_count() -> None:
    damper: Damper[str] = Damper(burst=1)
    assert [damper.admit("a", t) for t in (0, 1, 2, 10)] == [True, False, False, True]
    assert damper.expire(10) == [Repeated("a", 2)]


def test_window_without_repetition_ends_silently() -> None:
    damper: Damper[str] = Damper()
    damper.admit("a", 0)
    assert damper.holding
    assert damper.expire(10) == []
    assert not damper.holding


def test_too_many_topics_push_out_the_oldest_with_its_count() -> None:
    damper: Damper[str] = Damper(burst=1, max_topics=2)
    for topic in "aab":
        damper.admit(topic, 0)
    assert damper.admit("c", 1)
    assert damper.expire(1) == [Repeated("a", 1)]


def test_clock_set_back_does_not_silence_the_log() -> None:
    damper: Damper[str] = Damper(burst=1)
    assert damper.admit("a", 1000)
    assert not damper.admit("a", 1001)
    assert damper.admit("a", 5)
    assert damper.expire(5) == [Repeated("a", 1)]


@given(
    messages=st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(-5, 20, allow_nan=False))),
    max_topics=st.integers(1, 4),
)
def test_every_message_is_said_or_counted(messages: list[tuple[str, float]], max_topics: int) -> None:
    damper: Damper[str] = Damper(burst=2, window_s=10, max_topics=max_topics)
    accounted: Counter[str] = Counter()
    now = latest = 0.0
    for topic, step in messages:
        now += step
        latest = max(latest, now)
        accounted[topic] += damper.admit(topic, now)
        for repeated in damper.expire(now):
            accounted[repeated.topic] += repeated.times
    for repeated in damper.expire(latest + 10):
        accounted[repeated.topic] += repeated.times
    assert +accounted == Counter(topic for topic, _ in messages)
