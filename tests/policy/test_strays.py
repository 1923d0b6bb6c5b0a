"""What children leave behind lives no longer than the child it came from might have."""

from __future__ import annotations

import math
import signal

from hypothesis import given
from hypothesis import strategies as st

from superd.policy.strays import LONGEST_S, SHORTEST_S, Strays

TERM, KILL = int(signal.SIGTERM), int(signal.SIGKILL)


def strays(runtime_max_s: float = 60.0, timeout_stop_s: float = 10.0) -> Strays:
    return Strays(runtime_max_s, timeout_stop_s, TERM)


def test_a_stray_is_told_when_its_childs_time_is_over_and_killed_after_timeout_stop() -> None:
    made = strays()
    made.ended(100.0)
    assert made.look(101.0, [7], math.inf) == []
    assert made.look(159.9, [7], math.inf) == []
    assert made.look(160.0, [7], math.inf) == [(7, TERM)]
    assert made.look(165.0, [7], math.inf) == []
    assert made.look(170.0, [7], math.inf) == [(7, KILL)]


def test_without_timeout_stop_nothing_is_killed() -> None:
    made = strays(timeout_stop_s=-1)
    made.ended(0.0)
    assert made.look(60.0, [7], math.inf) == [(7, TERM)]
    assert made.look(1e9, [7], math.inf) == []


def test_a_stray_of_a_child_that_lives_has_the_time_of_the_oldest() -> None:
    made = strays()
    assert made.look(30.0, [7], 20.0) == []
    assert made.look(79.0, [7], math.inf) == []
    assert made.look(80.0, [7], math.inf) == [(7, TERM)]


def test_nobody_lives_longer_by_starting_another_and_ending_himself() -> None:
    made = strays()
    made.ended(0.0)
    for second in range(1, 60):
        assert made.look(float(second), [second], math.inf) == []
    assert made.look(60.0, [60], math.inf) == [(60, TERM)]
    assert made.look(70.0, [61], math.inf) == [(61, KILL)]


def test_what_an_earlier_connection_left_does_not_shorten_the_time_of_a_later_one() -> None:
    made = strays()
    made.ended(0.0)
    assert made.look(1.0, [], math.inf) == []
    made.ended(50.0)
    assert made.look(70.0, [7], math.inf) == []


def test_nobody_is_looked_for_where_nobody_can_be() -> None:
    made = strays()
    assert made.due(living=False) is None
    made.ended(0.0)
    assert made.due(living=False) is not None
    made.look(1.0, [7], math.inf)
    assert made.due(living=False) == 1.0 + 6.0
    made.look(2.0, [], math.inf)
    assert made.due(living=False) is None


def test_looks_are_neither_too_rare_nor_too_many() -> None:
    for runtime, interval in ((0.5, SHORTEST_S), (10.0, 1.0), (86400.0, LONGEST_S)):
        made = strays(runtime)
        made.look(5.0, [], 5.0)
        assert made.due(living=True) == 5.0 + interval


EVENTS = st.lists(
    st.tuples(st.sampled_from(("start", "end", "fork", "hide")), st.integers(0, 9), st.booleans()),
    max_size=60,
)


@given(EVENTS)
def test_no_stray_outlives_the_child_it_came_from(events: list[tuple[str, int, bool]]) -> None:
    """Against the truth, which the model knows: who descends from whom. A look comes after some of the events."""
    made, limit = strays(20.0, timeout_stop_s=0.0), 20.0
    living: dict[int, float] = {}
    origin: dict[int, float] = {}  # when the child began that a stray comes from
    for now, (what, which, look) in enumerate(events):
        if what == "start":
            living[100 + now] = float(now)
        elif what == "end" and living:
            made.ended(living.pop(list(living)[which % len(living)]))
        elif what == "fork" and living:
            origin[1000 + now] = living[list(living)[which % len(living)]]
        elif what == "hide" and origin:
            parent = list(origin)[which % len(origin)]
            origin[1000 + now] = origin[parent]
        if look:
            oldest = min(living.values(), default=math.inf)
            signals = dict(made.look(float(now), list(origin), oldest))
            for pid, began in origin.items():
                assert signals.get(pid) == KILL or now < began + limit
            for pid in [pid for pid, number in signals.items() if number == KILL]:
                del origin[pid]
