"""Penalties: how long, for whom, and that nobody is let off by a flood of others."""

from __future__ import annotations

from superd.policy.penalties import Penalties
from superd.policy.rules import NS_PER_S, Limits

LIMITS = Limits(penalty_s=30, penalty_max_s=100, penalty_min_s=15)
S = NS_PER_S


def test_going_over_is_penalised_longer_each_time_up_to_the_most() -> None:
    penalties, now, lengths = Penalties(LIMITS, 10), 0, []
    for _ in range(4):
        penalties.went_over(1, now)
        (ban,) = penalties.bans(now)
        lengths.append(ban.left_ns // S)
        assert penalties.is_penalised(1, now + ban.left_ns - 1)
        now += ban.left_ns
        assert not penalties.is_penalised(1, now)
    assert lengths == [30, 60, 100, 100]


def test_who_keeps_quiet_for_the_longest_penalty_begins_anew() -> None:
    penalties = Penalties(LIMITS, 10)
    penalties.went_over(1, 0)
    penalties.went_over(1, 130 * S)  # 30 s of penalty, 100 s of quiet
    assert [ban.left_ns for ban in penalties.bans(130 * S)] == [30 * S]
    penalties.went_over(2, 0)
    penalties.went_over(2, 130 * S - 1)
    assert [ban.left_ns for ban in penalties.bans(130 * S - 1) if ban.key == 2] == [60 * S]


def test_knocking_while_penalised_makes_it_no_longer() -> None:
    penalties = Penalties(LIMITS, 10)
    penalties.went_over(1, 0)
    penalties.went_over(1, 29 * S)
    assert not penalties.is_penalised(1, 30 * S)


def test_without_a_penalty_nothing_is_held_against_anybody() -> None:
    penalties = Penalties(Limits(), 10)
    penalties.went_over(1, 0)
    penalties.failed(1, 0.0, 0)
    assert len(penalties) == 0


def test_failures_add_up_until_they_close_the_door() -> None:
    penalties = Penalties(LIMITS, 10)
    for at in (0, 1, 2):
        penalties.failed(1, 5, at * S)
    assert not penalties.is_penalised(1, 2 * S)  # 13 s of debt, less than 15
    penalties.failed(1, 5, 3 * S)
    assert penalties.is_penalised(1, 3 * S)  # 17 s
    assert penalties.is_penalised(1, 20 * S - 1), "a closed door stays closed until the debt has worn off"
    assert not penalties.is_penalised(1, 20 * S)


def test_debts_wear_off() -> None:
    penalties = Penalties(LIMITS, 10)
    for at in range(0, 600, 6):
        penalties.failed(1, 5, at * S)
    assert not penalties.is_penalised(1, 600 * S)


def test_no_debt_is_longer_than_the_longest_penalty() -> None:
    penalties = Penalties(LIMITS, 10)
    for _ in range(1_000):
        penalties.failed(1, 90, 0)
    assert penalties.is_penalised(1, 100 * S - 1)
    assert not penalties.is_penalised(1, 100 * S)


def test_a_full_table_forgets_nobody_who_is_being_refused() -> None:
    penalties = Penalties(LIMITS, 100)
    for key in range(60):
        penalties.went_over(key, 0)
    for key in range(1_000, 101_000):
        penalties.failed(key, 1, 1)
        assert len(penalties) <= 100
    assert all(penalties.is_penalised(key, 2) for key in range(60))


def test_when_all_are_refused_a_further_one_is_not_penalised() -> None:
    penalties = Penalties(LIMITS, 10)
    for key in range(1_000_000):
        penalties.went_over(key, key)
    assert len(penalties) == 10
    assert all(penalties.is_penalised(key, 1_000_000) for key in range(10))


def test_there_is_room_again_when_penalties_are_over() -> None:
    penalties = Penalties(LIMITS, 10)
    for key in range(20):
        penalties.went_over(key, 0)
    later = 200 * S
    penalties.went_over(99, later)
    assert penalties.is_penalised(99, later)
    assert [ban.key for ban in penalties.bans(later)] == [99]


def test_a_full_table_is_looked_through_once_a_second() -> None:
    """Else each place that becomes free costs a stranger one connection, and superd a look at all the others."""
    penalties = Penalties(LIMITS, 10)
    for key in range(10):
        penalties.went_over(key, key)
    first_over, last_over = 30 * S, 30 * S + 9
    penalties.went_over(100, first_over)
    assert penalties.is_penalised(100, first_over), "there was a place"
    penalties.went_over(101, last_over)
    assert not penalties.is_penalised(101, last_over), "nobody has looked since"
    penalties.went_over(101, first_over + S)
    assert penalties.is_penalised(101, first_over + S)


def test_pardon() -> None:
    penalties = Penalties(LIMITS, 10)
    penalties.went_over(1, 0)
    assert penalties.pardon(1)
    assert not penalties.is_penalised(1, 0)
    assert not penalties.pardon(1)
    penalties.went_over(1, 0)
    assert [ban.strikes for ban in penalties.bans(0)] == [1], "what was forgiven does not count"
