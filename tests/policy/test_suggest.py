"""Suggestions: the burst is the smallest that fits, and the promise about sources that behaved is kept."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from superd.policy.buckets import Bucket
from superd.policy.networks import parse_address
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.replay import Rules
from superd.policy.rules import NS_PER_S, Access, Limits, ProxyProtocol, Rate
from superd.policy.suggest import Suggestion, burst_needed, suggest
from superd.policy.traffic import Happening, Kind, Traffic

S = NS_PER_S
ROUND = {step * 10**power for power in range(7) for step in (1, 2, 5)}
rates = st.builds(Rate, st.integers(1, 50), st.sampled_from([S, 60 * S]))


def rules(limits: Limits | None = None, access: Access | None = None, stay_ns: int = 0) -> Rules:
    return Rules(
        limits or Limits(), access or Access(), ProxyProtocol(), lambda second: (0, 0), stay_ns=stay_ns
    )


def propose(traffic: Traffic, percent: Any = 1, tried: Rules | None = None) -> Suggestion | None:
    return suggest(lambda: traffic, tried or rules(), Fraction(percent))


def visits(*times: float, address: str = "192.0.2.1", stay: float = 1, first: int = 1) -> list[Happening]:
    client = parse_address(address)
    happenings = []
    for id_, time in enumerate(times, first):
        begin = int(time * S)
        happenings += [
            Happening(begin, Kind.CONNECTION, *client, id_),
            Happening(begin + int(stay * S), Kind.END, *client, id_, Outcome.CLEAN),
        ]
    return happenings


# --- the burst ---


@given(rates, st.lists(st.integers(0, 100 * S), min_size=1, max_size=40).map(sorted))
def test_the_burst_is_the_smallest_that_refuses_nothing(rate: Rate, times: list[int]) -> None:
    def refuses(burst: int) -> bool:
        bucket, tat = Bucket(rate, burst), 0
        for now in times:
            if not bucket.admits(tat, now):
                return True
            tat = bucket.taken(tat, now)
        return False

    needed = burst_needed(rate, times)
    assert not refuses(needed)
    assert needed == 1 or refuses(needed - 1)


def test_nobody_needs_a_burst_of_one() -> None:
    assert burst_needed(Rate(1), ()) == 1


# --- what is proposed ---


def test_a_quiet_service_gets_small_and_round_numbers() -> None:
    rows = [one for last in range(1, 100) for one in visits(last * 60, address=f"192.0.2.{last}", first=last)]
    found = propose(Traffic(rows))
    assert found is not None
    limits = found.limits
    assert (limits.rate_per_source, limits.burst_per_source) == (Rate(1, 60 * S), 1)
    assert (limits.max_connections, limits.max_connections_per_source) == (1, 1)
    assert (limits.rate, limits.burst) == (Rate(1, 60 * S), 1)
    assert (found.behaved, found.may_refuse, found.does_refuse, found.in_a_minute) == (99, 0, 0, 2)


def test_the_greedy_one_in_a_hundred_is_left_out() -> None:
    rows = [one for last in range(1, 100) for one in visits(last * 60, address=f"192.0.2.{last}", first=last)]
    rows += visits(*(5 + number / 10 for number in range(500)), address="192.0.2.100", first=1000)
    strict, lenient = propose(Traffic(rows), 1), propose(Traffic(rows), 0)
    assert strict is not None and lenient is not None
    assert (strict.may_refuse, strict.does_refuse) == (1, 1)
    assert strict.limits.burst_per_source == 1
    assert set(strict.result.replayed.refused) <= {Reason.SOURCE_RATE, Reason.SOURCE_CONNECTIONS}
    assert (lenient.may_refuse, lenient.does_refuse) == (0, 0)
    assert lenient.result.replayed.refused == {}


def test_who_misbehaves_has_no_say() -> None:
    rows = visits(1, 100)
    for id_ in range(10, 60):
        client = parse_address("198.51.100.1")
        rows.append(Happening(2 * S, Kind.CONNECTION, *client, id_))
        rows.append(Happening(3 * S, Kind.END, *client, id_, Outcome.FAILED))
    found = propose(Traffic(rows))
    assert found is not None
    assert (found.behaved, found.limits.burst_per_source) == (1, 1)
    assert found.limits.max_connections_per_source == 1


def test_who_is_exempt_needs_no_room() -> None:
    rows = visits(1) + visits(*[2] * 30, address="198.51.100.1", first=10)
    found = propose(Traffic(rows), 0, rules(Limits(exempt=("198.51.100.1",))))
    assert found is not None
    assert found.limits.max_connections == 1
    assert found.limits.exempt == ("198.51.100.1",)


def test_nothing_is_proposed_when_nobody_behaved() -> None:
    assert propose(Traffic()) is None
    refused = Happening(1, Kind.REFUSED, *parse_address("192.0.2.1"), 0, Reason.RATE)
    assert propose(Traffic([refused])) is None


# --- the promise, held against a simulation that knows nothing of the engine ---

Row = tuple[int, int, int, str]
traffics = st.lists(
    st.tuples(
        st.integers(1, 8),  # the last byte of the source
        st.sampled_from([0, 0, 1, 200, 5_000, 70_000]),  # ms since the one before
        st.sampled_from([0, 1, 3_000, 200_000]),  # ms it stays
        st.sampled_from(["clean", "clean", "failed", "refused"]),
    ),
    max_size=60,
)


def happenings(rows: list[Row]) -> list[Happening]:
    made, now = [], 0
    for id_, (last, gap, stay, outcome) in enumerate(rows, 1):
        now += gap * 1_000_000
        client = parse_address(f"192.0.2.{last}")
        if outcome == "refused":
            made.append(Happening(now, Kind.REFUSED, *client, 0, Reason.SOURCE_RATE))
            continue
        made.append(Happening(now, Kind.CONNECTION, *client, id_))
        made.append(Happening(now + stay * 1_000_000, Kind.END, *client, id_, Outcome(outcome)))
    return made


def refused_sources(limits: Limits, rows: list[Row], stay_ns: int) -> set[int]:
    """Who is refused at least once: every decision looks again at all that was admitted so far."""
    admitted: list[tuple[int, int, int]] = []  # begin, end, source
    found, now = set(), 0

    def fits(times: list[int], rate: Rate, burst: int) -> bool:
        windows = (now - times[-count] for count in range(1, len(times) + 1))
        return all(
            count + 1 <= burst + rate.count * w / Fraction(rate.period_ns)
            for count, w in enumerate(windows, 1)
        )

    for last, gap, stay, outcome in rows:
        now += gap * 1_000_000
        own = [row for row in admitted if row[2] == last]
        # an end is logged after the connection of the same time, so a visit of no length is over a moment later
        is_in = (
            sum(now < end for _, end, _ in own) < limits.max_connections_per_source
            and fits([begin for begin, _, _ in own], limits.rate_per_source, limits.burst_per_source)
            and sum(now < end for _, end, _ in admitted) < limits.max_connections
            and fits([begin for begin, _, _ in admitted], limits.rate, limits.burst)
        )
        if not is_in:
            found.add(last)
            continue
        admitted.append((now, now + (stay_ns if outcome == "refused" else stay * 1_000_000), last))
    return found


@given(traffics, st.sampled_from([0, 1, 20, 50]), st.sampled_from([0, 4 * S]))
def test_no_more_are_refused_than_was_promised(rows: list[Row], percent: int, stay_ns: int) -> None:
    outcomes = defaultdict(list)
    for last, _, _, outcome in rows:
        if outcome != "refused":
            outcomes[last].append(outcome)
    behaved = {last for last, all_ in outcomes.items() if 2 * all_.count("failed") < len(all_)}
    found = propose(Traffic(happenings(rows)), percent, rules(stay_ns=stay_ns))
    if not behaved:
        assert found is None
        return
    assert found is not None
    assert found.behaved == len(behaved)
    assert found.may_refuse == len(behaved) * percent // 100
    refused = refused_sources(found.limits, rows, stay_ns) & behaved
    assert len(refused) == found.does_refuse <= found.may_refuse
    limits = found.limits
    assert {
        limits.burst,
        limits.burst_per_source,
        limits.max_connections,
        limits.max_connections_per_source,
    } <= ROUND
    assert {limits.rate.count, limits.rate_per_source.count} <= ROUND


@given(traffics)
def test_what_else_is_in_force_stays(rows: list[Row]) -> None:
    base = Limits(penalty_s=30.0, source_prefix_ipv4=31, penalty_failed_s=5.0)
    found = propose(Traffic(happenings(rows)), 10, rules(base, Access(deny=("192.0.2.1",))))
    if found is None:
        return
    assert found.does_refuse <= found.may_refuse
    names = (
        "rate",
        "burst",
        "rate_per_source",
        "burst_per_source",
        "max_connections",
        "max_connections_per_source",
    )
    assert evolve(found.limits, **{name: getattr(base, name) for name in names}) == base
