"""The replay: the engine's own decisions, what stands because nobody can judge it again, and both sides counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from superd.policy.decision import Client, Total
from superd.policy.engine import Engine
from superd.policy.networks import parse_address
from superd.policy.outcome import Outcome
from superd.policy.reason import Reason
from superd.policy.replay import Replay, Rules
from superd.policy.replayed import Result
from superd.policy.rules import NS_PER_S, UNLIMITED, Access, Limits, ProxyProtocol, Rate
from superd.policy.traffic import Happening, Kind, Traffic

S = NS_PER_S
FREE = Limits(max_connections=UNLIMITED, max_connections_per_source=UNLIMITED)


def rules(limits: Limits = FREE, access: Access | None = None, **more: Any) -> Rules:
    given: dict[str, Any] = {
        "proxy_protocol": ProxyProtocol(),
        "clock": lambda second: (0, second // 60 % 1440),
    } | more
    return Rules(limits, access or Access(), **given)


def run(tried: Rules, *happenings: Happening) -> Result:
    return Replay(tried).run(Traffic(happenings))


def came(time: float, id_: int, address: str = "192.0.2.1") -> Happening:
    return Happening(int(time * S), Kind.CONNECTION, *parse_address(address), id_)


def ended(time: float, id_: int, outcome: Outcome = Outcome.CLEAN, address: str = "192.0.2.1") -> Happening:
    return Happening(int(time * S), Kind.END, *parse_address(address), id_, outcome)


def refused(time: float, reason: Reason, address: str = "192.0.2.1") -> Happening:
    return Happening(int(time * S), Kind.REFUSED, *parse_address(address), 0, reason)


# --- what would have been ---


def test_who_is_over_the_limit_is_newly_refused() -> None:
    found = run(rules(evolve(FREE, max_connections=1)), came(1, 1), came(2, 2), ended(3, 1), came(4, 3))
    assert (found.came, found.then.admitted, found.replayed.admitted) == (3, 3, 2)
    assert found.replayed.refused == {Reason.CONNECTIONS: 1}
    assert (found.newly_refused, found.newly_admitted) == (1, 0)
    assert (found.then.most_open, found.replayed.most_open) == (2, 1)


def test_who_is_refused_holds_no_slot_and_its_end_frees_none() -> None:
    one = rules(evolve(FREE, max_connections=1))
    found = run(one, came(1, 1), came(2, 2), ended(3, 2), came(4, 3))
    assert found.replayed.refused == {Reason.CONNECTIONS: 2}


def test_who_was_refused_comes_again_and_stays_as_long_as_others() -> None:
    tried = rules(evolve(FREE, max_connections_per_source=1), stay_ns=10 * S)
    found = run(tried, refused(1, Reason.RATE), refused(5, Reason.RATE), refused(11, Reason.RATE))
    assert found.then.refused == {Reason.RATE: 3}
    assert found.replayed.refused == {Reason.SOURCE_CONNECTIONS: 1}
    assert found.newly_admitted == 2


def test_a_connection_without_an_end_stays_open() -> None:
    found = run(rules(evolve(FREE, max_connections=1)), came(1, 1), came(100_000, 2))
    assert found.replayed.refused == {Reason.CONNECTIONS: 1}


def test_a_connection_from_before_holds_its_slot_until_its_end() -> None:
    found = run(rules(evolve(FREE, max_connections=1)), came(1, 1), ended(2, 9), came(3, 2))
    assert found.open_before == 1
    assert found.replayed.refused == {Reason.CONNECTIONS: 1}
    assert found.replayed.admitted == 1


def test_an_id_that_comes_again_is_a_new_superds() -> None:
    found = run(rules(evolve(FREE, max_connections=1)), came(1, 1), came(2, 1), ended(3, 1), came(4, 2))
    assert found.replayed.admitted == 3
    assert found.then.most_open == 1


def test_children_that_fail_penalise_their_source() -> None:
    tried = rules(evolve(FREE, penalty_failed_s=20.0))
    found = run(
        tried, came(1, 1), ended(2, 1, Outcome.FAILED), came(3, 2), came(3, 3, "192.0.2.2"), came(23, 4)
    )
    assert found.replayed.refused == {Reason.PENALTY: 1}


def test_a_source_is_cut_to_its_prefix() -> None:
    tried = rules(evolve(FREE, rate_per_source=Rate(1, 60 * S), source_prefix_ipv4=24))
    found = run(tried, came(1, 1, "192.0.2.1"), came(2, 2, "192.0.2.2"), came(3, 3, "198.51.100.1"))
    assert [(found.name(key), source.came) for key, source in found.most_refused()] == [("192.0.2.0/24", 2)]


def test_starts_of_instances_wait_for_the_rate() -> None:
    starts = [Happening(second * S, Kind.START, 0, 0) for second in (1, 2, 3, 300)]
    found = run(rules(evolve(FREE, rate=Rate(2, 60 * S))), *starts)
    assert (found.starts, found.starts_delayed, found.came) == (4, 1, 0)


# --- access ---


def test_access_decides_by_address_name_and_hour() -> None:
    access = Access(allow=("192.0.2.0/24", "gw.example.net"), hours=("00:01-00:02",))
    tried = rules(access=access, names={"gw.example.net": [parse_address("198.51.100.1")]})
    found = run(
        tried,
        came(59, 1),
        came(60, 2),
        came(61, 3, "198.51.100.1"),
        came(62, 4, "198.51.100.2"),
        came(119.9, 5),
        came(120, 6),
    )
    assert found.replayed.refused == {Reason.HOURS: 2, Reason.ADDRESS: 1}
    assert found.replayed.admitted == 3


@pytest.mark.parametrize(
    ("reason", "asking", "silent"),
    [
        (Reason.HOSTS_ACCESS, rules(access=Access(hosts_access=True)), rules()),
        (Reason.LOAD, rules(evolve(FREE, max_load=4.0)), rules()),
        (Reason.PROXY_HEADER, rules(proxy_protocol=ProxyProtocol(accept_from=("10.0.0.0/8",))), rules()),
    ],
)
def test_what_nobody_can_judge_again_stands_while_it_is_asked(
    reason: Reason, asking: Rules, silent: Rules
) -> None:
    assert run(asking, refused(1, reason)).replayed.refused == {reason: 1}
    assert run(silent, refused(1, reason)).newly_admitted == 1


@pytest.mark.parametrize("reason", [Reason.TOTAL_CONNECTIONS, Reason.LOOP])
def test_what_others_caused_stands(reason: Reason) -> None:
    assert run(rules(), refused(1, reason)).replayed.refused == {reason: 1}
    denied = rules(access=Access(deny=("192.0.2.1",)))
    assert run(denied, refused(1, reason)).replayed.refused == {Reason.ADDRESS: 1}


# --- what is counted ---


def test_sources_behave_by_their_children_and_access() -> None:
    happenings = []
    for last, outcomes in enumerate(["c", "cf", "ccf", "s", ""], 1):
        for number, letter in enumerate(outcomes):
            how = {"c": Outcome.CLEAN, "f": Outcome.FAILED, "s": Outcome.SIGNALLED}[letter]
            happenings += [came(1, 10 * last + number, f"192.0.2.{last}"), ended(2, 10 * last + number, how)]
    happenings += [refused(3, Reason.RATE, "192.0.2.5"), came(3, 99, "198.51.100.1")]
    found = run(rules(access=Access(deny=("198.51.100.1",))), *happenings)
    assert {found.name(key) for key, source in found.sources.items() if source.behaved} == {
        "192.0.2.1",
        "192.0.2.3",
    }


def test_the_most_of_everything() -> None:
    happenings = [
        came(0, 1),
        came(0.5, 2),
        came(0.9, 3, "192.0.2.2"),
        ended(1, 1),
        came(1.2, 4),
        came(59.9, 5),
    ]
    found = run(rules(evolve(FREE, max_connections_per_source=2)), *happenings)
    then, now = found.then, found.replayed
    assert (then.second.most, then.minute.most, then.most_open, then.most_open_of) == (3, 5, 4, 3)
    assert (now.second.most, now.minute.most, now.most_open, now.most_open_of) == (3, 4, 3, 2)
    assert now.busiest is not None and found.name(now.busiest) == "192.0.2.1"
    assert [(slot.came, slot.admitted, slot.open_then, slot.open) for slot in found.timeline.slots] == [
        (5, 4, 4, 3)
    ]


def test_exempt_clients_are_open_but_do_not_count() -> None:
    tried = rules(evolve(FREE, max_connections=1, exempt=("192.0.2.1",)))
    found = run(tried, came(1, 1), came(2, 2), came(3, 3, "192.0.2.2"))
    assert found.replayed.admitted == 3
    assert (found.replayed.most_open, found.most_counted) == (3, 1)


def test_nothing_leaves_nothing() -> None:
    found = run(rules())
    assert (found.came, found.sources_that_came, found.most_refused()) == (0, 0, [])


# --- the same rules again ---

limits = st.builds(
    Limits,
    max_connections=st.sampled_from([1, 2, 3, UNLIMITED]),
    max_connections_per_source=st.sampled_from([1, 2, UNLIMITED]),
    rate=st.sampled_from([Rate(), Rate(3), Rate(7, 60 * S)]),
    burst=st.integers(0, 3),
    rate_per_source=st.sampled_from([Rate(), Rate(1), Rate(5, 60 * S)]),
    penalty_s=st.sampled_from([0.0, 3.0]),
    penalty_failed_s=st.sampled_from([0.0, 20.0]),
    exempt=st.sampled_from([(), ("192.0.2.0",)]),
)
visits = st.lists(
    st.tuples(
        st.integers(0, 3),  # the last byte of the source
        st.sampled_from([0, 1, 250, 1_000, 30_000]),  # ms since the one before
        st.sampled_from([0, 400, 2_000, 90_000, None]),  # ms it stays; None: longer than the log
        st.sampled_from([Outcome.CLEAN, Outcome.FAILED]),
    ),
    max_size=40,
)
Visit = tuple[int, int, int | None, Outcome]


def log_of(made: Limits, rows: Iterable[Visit]) -> list[Happening]:
    """What superd would have logged: the engine decides, and those whom it admits end when their time has come."""
    engine = Engine(made, Access(deny=("192.0.2.3",)), ProxyProtocol(), Total())
    log: list[Happening] = []
    due: list[Happening] = []
    now = 0
    for number, (last, gap, stay, outcome) in enumerate(rows, 1):
        now += gap * 1_000_000
        for end in sorted(one for one in due if one.time <= now):
            engine.ended(end.id, Outcome(str(end.detail)), end.time)
            log.append(end)
            due.remove(end)
        client = Client(number, *parse_address(f"192.0.2.{last}"))
        reason = engine.offer(client, now).reason
        if reason is not None:
            log.append(Happening(now, Kind.REFUSED, client.version, client.value, 0, reason))
            continue
        log.append(Happening(now, Kind.CONNECTION, client.version, client.value, number))
        if stay is not None:
            due.append(
                Happening(now + stay * 1_000_000, Kind.END, client.version, client.value, number, outcome)
            )
    return log + sorted(due)


@given(limits, visits)
def test_the_rules_that_made_a_log_decide_the_same_again(made: Limits, rows: list[Visit]) -> None:
    log = log_of(made, rows)
    found = run(rules(made, Access(deny=("192.0.2.3",))), *log)
    assert (found.newly_refused, found.newly_admitted) == (0, 0)
    assert found.replayed.refused == found.then.refused
    assert found.replayed.most_open == found.then.most_open
    assert found.replayed.minute.most == found.then.minute.most
    assert [slot.open for slot in found.timeline.slots] == [slot.open_then for slot in found.timeline.slots]


@given(visits)
def test_without_limits_everything_that_access_admits_is_admitted(rows: list[Visit]) -> None:
    found = run(rules(), *log_of(Limits(max_connections=1), rows))
    assert not found.replayed.refused
    assert found.newly_admitted == found.then.refused.total()
    assert sum(slot.came for slot in found.timeline.slots) == found.came
