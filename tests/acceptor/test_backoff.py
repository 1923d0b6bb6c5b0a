"""Nothing that fails is tried again at once for ever, and nothing is given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.acceptor.backoff import FIRST_S, LAST_S, QUICK_ENDS, QUICK_S, InstanceBackoff, delay


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(-1, 0.0), (0, 0.0), (1, 0.1), (2, 0.2), (3, 0.4), (9, 25.6), (10, 30.0), (10_000, 30.0)],
)
def test_the_delay_doubles_from_100_ms_to_30_s(failures: int, seconds: float) -> None:
    assert delay(failures) == pytest.approx(seconds)


ENDS = st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60)


@given(ENDS)
def test_every_failure_waits_and_no_wait_is_longer_than_30_s(ends: list[tuple[float, bool]]) -> None:
    backoff = InstanceBackoff()
    for lasted, failed in ends:
        seconds = backoff.ended(lasted, failed)
        assert seconds == 0.0 or FIRST_S <= seconds <= LAST_S
        if failed:
            assert seconds > 0.0


@given(ENDS)
def test_a_success_waits_only_as_the_fifth_quick_end_in_a_row(ends: list[tuple[float, bool]]) -> None:
    backoff, quick = InstanceBackoff(), 0
    for lasted, failed in ends:
        quick = quick + 1 if lasted < QUICK_S else 0
        seconds = backoff.ended(lasted, failed)
        if not failed:
            assert (seconds > 0.0) == (quick >= QUICK_ENDS)


def test_failures_in_a_row_wait_longer_each_time() -> None:
    backoff = InstanceBackoff()
    assert [backoff.ended(5.0, True) for _ in range(3)] == [delay(1), delay(2), delay(3)]


def test_a_success_that_took_its_time_forgives_earlier_failures() -> None:
    backoff = InstanceBackoff()
    for _ in range(5):
        backoff.ended(0.0, True)
    assert backoff.ended(QUICK_S, False) == 0.0
    assert backoff.ended(QUICK_S, True) == delay(1)


def test_a_failure_after_a_long_life_counts_as_the_first() -> None:
    backoff = InstanceBackoff()
    for _ in range(5):
        backoff.ended(0.0, True)
    assert backoff.ended(LAST_S + 1, True) == delay(1)


def test_a_program_that_leaves_what_woke_it_does_not_spin() -> None:
    backoff = InstanceBackoff()
    waits = [backoff.ended(0.01, False) for _ in range(QUICK_ENDS + 2)]
    assert waits == [0.0] * (QUICK_ENDS - 1) + [delay(1), delay(2), delay(3)]
