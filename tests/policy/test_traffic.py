"""Traffic: merged by time, in order where times are equal, whatever the order in which it was added."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.policy.decision import UNIX
from superd.policy.networks import parse_address
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.rules import NS_PER_S
from superd.policy.traffic import Happening, Kind, Traffic, parse_client

A = parse_address("192.0.2.1")


def test_what_was_added_comes_out() -> None:
    traffic = Traffic()
    traffic.add(5, Kind.CONNECTION, "192.0.2.1", 0x10000000001)
    traffic.add(6, Kind.REFUSED, "2001:db8::1", detail=Reason.SOURCE_RATE)
    traffic.add(6, Kind.CONNECTION, "uid:1000", (1 << 64) - 1)
    traffic.add(7, Kind.END, "192.0.2.1", 0x10000000001, Outcome.SIGNALLED)
    traffic.add(8, Kind.START, "")
    assert list(traffic) == [
        Happening(5, Kind.CONNECTION, *A, 0x10000000001),
        Happening(6, Kind.REFUSED, *parse_address("2001:db8::1"), 0, Reason.SOURCE_RATE),
        Happening(6, Kind.CONNECTION, UNIX, 1000, (1 << 64) - 1),
        Happening(7, Kind.END, *A, 0x10000000001, Outcome.SIGNALLED),
        Happening(8, Kind.START, UNIX, 0),
    ]
    assert traffic.period == (5, 8)
    assert len(traffic) == 5


def test_no_outcome_is_spelt_as_a_reason() -> None:
    assert not {*Outcome} & {*Reason}  # both are kept in one column


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 255)), max_size=30))
def test_it_is_sorted_by_time_and_else_as_added(rows: list[tuple[int, int]]) -> None:
    traffic = Traffic()
    for number, (time, last) in enumerate(rows):
        traffic.add(time, Kind.CONNECTION, f"192.0.2.{last}", number)
    expected = sorted(enumerate(rows), key=lambda row: row[1][0])
    assert [(one.time, one.value & 255, one.id) for one in traffic] == [
        (time, last, number) for number, (time, last) in expected
    ]
    assert list(traffic) == list(traffic)


def test_a_connection_that_only_ends_was_open_before() -> None:
    traffic = Traffic()
    traffic.add(10, Kind.CONNECTION, "192.0.2.2", 1)
    traffic.add(11, Kind.END, "192.0.2.1", 7, Outcome.CLEAN)
    traffic.add(12, Kind.END, "192.0.2.2", 1, Outcome.CLEAN)
    assert next(iter(traffic)) == Happening(10, Kind.OPEN, *A, 7)
    assert [one.kind for one in traffic].count(Kind.OPEN) == 1


def test_the_median_child_says_how_long_one_stays() -> None:
    traffic = Traffic()
    assert traffic.stay_ns == 0
    for seconds in (1.5, 100.0, 0.5):
        traffic.lasted(seconds)
    assert traffic.stay_ns == 1.5 * NS_PER_S


@pytest.mark.parametrize("source", ["-", "uid:", "uid:-1", "uid:x", "gw.example.net", "192.0.2.256"])
def test_other_sources_are_refused(source: str) -> None:
    with pytest.raises(ValueError):
        parse_client(source)


@pytest.mark.parametrize(("time", "id_"), [(-1, 0), (1 << 63, 0), (0, -1), (0, 1 << 64)])
def test_numbers_out_of_range_leave_nothing_behind(time: int, id_: int) -> None:
    traffic = Traffic()
    with pytest.raises(ValueError, match="out of range"):
        traffic.add(time, Kind.CONNECTION, "192.0.2.1", id_)
    assert list(traffic) == []
