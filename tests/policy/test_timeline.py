"""Slots without a gap, and the busiest stretch of any length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.policy.rules import NS_PER_S
from superd.policy.timeline import Stretch, Timeline, slot_length_ns

times = st.lists(st.integers(0, 10_000), max_size=60).map(sorted)


@given(times, st.integers(1, 3_000))
def test_the_busiest_stretch_is_the_fullest_window(rows: list[int], span: int) -> None:
    stretch = Stretch(span)
    for time in rows:
        stretch.add(time)
    assert stretch.most == max((sum(a <= b < a + span for b in rows) for a in rows), default=0)


def test_a_gap_is_filled_with_what_was_open() -> None:
    timeline = Timeline(10)
    timeline.at(25, 0, 0).came = 1
    assert timeline.at(29, 9, 9).came == 1
    timeline.at(51, 3, 2)
    assert [(slot.came, slot.open_then, slot.open) for slot in timeline.slots] == [
        (1, 0, 0), (0, 3, 2), (0, 3, 2), (0, 3, 2)
    ]  # fmt: skip
    assert [timeline.begin(index) for index in range(4)] == [20, 30, 40, 50]
    assert timeline.end(51) == 60


@pytest.mark.parametrize(
    ("period_s", "slot_s"),
    [(0, 1), (60, 1), (3_600, 10), (86_400, 300), (7 * 86_400, 1_800), (10**9, 33 * 86_400)],
)
def test_slots_are_as_people_count(period_s: int, slot_s: int) -> None:
    assert slot_length_ns(period_s * NS_PER_S) == slot_s * NS_PER_S
